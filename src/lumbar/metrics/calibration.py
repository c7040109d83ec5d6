"""Calibration of probabilities: reliability, temperature scaling, conformal sets.

Guo et al., On calibration of modern neural networks (2017); Sadinle, Lei & Wasserman, Least ambiguous set-valued classifiers (2019).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.metrics.conformal import conformal_quantile

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows whose highest probability lies in one bin."""

    low: float
    high: float
    rows: int
    confidence: float  # mean of the highest probabilities
    accuracy: float  # share of rows whose most likely class is the true one


def reliability(probabilities: Floats, targets: Classes, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """The filled ones of `bins` equal bins of the highest probability."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    filled = [(number, place == number) for number in np.unique(place)]
    return tuple(
        ReliabilityBin(number / bins, (number + 1) / bins, int(rows.sum()), float(confidence[rows].mean()), float(right[rows].mean()))
        for number, rows in filled
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Mean gap between confidence and accuracy, weighted by rows; NaN without rows."""
    total = sum(b.rows for b in bins)
    return sum(b.rows * abs(b.confidence - b.accuracy) for b in bins) / total if total else float("nan")


def reweighted(probabilities: Floats, factors: Floats) -> Floats:
    """Probabilities (…, classes) times `factors` (classes,), scaled to sum to 1.

    Training with class weights w makes a network give p·w / Σ p·w; factors of 1/w undo it.
    """
    changed = probabilities * factors
    return np.asarray(changed / changed.sum(axis=-1, keepdims=True))


def tempered(probabilities: Floats, temperature: float) -> Floats:
    """Probabilities (…, classes) of the logits divided by `temperature`; above 1 they become less confident."""
    logits = np.log(np.clip(probabilities, 1e-12, 1)) / temperature
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def fit_temperature(probabilities: Floats, targets: Classes, class_weights: Floats) -> float:
    """The temperature, 0.3 to 3, under which the weighted log loss is least; 1 without rows."""
    if not len(targets):
        return 1.0
    from scipy.optimize import minimize_scalar  # noqa: PLC0415  (only fitting needs it, and its import is slow)

    weights = class_weights[targets]

    def loss(log_temperature: float) -> float:
        p = tempered(probabilities, float(np.exp(log_temperature)))[np.arange(len(targets)), targets]
        return float(-(weights * np.log(np.clip(p, 1e-15, 1))).sum() / weights.sum())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.3), np.log(3.0)), method="bounded").x))


def conformal_threshold(probabilities: Floats, targets: Classes, coverage: float) -> float:
    """The least probability that a class needs to be in the set, so that sets hold the true class with `coverage` on exchangeable rows.

    Split conformal prediction with the score 1 − p_true and the quantile ⌈(n + 1)·coverage⌉ of n rows; 0 (every class is in) where n is too small.
    """
    score = conformal_quantile(1 - probabilities[np.arange(len(targets)), targets], coverage)
    return 1 - score if np.isfinite(score) else 0.0


def conformal_sets(probabilities: Floats, threshold: float) -> NDArray[np.bool_]:
    """(n, classes) which classes are in each row's set; the most likely one always is."""
    sets = probabilities >= threshold
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return np.asarray(sets)
