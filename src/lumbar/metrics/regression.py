"""Regression metrics. Errors are *predicted minus true*; an undefined number is NaN."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]


def mean_absolute_error(true: ArrayLike, predicted: ArrayLike) -> float:
    """Mean of |predicted − true|."""
    return float(np.abs(np.subtract(predicted, true)).mean())


def root_mean_squared_error(true: ArrayLike, predicted: ArrayLike) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.square(np.subtract(predicted, true)).mean()))


def r_squared(true: ArrayLike, predicted: ArrayLike) -> float:
    """Share of variance explained, 1 − Σ(true − predicted)² / Σ(true − mean)²; negative where the mean would do better. Not Pearson's r squared."""
    values = np.asarray(true, dtype=np.float64)
    spread = float(np.square(values - values.mean()).sum())
    return 1 - float(np.square(np.subtract(predicted, true)).sum()) / spread if spread > 0 else float("nan")


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson's correlation; NaN for fewer than two different values on either side."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip((a @ b) / size, -1, 1)) if size > 1e-12 * max(1.0, float(np.abs(a).max() * np.abs(b).max())) else float("nan")


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation, ties at their mean rank."""
    return pearson(stats.rankdata(x), stats.rankdata(y))


def share_within(true: ArrayLike, predicted: ArrayLike, limit: float) -> float:
    """Share of rows whose absolute error is at most `limit`."""
    return float((np.abs(np.subtract(predicted, true)) <= limit).mean())


def slope(x: ArrayLike, y: ArrayLike) -> float:
    """Least-squares slope of `y` on `x`; NaN where `x` does not vary."""
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    centred = a - a.mean()
    spread = float(centred @ centred)
    return float(centred @ b) / spread if spread > 0 else float("nan")


def icc_one_way(values: ArrayLike, subjects: ArrayLike) -> float:
    """ICC(1,1): share of the variance that lies between subjects, for repeats in no particular order, any number a subject.

    One-way random effects, Shrout & Fleiss (1979); for unequal numbers of repeats k₀ = (N − Σkᵢ²/N)/(n − 1) (Donner 1986). NaN for fewer than two
    subjects or without repeats.
    """
    value = np.asarray(values, dtype=np.float64)
    _, code = np.unique(np.asarray(subjects), return_inverse=True)
    count = np.bincount(code)
    n, total = len(count), len(value)
    if n < 2 or total <= n:
        return float("nan")
    means = np.bincount(code, weights=value) / count
    between = float((count * (means - value.mean()) ** 2).sum()) / (n - 1)
    within = float(np.square(value - means[code]).sum()) / (total - n)
    repeats = (total - float((count**2).sum()) / total) / (n - 1)
    whole = between + (repeats - 1) * within
    return (between - within) / whole if whole > 0 else float("nan")


def within_subject_sd(values: ArrayLike, subjects: ArrayLike) -> float:
    """Standard deviation of repeats of one subject, pooled over subjects; NaN without repeats (Bland & Altman 1996)."""
    value = np.asarray(values, dtype=np.float64)
    _, code = np.unique(np.asarray(subjects), return_inverse=True)
    count = np.bincount(code)
    if len(value) <= len(count):
        return float("nan")
    means = np.bincount(code, weights=value) / count
    return float(np.sqrt(np.square(value - means[code]).sum() / (len(value) - len(count))))


def interval_coverage(true: ArrayLike, low: ArrayLike, high: ArrayLike) -> float:
    """Share of rows whose true value lies in its interval, ends included."""
    value = np.asarray(true, dtype=np.float64)
    return float(((value >= np.asarray(low)) & (value <= np.asarray(high))).mean())
