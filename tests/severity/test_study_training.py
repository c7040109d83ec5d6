"""Losses, blending, augmentation and early stopping of whole studies; from images to a model folder."""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from painted_study import write_data_set  # noqa: E402

from lumbar.batch.calls import run_calls  # noqa: E402
from lumbar.batch.work import EngineOptions  # noqa: E402
from lumbar.datasets.rsna2024 import read_rsna2024  # noqa: E402
from lumbar.datasets.rsna2024_grades import read_grades  # noqa: E402
from lumbar.models.folder import load_folder  # noqa: E402
from lumbar.severity.learn.axial.augment import CropAugmentOptions  # noqa: E402
from lumbar.severity.learn.cutmix import MixOptions, mix  # noqa: E402
from lumbar.severity.learn.losses import any_severe_loss  # noqa: E402
from lumbar.severity.learn.studies.augment import StudyAugmentOptions, augmented  # noqa: E402
from lumbar.severity.learn.studies.axial_crops import axial_crops  # noqa: E402
from lumbar.severity.learn.studies.folds import StudyFoldOptions, split_studies, train_study_fold  # noqa: E402
from lumbar.severity.learn.studies.model import grade_held_out_studies, write_study_model  # noqa: E402
from lumbar.severity.learn.studies.network import StudyNetworkOptions  # noqa: E402
from lumbar.severity.learn.studies.prepare import PrepareOptions, prepare  # noqa: E402
from lumbar.severity.learn.studies.train import RandomStudyBatches, StudyTraining, train_studies  # noqa: E402
from lumbar.severity.studies.data import InputOptions, StudySet, from_store, study_inputs  # noqa: E402
from lumbar.severity.studies.grader import StudyGrader  # noqa: E402
from lumbar.severity.studies.store import open_store  # noqa: E402
from lumbar.severity.studies.views import SHAPES, View  # noqa: E402
from lumbar.training.fit import FitOptions  # noqa: E402

STILL_CROPS = CropAugmentOptions(0, 0, (1.0, 1.0), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
STILL = StudyAugmentOptions(STILL_CROPS, STILL_CROPS, 0, 0, 0, 0, 0)
TINY = StudyNetworkOptions(encoder="tiny", width=16, layers=1, heads=2)


def some_studies(count: int = 6) -> StudySet:
    rng = np.random.default_rng(0)
    images = {
        view: np.repeat(rng.integers(0, 255, (count, *shape[:-2], shape[-2] // 8, shape[-1] // 8), np.uint8), 8, -1).repeat(8, -2)
        for view, shape in SHAPES.items()
    }
    present = np.ones((count, 5, 4), bool)
    names = np.array([f"s{k}" for k in range(count)])
    return StudySet(names, rng.integers(-1, 3, (count, 5, 5)), present, np.arange(count), images)


def test_axial_crops_of_studies_keep_their_level_and_grades() -> None:
    data = some_studies(4)
    data.present[2, 3, 3] = False  # the third study has no axial crop at L4/L5
    crops = axial_crops(data.subset(np.array([True, False, True, True])))
    assert len(crops.images) == 14
    assert crops.studies.tolist() == ["s0"] * 5 + ["s2"] * 4 + ["s3"] * 5
    assert crops.levels.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 4, 0, 1, 2, 3, 4]
    np.testing.assert_array_equal(crops.images[8][..., 2], data.images[View.AXIAL][2, 4, 0, 2])
    np.testing.assert_array_equal(crops.targets[8], data.targets[2, :, 4])
    both = crops.joined(crops.subset(crops.studies == "s3"))
    assert both.studies.tolist()[14:] == ["s3"] * 5
    np.testing.assert_array_equal(both.images[14:], crops.images[9:])


def test_the_any_severe_term_by_hand() -> None:
    """Study 0: severe at its second canal, p = max(0.2, 0.7), weight 4. Study 1: nothing severe, p = 0.5, weight 2; its unlabelled row does not count."""
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.2, 0.3, 0.5], [0.0001, 0.0001, 0.9998]])
    labels = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0], [0, 0, 0]])
    loss = any_severe_loss(p.log(), labels, torch.tensor([1.0, 1, 1, 0]), torch.tensor([4, 4, 9, 9]))
    assert loss.item() == pytest.approx((4 * -math.log(0.7) + 2 * -math.log(0.5)) / 6, rel=1e-5)


