"""Networks, augmentation and losses: sides, studies and labels."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lumbar.datasets.axial_crops import read_crop_table  # noqa: E402
from lumbar.errors import UsageError  # noqa: E402
from lumbar.models.folder import load_folder  # noqa: E402
from lumbar.severity.axial.data import targets  # noqa: E402
from lumbar.severity.axial.grader import CropGrader  # noqa: E402
from lumbar.severity.learn.axial.augment import SWAPPED_SIDES, CropAugmentOptions, augment  # noqa: E402
from lumbar.severity.learn.axial.ensemble import FoldOptions, train_fold, write_ensemble  # noqa: E402
from lumbar.severity.learn.axial.network import NetworkOptions, build  # noqa: E402
from lumbar.severity.learn.axial.out_of_fold import figures, grade_held_out  # noqa: E402
from lumbar.severity.learn.axial.train import LabelledCrops, RandomStudies, SeverityModule, SeverityTraining, train  # noqa: E402
from lumbar.severity.learn.cutmix import MixOptions  # noqa: E402
from lumbar.severity.learn.losses import blended_labels, distance_loss, soft_labels, threshold_loss, weighted_loss  # noqa: E402
from lumbar.training.fit import FitOptions  # noqa: E402

TINY = NetworkOptions(features=(4, 8), blocks=(1, 1), width=16, layers=1, heads=2)
UNMIXED = MixOptions(mixup_probability=0, cutmix_probability=0)
STILL = CropAugmentOptions(
    shift=0,
    rotation_degrees=0,
    zoom=(1.0, 1.0),
    stretch=0,
    gamma=0,
    contrast=0,
    noise=0,
    blur_probability=0,
    slice_flip_probability=0,
    slice_shift_probability=0,
    slice_loss_probability=0,
    mirror_probability=0,
    erase_probability=0,
)


def a_network(options: NetworkOptions = TINY) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build(options).eval()
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network


def test_mirroring_the_crop_exactly_swaps_the_predicted_sides() -> None:
    network = a_network()
    crops, levels, studies = torch.randn(6, 3, 96, 136), torch.tensor([0, 1, 2, 3, 4, 4]), torch.zeros(6, dtype=torch.long)
    with torch.no_grad():
        straight, mirrored = network(crops, levels, studies), network(crops.flip(-1), levels, studies)
    torch.testing.assert_close(mirrored, straight[:, list(SWAPPED_SIDES)], atol=1e-5, rtol=0)
    assert (straight[:, 3] - straight[:, 4]).abs().max() > 1e-3  # and the two sides differ


def test_crops_attend_to_their_own_study_only() -> None:
    network = a_network()
    crops, levels = torch.randn(4, 3, 96, 136), torch.tensor([2, 3, 2, 3])
    with torch.no_grad():
        before = network(crops, levels, torch.tensor([7, 7, 8, 8]))
        crops[3] += 1.0 * torch.randn_like(crops[3])
        after = network(crops, levels, torch.tensor([7, 7, 8, 8]))
    torch.testing.assert_close(before[:2], after[:2])
    assert (before[2] - after[2]).abs().max() > 1e-5  # the neighbour in the same study


def test_the_order_of_crops_does_not_matter() -> None:
    network = a_network()
    crops, levels, order = torch.randn(5, 3, 96, 136), torch.arange(5), torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        torch.testing.assert_close(network(crops, levels, levels * 0)[order], network(crops[order], levels[order], levels * 0), atol=1e-5, rtol=0)


def test_the_vit_gives_the_same_shape() -> None:
    network = a_network(NetworkOptions(kind="vit", width=16, layers=1, heads=2))
    assert network(torch.randn(2, 3, 96, 136), torch.tensor([0, 1]), torch.tensor([0, 0])).shape == (2, 5, 3)


def test_without_change_the_image_is_only_resized() -> None:
    crops = torch.rand(2, 3, 96, 136)
    labels = torch.tensor([[0, 1, 2, 1, 0], [2, 2, 0, 0, -1]])
    x, y = augment(crops, labels, STILL, torch.Generator().manual_seed(0))
    wanted = (crops - crops.mean((1, 2, 3), True)) / crops.std((1, 2, 3), keepdim=True)
    torch.testing.assert_close(x, wanted.clamp(max=4), atol=2e-2, rtol=0)
    assert y.tolist() == labels.tolist()


def test_a_mirrored_image_has_swapped_labels() -> None:
    crops = torch.zeros(1, 3, 96, 136)
    crops[..., 100:] = 1.0
    x, y = augment(crops, torch.tensor([[0, 1, 2, 1, 0]]), replace(STILL, mirror_probability=1.0), torch.Generator().manual_seed(0))
    assert x[..., :30].mean() > x[..., -30:].mean()
    assert y.tolist() == [[0, 2, 1, 0, 1]]


def test_magnification_and_rotation_are_about_the_centre() -> None:
    crops = torch.zeros(1, 3, 96, 136)
    crops[..., 43:53, 58:78] = 1.0  # 10 × 20 in the middle
    x, _ = augment(crops, torch.zeros(1, 5, dtype=torch.long), replace(STILL, zoom=(2.0, 2.0)), torch.Generator().manual_seed(0))
    bright = (x[0, 0] > x.mean()).nonzero()
    assert (bright.max(0).values - bright.min(0).values + 1).tolist() == pytest.approx([20, 40], abs=2)
    assert bright.float().mean(0).tolist() == pytest.approx([47.5, 67.5], abs=0.6)


def test_a_lost_neighbour_is_replaced_by_the_middle_slice() -> None:
    crops = torch.stack([torch.full((96, 136), v) for v in (0.1, 0.5, 0.9)])[None]
    crops = crops + 0.01 * torch.rand(1, 1, 96, 136)
    x, _ = augment(crops, torch.zeros(1, 5, dtype=torch.long), replace(STILL, slice_loss_probability=1.0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(x[0, 0], x[0, 1])
    torch.testing.assert_close(x[0, 2], x[0, 1])


def test_soft_labels_and_the_weighted_loss_by_hand() -> None:
    labels = soft_labels(torch.tensor([[0, 1, 2, -1]]), 0.1)
    torch.testing.assert_close(labels[0], torch.tensor([[0.9, 0.1, 0], [0.1, 0.8, 0.1], [0, 0.1, 0.9], [0, 0, 0]]))
    hard, even = soft_labels(torch.tensor([[0], [2], [-1]]), 0.0), torch.zeros(3, 1, 3)
    known = torch.tensor([[1.0], [1.0], [0.0]])
    assert weighted_loss(even, hard, known, (1.0,)).item() == pytest.approx((1 + 4) * math.log(3) / 1.3 / 2)


def test_the_ordinal_losses_by_hand() -> None:
    """Probabilities 0.5, 0.3, 0.2 of normal, moderate and severe; grades weigh 1, 2 and 4, and 1.3 is the mean weight."""
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(4, 1, 3)
    labels = soft_labels(torch.tensor([[0], [1], [2], [-1]]), 0.0)
    known = torch.tensor([[1.0], [1.0], [1.0], [0.0]])
    # Cumulative probabilities are 0.5 and 0.8; those of the labels 1 and 1, 0 and 1, 0 and 0.
    distance = 1 * (0.5**2 + 0.2**2) + 2 * (0.5**2 + 0.2**2) + 4 * (0.5**2 + 0.8**2)
    assert distance_loss(logits, labels, known, (1.0,)).item() == pytest.approx(distance / 1.3 / 3, rel=1e-5)
    # At least moderate: 0.5; severe: 0.2.
    entropies = 1 * (math.log(1 / 0.5) + math.log(1 / 0.8)) + 2 * (math.log(1 / 0.5) + math.log(1 / 0.8)) + 4 * (math.log(1 / 0.5) + math.log(1 / 0.2))
    assert threshold_loss(logits, labels, known, (1.0,)).item() == pytest.approx(entropies / 1.3 / 3, rel=1e-5)


def test_condition_weights_of_an_ordinal_loss_by_hand() -> None:
    """Two conditions, one row: normal in the first (0.29 / 1.3), severe in the second (4 · 0.89 / 1.3), with shares 3 to 1."""
    logits, labels = torch.tensor([0.5, 0.3, 0.2]).log().expand(1, 2, 3), soft_labels(torch.tensor([[0, 2]]), 0.0)
    assert distance_loss(logits, labels, torch.ones(1, 2), (3.0, 1.0)).item() == pytest.approx((3 * 0.29 + 4 * 0.89) / 1.3 / 4, rel=1e-5)


def test_labels_blended_with_predictions_by_hand() -> None:
    labels = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1]])
    predicted = torch.tensor([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5], [math.nan, math.nan, math.nan]])
    torch.testing.assert_close(blended_labels(labels, predicted, 0.25), torch.tensor([[0.8, 0.075, 0.125], [0, 0, 0], [0, 0, 1]]))


def some_crops(studies: int = 12) -> LabelledCrops:
    rng = np.random.default_rng(0)
    n = 5 * studies
    images = rng.integers(0, 255, (n, 112, 160, 3), dtype=np.uint8)
    return LabelledCrops(images, np.arange(n) % 5, np.repeat([f"s{k}" for k in range(studies)], 5), rng.integers(-1, 3, (n, 5)))


def test_the_stream_uses_every_study_once_per_epoch_and_is_reproducible() -> None:
    data = replace(some_crops(), levels=np.repeat(np.arange(12) % 5, 5), images=some_crops().images[:, ::4, ::4])
    config = SeverityTraining(augment=STILL, studies_per_batch=4, absence_probability=0, alone_probability=0, mix=UNMIXED)
    seen = []
    stream = RandomStudies(data, config)
    stream.batch = lambda chosen, *_: seen.append(sorted({row // 5 for row in chosen}))  # type: ignore[method-assign,assignment]
    for _, __ in zip(range(3), stream, strict=False):
        pass
    assert sorted(study for batch in seen[:3] for study in batch) == list(range(12))
    first, again = next(iter(RandomStudies(data, config))), next(iter(RandomStudies(data, config)))
    torch.testing.assert_close(first[0], again[0])
    assert first[0].shape == (20, 3, 64, 92)  # the coarse part of training
    assert next(iter(RandomStudies(data, config, start=config.fit.steps)))[0].shape == (20, 3, 96, 136)
    assert len(set(first[2].tolist())) == 4


def test_predictions_are_mirrored_with_the_image() -> None:
    """Only the left recess is labelled, severe in the predictions: after mirroring it is the right one."""
    targets, predicted = np.full((60, 5), -1), np.tile(np.float32([1, 0, 0]), (60, 5, 1))
    targets[:, 3], predicted[:, 3] = 0, (0, 0, 1)
    data = replace(some_crops(), targets=targets, predicted=predicted).subset(np.arange(60) < 10)
    mirrored = replace(STILL, mirror_probability=1.0)
    config = SeverityTraining(augment=mirrored, mix=UNMIXED, smoothing=0.0, predicted_share=0.25, studies_per_batch=1)
    _, _, _, labels, known = next(iter(RandomStudies(data, config)))
    assert known[0].tolist() == [0, 0, 0, 0, 1]
    torch.testing.assert_close(labels[0, 4], torch.tensor([0.75, 0.0, 0.25]))
    assert not labels[0, :4].any()


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_encoder_keeps_its_weights_and_statistics(tmp_path: Path) -> None:
    fit = FitOptions(steps=2, threads=1, precision="32-true", average_decay=0.5)
    config = SeverityTraining(network=TINY, fit=fit, studies_per_batch=2, frozen_encoder=True, ordinal="distance")
    assert not SeverityModule(config).train().network.encoder.training
    before = SeverityModule(config).state_dict()
    after = train(some_crops(), tmp_path, config, None, {name: value.clone() for name, value in before.items()}).state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed and not [name for name in changed if name.startswith("network.encoder.")]
    assert {"network.attention.0.before.weight", "network.canal_head.2.weight"} <= changed


@pytest.mark.filterwarnings("ignore")
def test_a_training_is_repeatable_from_the_first_weights_on(tmp_path: Path) -> None:
    config = SeverityTraining(network=TINY, fit=FitOptions(steps=2, threads=1, precision="32-true"), studies_per_batch=2)
    torch.rand(7)  # the result must not depend on earlier random numbers
    runs = [train(some_crops(), tmp_path / str(k), config).state_dict() for k in range(2)]
    for name, value in runs[0].items():
        torch.testing.assert_close(value, runs[1][name], rtol=0, atol=0)
    again = train(some_crops(), tmp_path / "0", config).state_dict()  # finished: the same weights come out, and not those of the last step
    for name, value in runs[0].items():
        torch.testing.assert_close(value, again[name], rtol=0, atol=0)
    other = train(some_crops(), tmp_path / "other", replace(config, fit=replace(config.fit, seed=5))).state_dict()
    assert any((other[name] != value).any() for name, value in runs[0].items() if value.dtype.is_floating_point)


@pytest.mark.filterwarnings("ignore")
def test_a_finished_training_with_validation_returns_its_best_weights(tmp_path: Path) -> None:
    config = SeverityTraining(network=TINY, fit=FitOptions(steps=4, threads=1, precision="32-true"), studies_per_batch=2, validate_every=2, learning_rate=0.1)
    worse = replace(some_crops(), targets=2 - some_crops().targets.clip(0))
    first, again = (train(some_crops(), tmp_path / "run", config, worse).state_dict() for _ in range(2))
    for name, value in first.items():
        torch.testing.assert_close(value, again[name], rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_from_images_to_a_model_folder_that_grades(tmp_path: Path) -> None:
    """Severe recesses are bright: two short folds learn this, and the packed model grades the correct side."""
    rng = np.random.default_rng(0)
    words, lines = ("Normal/Mild", "Moderate", "Severe"), ["crop,study_id,level,spinal_canal_stenosis,left_subarticular_stenosis,right_subarticular_stenosis"]
    (tmp_path / "images").mkdir()
    for study in range(40):
        for level in ("L3/L4", "L4/L5"):
            left, right = rng.integers(0, 3, 2)
            image = rng.integers(40, 60, (60, 85, 3)).astype(np.uint8)
            image[20:40, 50:65] += np.uint8(60 * left)
            image[20:40, 20:35] += np.uint8(60 * right)
            name = f"{study}_{level[1]}.png"
            Image.fromarray(image).save(tmp_path / "images" / name)
            lines.append(f"{name},{study},{level},{words[0]},{words[left]},{words[right]}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    crops = read_crop_table(tmp_path / "t.csv")
    labels, images, runs = targets(crops), tmp_path / "images", tmp_path / "runs"
    config = SeverityTraining(network=TINY, fit=FitOptions(steps=400, threads=1, average_decay=0.95), mix=UNMIXED)
    for fold in range(2):
        train_fold(crops, labels, images, runs, fold, config=config, options=FoldOptions(folds=2, held_back=("0",)))
    oof = grade_held_out(crops, labels, images, runs)
    measured = figures(oof)
    assert measured["both recesses"].loss < 0.7 * measured["both recesses"].prior
    assert json.loads((runs / "splits.json").read_text()).keys() == {str(k) for k in range(40)}
    short = replace(config, fit=replace(config.fit, steps=5), learning_rate=1e-6)  # five steps change nothing: the predictions come from the initial weights
    train_fold(crops, labels, images, tmp_path / "more", 0, config=short, options=FoldOptions(folds=2, held_back=("0",), start=runs))
    more = figures(grade_held_out(crops, labels, images, tmp_path / "more"))
    assert more["both recesses"].loss < 0.7 * more["both recesses"].prior
    with pytest.raises(UsageError, match="other folds"):
        train_fold(crops, labels, images, tmp_path / "third", 0, config=short, options=FoldOptions(folds=3, start=runs))
    (tmp_path / "model").mkdir()
    write_ensemble(tmp_path / "model", runs, "hybrid", oof, measured, ())
    model = load_folder(tmp_path / "model", task="severity_axial_crops")
    assert len(model.networks) == 2
    image = np.full((60, 85, 3), 50, np.uint8)
    image[20:40, 50:65] += np.uint8(120)
    grades = CropGrader(model).grade([image], [crops[0].level], ["x"])
    assert grades.clinical[0, 3, 2] > grades.clinical[0, 4, 2] + 0.2
