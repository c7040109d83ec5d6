"""Out-of-fold grades and their figures. Runs without PyTorch, from the networks saved in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.axial_crops import AxialCrop, read_image
from lumbar.metrics.calibration import expected_calibration_error, reliability
from lumbar.metrics.classification import confusion_matrix, quadratic_kappa, roc_auc, weighted_log_loss
from lumbar.models.runtime import open_network
from lumbar.severity.axial.data import level_numbers
from lumbar.severity.axial.grader import raw_probabilities
from lumbar.severity.learn.calibrate import crossfitted
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fold_runs import FoldRuns

Array = NDArray[np.float64]

# Name of a row of the table → places in `Condition`.
PARTS = {"canal": (0,), "foramen": (1, 2), "left recess": (3,), "right recess": (4,), "both recesses": (3, 4)}
HEADLINES = tuple((part, name) for part in ("canal", "foramen", "both recesses") for name in ("loss", "auc_severe"))  # in every findings.json
_WEIGHTS = np.array(GRADE_WEIGHTS)


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Crops with raw out-of-fold grades."""

    crops: Sequence[AxialCrop]
    targets: NDArray[np.int64]  # (n, 5), −1 where unlabelled
    raw: NDArray[np.float64]  # (n, 5, 3)
    folds: NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class PartFigures:
    """Figures of one part; temperatures and conformal thresholds are fitted on the other folds."""

    rows: int
    prior: float  # weighted log loss of the grade frequencies per level in the other folds
    uncalibrated: float  # weighted log loss
    loss: float  # the same after calibration
    accuracy: float  # of the clinical output
    commonest: float  # accuracy of always predicting the commonest grade
    kappa: float  # quadratic
    auc_severe: float
    ece: float  # of the clinical output
    coverage: float  # of the conformal sets
    set_size: float


def grade_held_out(crops: Sequence[AxialCrop], targets: NDArray[np.int64], images: Path, runs: Path, kind: str = "hybrid", threads: int = 0) -> OutOfFold:
    """Grade each study with the network of its fold; untrained folds are skipped, and grades are cached beside the network.

    Raises:
        ModelError: `runs` has no splits, or no trained fold.
    """
    fold_runs = FoldRuns(runs, kind)
    fold_of = fold_runs.splits()
    folds = np.array([fold_of[crop.study_id] for crop in crops])

    def predict(network: Path, own: NDArray[np.bool_]) -> Array:
        chosen = [crops[i] for i in np.flatnonzero(own).tolist()]
        crop_images = [read_image(images / crop.file) for crop in chosen]
        return raw_probabilities((open_network(network, threads),), crop_images, [c.level for c in chosen], [c.study_id for c in chosen])

    raw = fold_runs.out_of_fold(folds, predict)
    there = np.isfinite(raw[:, 0, 0])
    return OutOfFold([crop for crop, known in zip(crops, there, strict=True) if known], targets[there], raw[there], folds[there])


def figures(oof: OutOfFold) -> dict[str, PartFigures]:
    """The table of one cross-validation; with a single fold, calibration is fitted across two halves of its studies."""
    halves = oof.folds if len(np.unique(oof.folds)) > 1 else _halves(oof.crops)
    grades, sets = crossfitted(oof.raw, oof.targets, halves)
    levels = level_numbers(oof.crops)
    result = {}
    for name, places in PARTS.items():
        y = np.concatenate([oof.targets[:, place] for place in places])
        known = y >= 0
        if not known.any():  # the table may lack foraminal grades
            continue
        y = y[known]
        raw, metric, clinical, held = (np.concatenate([p[:, place] for place in places])[known] for p in (oof.raw, grades.metric, grades.clinical, sets))
        prior = _level_prior(y, np.tile(levels, len(places))[known], np.tile(halves, len(places))[known])
        result[name] = PartFigures(
            rows=len(y),
            prior=weighted_log_loss(prior, y, _WEIGHTS),
            uncalibrated=weighted_log_loss(raw, y, _WEIGHTS),
            loss=weighted_log_loss(metric, y, _WEIGHTS),
            accuracy=float((clinical.argmax(axis=1) == y).mean()),
            commonest=float(np.bincount(y).max() / len(y)),
            kappa=quadratic_kappa(confusion_matrix(clinical.argmax(axis=1), y, 3)),
            auc_severe=roc_auc(clinical[:, 2], y == 2),
            ece=expected_calibration_error(reliability(clinical, y)),
            coverage=float(held[np.arange(len(y)), y].mean()),
            set_size=float(held.sum(axis=1).mean()),
        )
    return result


def _halves(crops: Sequence[AxialCrop]) -> NDArray[np.int64]:
    """Two halves by study, where there is one fold only."""
    _, number = np.unique([crop.study_id for crop in crops], return_inverse=True)
    return np.asarray(number % 2)


def _level_prior(y: NDArray[np.int64], levels: NDArray[np.int64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) grade frequencies per level in the other folds, times the weights."""
    result = np.empty((len(y), 3))
    for fold in np.unique(folds):
        for level in np.unique(levels):
            counts = (np.bincount(y[(folds != fold) & (levels == level)], minlength=3) + 1e-9) * _WEIGHTS
            result[(folds == fold) & (levels == level)] = counts / counts.sum()
    return result
