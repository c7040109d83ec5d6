"""Out-of-fold foraminal grades and their figures. Runs without PyTorch, from the networks saved in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.metrics.calibration import expected_calibration_error, reliability
from lumbar.metrics.classification import confusion_matrix, quadratic_kappa, roc_auc, weighted_log_loss
from lumbar.models.card import Result
from lumbar.models.runtime import open_network
from lumbar.severity.foramina.calibration import ForamenGrades
from lumbar.severity.foramina.grader import SCALES, Foramina, raw_probabilities
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fold_runs import FoldRuns

KIND = "foramina"  # of the folders of folds
# What the networks grade, in the order of their predictions.
FORAMEN, CANAL, RECESS = PARTS = "foramen", "canal from T1", "recess from T1"
_WEIGHTS = np.array(GRADE_WEIGHTS)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class ForamenFigures:
    """Figures of one part; temperatures and conformal thresholds are fitted on the other folds."""

    rows: int
    prior: float  # weighted log loss of the grade frequencies per level in the other folds
    loss: float  # weighted log loss of the metric-weighted output
    accuracy: float  # of the clinical output
    commonest: float  # accuracy of always predicting the commonest grade
    kappa: float  # quadratic
    auc_severe: float
    ece: float  # of the clinical output
    coverage: float  # of the conformal sets
    set_size: float


@dataclass(frozen=True)
class Measured:
    """Cross-validation results for the card."""

    figures: Mapping[str, ForamenFigures]  # by part: those of `PARTS`, and the levels of the foramina
    more: tuple[Result, ...]  # other results, such as of shifted points
    where: str  # evaluation data


def grade_held_out(foramina: Foramina, folds: NDArray[np.int64], runs: Path, scales: Sequence[float] = SCALES) -> Array:
    """(n, 3 conditions, 3) raw probabilities from the network of each foramen's fold, see `raw_probabilities`; NaN where that fold is not trained yet.

    Raises:
        ModelError: no fold is trained.
    """

    def predict(network: Path, own: NDArray[np.bool_]) -> Array:
        part = Foramina(foramina.crops[own], foramina.levels[own], foramina.sides[own], foramina.studies[own])
        return raw_probabilities([open_network(network, threads=1)], part, scales)

    return FoldRuns(runs, KIND).out_of_fold(folds, predict, cached=False)


def figures(
    grades: ForamenGrades, targets: NDArray[np.int64], levels: NDArray[np.int64], folds: NDArray[np.int64], part: str = FORAMEN
) -> dict[str, ForamenFigures]:
    """The figures of all rows of `part`, and of foramina those of each level too."""
    prior = level_prior(targets, levels, folds)
    parts = {part: targets >= 0}
    if part == FORAMEN:
        parts |= {level.value: (targets >= 0) & (levels == number) for number, level in enumerate(Level)}
    return {name: _figures(grades, targets, prior, own) for name, own in parts.items()}


def _figures(grades: ForamenGrades, targets: NDArray[np.int64], prior: Array, own: NDArray[np.bool_]) -> ForamenFigures:
    y, clinical, sets = targets[own], grades.clinical[own], grades.sets[own]
    return ForamenFigures(
        rows=len(y),
        prior=weighted_log_loss(prior[own], y, _WEIGHTS),
        loss=weighted_log_loss(grades.metric[own], y, _WEIGHTS),
        accuracy=float((clinical.argmax(axis=1) == y).mean()),
        commonest=float(np.bincount(y).max() / len(y)),
        kappa=quadratic_kappa(confusion_matrix(clinical.argmax(axis=1), y, 3)),
        auc_severe=roc_auc(clinical[:, 2], y == 2),
        ece=expected_calibration_error(reliability(clinical, y)),
        coverage=float(sets[np.arange(len(y)), y].mean()),
        set_size=float(sets.sum(axis=1).mean()),
    )


def level_prior(targets: NDArray[np.int64], levels: NDArray[np.int64], folds: NDArray[np.int64]) -> Array:
    """(n, 3) grade frequencies per level in the other folds, times the official weights."""
    result = np.empty((len(targets), 3))
    for fold in np.unique(folds):
        for level in np.unique(levels):
            others = targets[(folds != fold) & (levels == level) & (targets >= 0)]
            counts = (np.bincount(others, minlength=3) + 1e-9) * _WEIGHTS
            result[(folds == fold) & (levels == level)] = counts / counts.sum()
    return result
