"""Fitting the calibration on out-of-fold predictions."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition
from lumbar.metrics.calibration import conformal_sets, conformal_threshold, fit_temperature, reweighted
from lumbar.severity.calibration import Calibration, CropGrades
from lumbar.severity.score import GRADE_WEIGHTS

COVERAGE = 0.9
_WEIGHTS = np.array(GRADE_WEIGHTS)


def fit_calibration(raw: NDArray[np.float64], targets: NDArray[np.int64]) -> Calibration:
    """The calibration for raw probabilities (n, 5, 3) of `targets` (n, 5), −1 where unlabelled; left and right share theirs."""
    metric, clinical, thresholds = [], [], []
    for places in _PAIRS:
        p, y = _labelled(raw, targets, places)
        metric.append(fit_temperature(p, y, _WEIGHTS))
        clinical.append(fit_temperature(reweighted(p, 1 / _WEIGHTS), y, np.ones(3)))
    temperatures = Calibration(_spread(metric), _spread(clinical), (0.0,) * len(Condition))
    grades = temperatures.apply(raw)
    for places in _PAIRS:
        thresholds.append(conformal_threshold(*_labelled(grades.clinical, targets, places), COVERAGE))
    return Calibration(temperatures.metric_temperature, temperatures.clinical_temperature, _spread(thresholds))


def crossfitted(raw: NDArray[np.float64], targets: NDArray[np.int64], folds: NDArray[np.int64]) -> tuple[CropGrades, NDArray[np.bool_]]:
    """Calibrated probabilities and conformal sets (n, 5, 3) of each fold (n,), with the calibration fitted on the other folds, as for new studies."""
    metric, clinical, sets = np.empty_like(raw), np.empty_like(raw), np.zeros(raw.shape, bool)
    for fold in np.unique(folds):
        own = folds == fold
        calibration = fit_calibration(raw[~own], targets[~own])
        grades = calibration.apply(raw[own])
        metric[own], clinical[own] = grades.metric, grades.clinical
        for place, threshold in enumerate(calibration.conformal_threshold):
            sets[own, place] = conformal_sets(grades.clinical[:, place], threshold)
    return CropGrades(metric, clinical), sets


def as_parameters(calibration: Calibration) -> dict[str, dict[str, float]]:
    """The calibration as stored in a card."""
    return {name: {c.value: value for c, value in zip(Condition, values, strict=True)} for name, values in asdict(calibration).items()}


_PAIRS = ((0,), (1, 2), (3, 4))  # places in `Condition` that share a calibration: canal, foramina, recesses


def _spread(values: list[float]) -> tuple[float, ...]:
    canal, foramina, recesses = values
    return canal, foramina, foramina, recesses, recesses


def _labelled(probabilities: NDArray[np.float64], targets: NDArray[np.int64], places: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p = np.concatenate([probabilities[:, place] for place in places])
    y = np.concatenate([targets[:, place] for place in places])
    return p[y >= 0], y[y >= 0]
