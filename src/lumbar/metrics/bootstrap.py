"""Percentile bootstrap over groups: patients are drawn, not rows, so that repeated rows of one person do not narrow the interval.

Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 16.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval."""

    estimate: float  # on the data as they are
    low: float  # NaN if the number is undefined in more than one draw in twenty
    high: float
    confidence: float = 0.95


def resamples(groups: ArrayLike, repeats: int, seed: int = 0) -> Iterator[Rows]:
    """Row numbers of `repeats` draws with replacement of whole groups, one draw at a time.

    Args:
        groups: (n,) the group of each row (the subject); give every row its own where rows are independent.
        repeats: number of draws.
        seed: of the random draws.
    """
    _, code = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(code, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(code))[:-1])
    generator = np.random.default_rng(seed)
    if len(members) == len(order):  # one row each: the quick way
        for _ in range(repeats):
            yield order[generator.integers(0, len(order), len(order))]
        return
    for _ in range(repeats):
        yield np.concatenate([members[k] for k in generator.integers(0, len(members), len(members))])


def bootstrap_interval(statistic: Callable[[Rows], float], groups: ArrayLike, repeats: int = 2000, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Percentile interval of `statistic`, a function of row numbers, when whole groups are drawn again.

    A difference of two models on the same rows is paired by computing both inside `statistic`. Draws in which the statistic is undefined (NaN) are
    left out as long as they are rare.

    Raises:
        ValueError: there are no rows, or `confidence` is not between 0 and 1.
    """
    group = np.asarray(groups)
    if not len(group) or not 0 < confidence < 1:
        raise ValueError(f"a bootstrap needs rows and a confidence in (0, 1), not {len(group)} rows and {confidence}")
    drawn = np.array([statistic(rows) for rows in resamples(group, repeats, seed)], dtype=np.float64)
    estimate = float(statistic(np.arange(len(group))))
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < 0.95 * repeats:
        return Interval(estimate, float("nan"), float("nan"), confidence)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(defined, [tail, 100 - tail])
    return Interval(estimate, float(low), float(high), confidence)