def test_cutmix_gives_labels_the_share_of_the_pasted_area() -> None:
    x, partner = torch.stack([torch.zeros(3, 40, 50), torch.ones(3, 40, 50)]), torch.tensor([1, 0])
    labels = torch.tensor([[[1.0, 0, 0]], [[0, 0, 1.0]]])
    (mixed,), shared = mix([x], labels, partner, MixOptions(0.0, 1.0, cut_share=(0.25, 0.25)), torch.Generator().manual_seed(0))
    assert mixed[0].mean().item() == pytest.approx(0.25, abs=0.01)
    assert set(mixed[0].unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(shared[0, 0], torch.tensor([0.75, 0, 0.25]))
    labels[1] = 0  # unlabelled: the other label is kept
    _, shared = mix([x], labels, partner, MixOptions(0.0, 1.0), torch.Generator().manual_seed(0))
    assert shared[0, 0].tolist() == [1, 0, 0]
    assert shared[1, 0].tolist() == [0, 0, 0]


def test_mixup_blends_images_and_labels_alike() -> None:
    x = torch.stack([torch.zeros(2, 8, 8), torch.ones(2, 8, 8)])
    labels = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    (mixed,), shared = mix([x], labels, torch.tensor([1, 0]), MixOptions(1.0, 0.0), torch.Generator().manual_seed(3))
    assert 0 < mixed[0].mean() < 0.5
    assert shared[0, 1].item() == pytest.approx(mixed[0].mean().item(), rel=1e-5)


def test_without_augmentation_training_and_inference_inputs_are_equal() -> None:
    data = some_studies(2)
    drawn = np.array([1, 0])
    changed = augmented(data, drawn, STILL, torch.Generator().manual_seed(0))
    wanted = study_inputs(data, drawn, InputOptions())
    assert changed.targets.tolist() == data.targets[drawn].tolist()
    for view in View:
        seen, same = changed.views[view].flatten(), torch.from_numpy(wanted[view.value]).flatten()
        assert torch.corrcoef(torch.stack([seen, same]))[0, 1] > 0.97, view


def test_mirroring_swaps_all_lateral_quantities() -> None:
    data = some_studies(1)
    data.present[0, :, 1] = False
    straight = augmented(data, np.array([0]), STILL, torch.Generator().manual_seed(0))
    turned = augmented(data, np.array([0]), replace(STILL, mirror_probability=1.0), torch.Generator().manual_seed(0))
    assert turned.targets.tolist() == straight.targets[:, [0, 2, 1, 4, 3]].tolist()
    torch.testing.assert_close(turned.present, straight.present[:, :, [0, 2, 1, 3]])
    torch.testing.assert_close(turned.views[View.FORAMEN], straight.views[View.FORAMEN].flip(2))
    torch.testing.assert_close(turned.views[View.CANAL], straight.views[View.CANAL].flip(3))
    torch.testing.assert_close(turned.views[View.AXIAL], straight.views[View.AXIAL].flip(-1), atol=1e-3, rtol=0)


def test_slice_jitter_takes_the_neighbouring_slices() -> None:
    data = some_studies(1)
    for k in range(5):
        data.images[View.FORAMEN][:, :, :, k, ::2] = 20 + 40 * k  # every other row encodes the slice
        data.images[View.FORAMEN][:, :, :, k, 1::2] = 0
    options = replace(STILL, slice_jitter_probability=1.0)
    seen = augmented(data, np.array([0]), options, torch.Generator().manual_seed(0)).views[View.FORAMEN][0].flatten(0, 1)
    order = seen.mean((2, 3)).diff(dim=1)
    assert (order > 0).all()  # still three neighbours in order
    wide = (seen[:, 2] - seen[:, 0]).mean((1, 2)) / seen.std((1, 2, 3))
    assert wide.unique(dim=0).shape[0] >= 2  # some one slice inwards, some one outwards


def test_batches_come_from_one_source_and_missing_views_are_none() -> None:
    full = some_studies(8)
    axial = StudySet(full.names, full.targets, full.present & np.array([False, False, False, True]), full.rows, {View.AXIAL: full.images[View.AXIAL]})
    config = StudyTraining(network=TINY, studies_per_batch=4, mix=MixOptions(0, 0))
    kinds = set()
    for batch, _ in zip(RandomStudyBatches([full, axial], config), range(8), strict=False):
        assert (batch.canal is None) == (batch.foramen is None) == (batch.present[:, :, :3].sum() == 0)
        kinds.add(batch.canal is None)
        assert batch.axial is not None
    assert kinds == {True, False}


def test_a_study_in_two_sources_is_in_one_fold() -> None:
    first, second = some_studies(8), some_studies(4)
    folds = split_studies([first, second], 4, 0)
    assert len(folds) == 8
    assert sorted(folds.values()) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_training_stops_early_keeps_the_best_weights_and_resumes(tmp_path: Path) -> None:
    data = some_studies(6)
    config = StudyTraining(
        network=TINY,
        augment=STILL,
        mix=MixOptions(0, 0),
        fit=FitOptions(steps=60, threads=1, checkpoint_every=2),
        validate_every=2,
        patience=3,
        learning_rate=0.05,
    )
    held_out = replace(data, targets=2 - data.targets.clip(0))  # gets worse with training
    trained = train_studies([data], held_out, tmp_path / "run", config)
    assert trained.best_step < 50
    note = json.loads((tmp_path / "run" / "training.json").read_text())
    assert note["best_score"] == pytest.approx(trained.best_score)
    assert 0 <= note["loader_idle_share"] < 1
    stopped = int(torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["global_step"])
    assert stopped < 60
    again = train_studies([data], held_out, tmp_path / "run", replace(config, patience=100))
    assert (again.best_score, again.best_step) == (pytest.approx(trained.best_score), trained.best_step) or again.best_score < trained.best_score  # remembered
    assert int(torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)["global_step"]) == 60


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_from_a_data_set_to_a_model_folder_that_grades(tmp_path: Path) -> None:
    """Brightness at the labels encodes severity: two short folds learn this from crops, and the packed model grades the correct sides."""
    rng = np.random.default_rng(0)
    grades = rng.integers(0, 3, (16, 5, 5))
    numbers = list(range(500, 516))
    write_data_set(tmp_path, numbers, grades)
    data = read_rsna2024(tmp_path)
    assert not data.problems
    run = partial(run_calls, folder=tmp_path / "store", engine=EngineOptions())
    outcomes = list(prepare(data, tmp_path / "train_images", [str(n) for n in numbers], tmp_path / "store", PrepareOptions(), run))
    assert not [o for o in outcomes if o.failure]
    studies = from_store(open_store(tmp_path / "store"), read_grades(tmp_path / "train.csv"))
    config = StudyTraining(network=TINY, fit=FitOptions(steps=120, threads=1, average_decay=0.95), mix=MixOptions(0, 0), validate_every=40, learning_rate=4e-3)
    for fold in range(2):
        train_study_fold([studies], tmp_path / "runs", fold, config, StudyFoldOptions(folds=2))
    oof = grade_held_out_studies(studies, tmp_path / "runs", "hybrid", InputOptions())
    score, prior, _ = oof.scores(10)
    assert score.official_score < 0.8 * prior.official_score
    (tmp_path / "model").mkdir()
    write_study_model(tmp_path / "model", tmp_path / "runs", "hybrid", oof, (), wanted=InputOptions(), research_only=False)
    model = load_folder(tmp_path / "model", task="severity_studies")
    answers = StudyGrader(model).grade(studies).clinical
    severe, normal = answers[..., 2][grades == 2], answers[..., 2][grades == 0]
    assert severe.mean() > normal.mean() + 0.3


def test_a_jittered_crop_of_five_slices_repeats_its_last_slice() -> None:
    data = some_studies(1)
    for k in range(5):
        data.images[View.FORAMEN][:, :, :, k, ::2] = 20 + 40 * k
        data.images[View.FORAMEN][:, :, :, k, 1::2] = 0
    five = InputOptions(slices=5)
    still = augmented(data, np.array([0]), STILL, torch.Generator().manual_seed(0), wanted=five).views[View.FORAMEN][0, 0, 0]
    assert still.shape[0] == 5
    assert (still.mean((1, 2)).diff() > 0).all()
    jittered = augmented(data, np.array([0]), replace(STILL, slice_jitter_probability=1.0), torch.Generator().manual_seed(0), wanted=five)
    equal = (jittered.views[View.FORAMEN][0].flatten(0, 1).mean((2, 3)).diff(dim=1).abs() < 1e-3).sum(1)
    assert equal.tolist() == [1] * 10
    assert study_inputs(data, np.array([0]), five)["canal"].shape == (1, 5, 1, 5, 64, 64)
