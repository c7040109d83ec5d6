"""Agreement of two methods that measure one quantity on the same cases.

Differences are always *measured minus reference* (automatic minus manual), and spreads use n − 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from lumbar.errors import UsageError


@dataclass(frozen=True)
class Agreement:
    """Agreement over `n` cases, in the unit of the measurements unless noted otherwise."""

    n: int
    mae: float  # mean absolute difference
    bias: float  # mean difference
    loa_low: float  # Bland–Altman limits of agreement: bias ∓ 1.96 standard deviations of the differences
    loa_high: float
    icc_2_1: float  # two-way random effects, absolute agreement, single measurement (Shrout and Fleiss 1979)
    icc_2_1_low: float  # 95 % interval (McGraw and Wong 1996)
    icc_2_1_high: float
    pearson: float
    tost_p: float  # larger p value of the two one-sided paired t tests (Schuirmann 1987)
    tost_margin: float  # the margin: `margin_share` of the mean reference
    equivalent: bool  # tost_p below 0.05: the mean difference lies within the margin


def agreement(reference: ArrayLike, measured: ArrayLike, margin_share: float = 0.05) -> Agreement:
    """Compare `measured` (n,) with `reference` (n,), case by case.

    Raises:
        UsageError: fewer than three cases, arrays of different length, or values that are not numbers.
    """
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size < 3:
        raise UsageError(f"agreement needs at least three pairs of values; found {a.size} and {b.size}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UsageError("agreement needs a number in every row; some values are missing")
    difference = b - a
    bias, spread = float(difference.mean()), float(difference.std(ddof=1))
    icc, low, high = icc_2_1(np.column_stack([a, b]))
    margin = margin_share * float(np.abs(a).mean())
    p = _tost(difference, margin)
    pearson = float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else float("nan")
    return Agreement(a.size, float(np.abs(difference).mean()), bias, bias - 1.96 * spread, bias + 1.96 * spread, icc, low, high, pearson, p, margin, p < 0.05)


def icc_2_1(ratings: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float, float]:
    """ICC(2,1) of `ratings` (cases, raters) and its interval.

    Estimate: Shrout and Fleiss (1979), Psychol Bull 86:420. Interval: McGraw and Wong (1996), Psychol Methods 1:30, ICC(A,1).
    """
    n, k = ratings.shape
    mean = ratings.mean()
    rows = k * float(((ratings.mean(axis=1) - mean) ** 2).sum()) / (n - 1)
    columns = n * float(((ratings.mean(axis=0) - mean) ** 2).sum()) / (k - 1)
    rest = ratings - ratings.mean(axis=1, keepdims=True) - ratings.mean(axis=0) + mean
    error = float((rest**2).sum()) / ((n - 1) * (k - 1))
    whole = rows + (k - 1) * error + k * (columns - error) / n
    if whole <= 0:
        return float("nan"), float("nan"), float("nan")
    icc = (rows - error) / whole
    if error <= 1e-12 * rows and columns <= 1e-12 * rows:
        return icc, icc, icc
    if error <= 0:  # the raters differ by a constant, and the cases not at all: the interval's degrees of freedom are undefined
        return icc, float("nan"), float("nan")
    x, y = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    freedom = (x * columns + y * error) ** 2 / ((x * columns) ** 2 / (k - 1) + (y * error) ** 2 / ((n - 1) * (k - 1)))
    tail = 1 - (1 - confidence) / 2
    f_low, f_high = float(stats.f.ppf(tail, n - 1, freedom)), float(stats.f.ppf(tail, freedom, n - 1))
    mixed = k * columns + (k * n - k - n) * error
    low = n * (rows - f_low * error) / (f_low * mixed + n * rows)
    high = n * (f_high * rows - error) / (mixed + n * f_high * rows)
    return icc, low, high


def _tost(difference: NDArray[np.float64], margin: float) -> float:
    """p value of equivalence within ±margin: both one-sided tests must reject."""
    mean, error = float(difference.mean()), float(difference.std(ddof=1)) / np.sqrt(difference.size)
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    return float(max(stats.t.sf((mean + margin) / error, difference.size - 1), stats.t.cdf((mean - margin) / error, difference.size - 1)))
