"""Fitting the calibration of the foraminal grader on out-of-fold predictions."""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.metrics.calibration import conformal_threshold, fit_temperature, reweighted, tempered
from lumbar.severity.foramina.calibration import ForamenGrades, LevelCalibration
from lumbar.severity.learn.calibrate import COVERAGE
from lumbar.severity.score import GRADE_WEIGHTS

_WEIGHTS = np.array(GRADE_WEIGHTS)


def fit_level_calibration(raw: NDArray[np.float64], targets: NDArray[np.int64], levels: NDArray[np.int64]) -> LevelCalibration:
    """The calibration for raw probabilities (n, 3) of `targets` (n,), −1 where unlabelled, at `levels` (n,) 0 … 4."""
    metric, clinical, thresholds = [], [], []
    for level in range(len(Level)):
        own = (levels == level) & (targets >= 0)
        p, y = raw[own], targets[own]
        metric.append(fit_temperature(p, y, _WEIGHTS))
        plain = reweighted(p, 1 / _WEIGHTS)
        clinical.append(fit_temperature(plain, y, np.ones(3)))
        thresholds.append(conformal_threshold(tempered(plain, clinical[-1]), y, COVERAGE))
    return LevelCalibration(tuple(metric), tuple(clinical), tuple(thresholds))


def crossfitted_levels(raw: NDArray[np.float64], targets: NDArray[np.int64], levels: NDArray[np.int64], folds: NDArray[np.int64]) -> ForamenGrades:
    """Outputs for each of `folds` (n,) with the calibration fitted on the other folds, as for new studies."""
    result = ForamenGrades(np.empty_like(raw), np.empty_like(raw), np.zeros(raw.shape, bool))
    for fold in np.unique(folds):
        own = folds == fold
        grades = fit_level_calibration(raw[~own], targets[~own], levels[~own]).apply(raw[own], levels[own])
        result.metric[own], result.clinical[own], result.sets[own] = grades.metric, grades.clinical, grades.sets
    return result
