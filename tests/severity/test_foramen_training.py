"""Training of the foraminal grader: what its network depends on, which labels it is given, and that a short training learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lumbar.datasets.foramina import ForamenPoint  # noqa: E402
from lumbar.domain.anatomy import Level, Severity, Side  # noqa: E402
from lumbar.models.runtime import Network  # noqa: E402
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS, STORED_SIZE  # noqa: E402
from lumbar.severity.foramina.grader import Foramina, raw_probabilities  # noqa: E402
from lumbar.severity.foramina.table import related_targets  # noqa: E402
from lumbar.severity.learn.foramina.folds import export_network, split  # noqa: E402
from lumbar.severity.learn.foramina.network import ForamenNetwork, NetworkOptions  # noqa: E402
from lumbar.severity.learn.foramina.train import ForamenTraining, LabelledForamina, RandomStudies, train  # noqa: E402
from lumbar.training.fit import FitOptions  # noqa: E402

TINY = NetworkOptions(features=(4, 8), blocks=(1, 1), width=16, layers=1, heads=2, dropout=0.0)


def a_network() -> ForamenNetwork:
    torch.manual_seed(0)
    network = ForamenNetwork(TINY).eval()
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network


def test_nothing_depends_on_which_side_is_which() -> None:
    network = a_network()
    crops, levels, sides = torch.randn(6, 1, CROP_ROWS, CROP_COLUMNS), torch.tensor([0, 1, 2, 2, 3, 4]), torch.tensor([0, 0, 0, 1, 1, 1])
    with torch.no_grad():
        straight, swapped = network(crops, levels, sides, sides * 0), network(crops, levels, 1 - sides, sides * 0)
        alone = network(crops, levels, sides, torch.arange(6))
    for once, again, single in zip(straight, swapped, alone, strict=True):  # the foramen, and what is beside it
        torch.testing.assert_close(once, again)
        assert (once - single).abs().max() > 1e-4  # the other foramina of the study are looked at
    assert [answer.shape for answer in straight] == [(6, 3), (6, 2, 3)]


def test_related_grades_are_those_of_the_same_level_and_side() -> None:
    point = ForamenPoint("a.webp", "7", Side.RIGHT, Level.L4_L5, 0.0, 0.0)
    grades = {
        "7": {
            "spinal_canal_stenosis_l4_l5": Severity.MODERATE,
            "right_subarticular_stenosis_l4_l5": Severity.SEVERE,
            "left_subarticular_stenosis_l4_l5": Severity.NORMAL_MILD,
            "spinal_canal_stenosis_l3_l4": None,
        }
    }
    points = [point, replace(point, side=Side.LEFT), replace(point, level=Level.L3_L4), replace(point, study_id="8")]
    np.testing.assert_array_equal(related_targets(points, grades), [[1, 2], [1, 0], [-1, -1], [-1, -1]])


def bright_is_severe(studies: int, seed: int) -> LabelledForamina:
    """Two foramina a study; a bright spot in the middle means severe, a dark one normal. The recess is unlabelled, the canal the same as the foramen."""
    rng = np.random.default_rng(seed)
    count = 2 * studies
    grades = rng.choice([0, 2], count)
    crops = rng.normal(110, 12, (count, STORED_SIZE, STORED_SIZE))
    crops[:, 38:58, 38:58] += np.where(grades == 2, 80.0, -80.0)[:, None, None]
    targets = np.stack([grades, grades, np.full(count, -1)], axis=1)
    names = np.repeat([f"study{number:03d}" for number in range(studies)], 2)
    nothing = np.zeros((0, STORED_SIZE, STORED_SIZE), np.uint8)
    crops = np.clip(crops, 0, 255).astype(np.uint8)
    return LabelledForamina(crops, np.tile([2, 3], studies), np.tile([0, 1], studies), names, targets, nothing, np.zeros(0, np.int64))


def test_a_batch_contains_whole_studies_with_labels() -> None:
    foramina = bright_is_severe(6, 1)
    plain = ForamenTraining(studies_per_batch=3, absence_probability=0.0, alone_probability=0.0, smoothing=0.0)
    plain = replace(plain, mix=replace(plain.mix, mixup_probability=0.0, cutmix_probability=0.0))
    crops, _, _, owners, labels, known = next(iter(RandomStudies(foramina, plain)))
    assert crops.shape[:2] == (6, 1) and labels.shape == (6, 3, 3)
    np.testing.assert_array_equal(known, np.tile([1, 1, 0], (6, 1)))
    torch.testing.assert_close(labels[:, 0], labels[:, 1])
    assert sorted(torch.unique(owners, return_counts=True)[1].tolist()) == [2, 2, 2]
    middle = crops[:, 0, crops.shape[2] // 2 - 2 : crops.shape[2] // 2 + 2, crops.shape[3] // 2 - 2 : crops.shape[3] // 2 + 2].mean((1, 2))
    np.testing.assert_array_equal(middle > 0, labels[:, 0, 2] == 1)  # the labels belong to the crops


def test_known_folds_are_kept_and_studies_are_not_split() -> None:
    foramina = bright_is_severe(40, 2)
    fold_of = split(foramina, {"study000": 3, "elsewhere": 1})
    assert fold_of["study000"] == 3 and "elsewhere" not in fold_of and len(fold_of) == 40
    severe = [sum(foramina.targets[foramina.studies == study, 0] == 2) for study in fold_of]
    shares = [np.mean([s for s, f in zip(severe, fold_of.values(), strict=True) if f == fold]) for fold in range(5)]
    assert max(shares) - min(shares) < 0.6


@pytest.mark.slow
def test_a_short_training_learns_and_its_network_runs_without_pytorch(tmp_path: Path) -> None:
    config = ForamenTraining(TINY, fit=FitOptions(steps=60, precision="32-true", average_decay=0.9, threads=1), coarse_share=0.0, learning_rate=5e-3)
    module = train(bright_is_severe(40, 3), tmp_path / "run", config)
    export_network(module.network, tmp_path / "model.onnx")
    held = bright_is_severe(30, 4)
    _, studies = np.unique(held.studies, return_inverse=True)
    network = Network((tmp_path / "model.onnx").read_bytes(), "here", 1)
    answers = raw_probabilities([network], Foramina(held.crops, held.levels, held.sides, studies))
    assert answers.shape == (60, 3, 3)
    assert (answers[:, 1].argmax(axis=1) == answers[:, 0].argmax(axis=1)).mean() > 0.9  # the canal was given the same labels
    assert (answers[:, 0, [0, 2]].argmax(axis=1) * 2 == held.targets[:, 0]).mean() > 0.95
