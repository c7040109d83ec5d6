"""The disc network: its inputs, its loss by hand, its independence of other images, training, and export."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lumbar.discs.crops import COLUMNS, DISC, ROWS, STORED_COLUMNS, STORED_ROWS, DiscCrops  # noqa: E402
from lumbar.discs.features import NAMES  # noqa: E402
from lumbar.discs.grader import FINDINGS, DiscGrader, network_input  # noqa: E402
from lumbar.discs.learn.augment import DiscAugmentOptions, augment_discs, disc_input  # noqa: E402
from lumbar.discs.learn.ensemble import (  # noqa: E402
    GradedImage,
    discs_out_of_fold,
    fold_numbers,
    scaler_of,
    train_disc_fold,
    write_disc_model,
)
from lumbar.discs.learn.network import DiscNetwork, DiscNetworkOptions  # noqa: E402
from lumbar.discs.learn.train import UNGRADED, DiscTraining, disc_loss, soft_grades  # noqa: E402
from lumbar.models.card import TrainingData  # noqa: E402
from lumbar.models.folder import load_folder  # noqa: E402
from lumbar.training.fit import FitOptions  # noqa: E402

SMALL = DiscNetworkOptions(features=(8, 8, 8, 8), blocks=(1, 1, 1, 1), width=16, layers=1, heads=2, measurements=len(NAMES))
NOTHING = DiscAugmentOptions(rotation_degrees=0, scale=0, shift=0, turn_over=0, gamma=0, gain=0, offset=0, suppress=0, noise=0, blur=0)


def stored(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (count, STORED_ROWS, STORED_COLUMNS)
    return rng.integers(0, 200, shape).astype(np.uint8), rng.integers(0, 4, shape).astype(np.uint8)


def middle(stored_crops: np.ndarray) -> np.ndarray:
    return stored_crops[:, 16:80, 24:120]


def test_training_and_inference_inputs_are_equal() -> None:
    greys, tissues = (middle(part) for part in stored(3))
    np.testing.assert_allclose(disc_input(torch.from_numpy(greys), torch.from_numpy(tissues)).numpy(), network_input(greys, tissues), atol=1e-6)


def test_without_augmentation_the_input_is_the_middle_of_the_stored_crop() -> None:
    greys, tissues = stored(4)
    generator = torch.Generator().manual_seed(0)
    view = augment_discs(torch.from_numpy(greys), torch.from_numpy(tissues), torch.tensor([0, 0, 1, 1]), NOTHING, generator, (ROWS, COLUMNS))
    np.testing.assert_allclose(view.numpy(), network_input(middle(greys), middle(tissues)), atol=1e-3)
    turned = augment_discs(
        torch.from_numpy(greys), torch.from_numpy(tissues), torch.tensor([0, 0, 1, 1]), replace(NOTHING, turn_over=1.0), generator, (ROWS, COLUMNS)
    )
    np.testing.assert_allclose(turned.numpy(), network_input(middle(greys), middle(tissues))[:, :, ::-1], atol=1e-3)


def test_the_loss_by_hand() -> None:
    config = DiscTraining(smoothing=0.0, ordinal_weight=1.0, findings_weight=0.5)
    logits = torch.zeros(2, 5 + len(FINDINGS))
    grades = torch.tensor([0, UNGRADED])
    findings = torch.full((2, len(FINDINGS)), UNGRADED)
    findings[1, 0] = 1
    # Uniform probabilities: -ln(1/5), and distances of cumulative probabilities of 0.8, 0.6, 0.4, 0.2; one finding at even odds.
    wanted = np.log(5) + (0.64 + 0.36 + 0.16 + 0.04) + 0.5 * np.log(2)
    assert float(disc_loss(logits, grades, findings, config)) == pytest.approx(wanted, abs=1e-5)
    np.testing.assert_allclose(soft_grades(torch.tensor([0, 2]), 0.1).numpy(), [[0.9, 0.1, 0, 0, 0], [0, 0.1, 0.8, 0.1, 0]], atol=1e-6)


def test_discs_attend_to_their_own_image_only() -> None:
    torch.manual_seed(0)
    network = DiscNetwork(SMALL).eval()
    crops, measured = torch.randn(4, 3, ROWS, COLUMNS), torch.randn(4, len(NAMES))
    steps, owners = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 0, 1, 1])
    with torch.no_grad():
        before = network(crops, steps, owners, measured)
        crops[3] += 1
        after = network(crops, steps, owners, measured)
    np.testing.assert_allclose(before[:2].numpy(), after[:2].numpy(), atol=1e-5)
    assert float((before[2] - after[2]).abs().max()) > 1e-4


def made_up(count: int) -> list[GradedImage]:
    """Images of three discs with grades given by brightness."""
    rng = np.random.default_rng(1)
    images = []
    for number in range(count):
        grades = rng.integers(0, 5, 3)
        tissues = np.zeros((3, STORED_ROWS, STORED_COLUMNS), np.uint8)
        tissues[:, 40:56, 40:90] = DISC
        greys = np.where(tissues == DISC, 180 - 35 * grades[:, None, None], 90) + rng.integers(-5, 5, tissues.shape)
        features = np.full((3, len(NAMES)), np.nan, np.float32)
        features[:, 0] = -grades + rng.normal(0, 0.1, 3)
        findings = np.stack([grades >= 3] * len(FINDINGS), axis=1).astype(np.int64)
        crops = DiscCrops(greys.astype(np.uint8), tissues, np.arange(3), features)
        images.append(GradedImage(f"person {number}", "made up", crops, grades, findings))
    return images


def test_folds_keep_patients_together() -> None:
    images = made_up(20)
    twice = images + [replace(p, source="again") for p in images]
    folds = fold_numbers(twice, 5, seed=3)
    np.testing.assert_array_equal(folds[:20], folds[20:])
    assert np.bincount(folds).tolist() == [8] * 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_folds_are_trained_and_packed_into_a_model(tmp_path: Path) -> None:
    images = made_up(24)
    folds, scaler = fold_numbers(images, 2, seed=0), scaler_of(images)
    config = DiscTraining(
        network=SMALL, augment=replace(DiscAugmentOptions(), suppress=0.0), images_per_batch=8, fit=FitOptions(steps=120, average_decay=0.9, threads=1)
    )
    for fold in range(2):
        train_disc_fold(images, folds, scaler, tmp_path, fold, config)
    oof = discs_out_of_fold(images, folds, scaler, tmp_path, threads=1)
    truth = np.concatenate([p.grades for p in images])
    for given in (oof.seen, oof.measured, oof.both):
        expected = np.concatenate([p[:, :5] @ np.arange(5) for p in given])
        assert np.corrcoef(expected, truth)[0, 1] > 0.9
    (tmp_path / "model").mkdir()
    card = write_disc_model(tmp_path / "model", tmp_path, 2, images, (), (TrainingData("made up", "none"),))
    assert card.research_only
    assert card.export_difference is not None
    assert card.export_difference < 0.05
    grader = DiscGrader(load_folder(tmp_path / "model", 1))
    middle_crops = replace(images[0].crops, greys=middle(images[0].crops.greys), tissues=middle(images[0].crops.tissues))
    seen = grader.network_probabilities(middle_crops)
    assert seen is not None
    assert np.abs(seen[:, :5] @ np.arange(5) - images[0].grades).max() < 1.2
