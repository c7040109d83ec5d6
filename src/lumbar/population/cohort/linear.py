"""What a set of columns adds to a linear model: the F test of nested models, and the partial eta squared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Added:
    """What the added columns explain."""

    n: int
    partial_eta_squared: float  # of the variance that the base leaves, the share that the added columns take
    p: float
    residuals: Array  # (n,) of the base model


def added_share(values: Array, base: Array, added: Array) -> Added | None:
    """Compare the model `base` (n, b), which holds the constant, with the one that also has `added` (n, a); None where there is nothing to compare."""
    first = residuals(values, base)
    second = residuals(values, np.hstack([base, added]))
    rank = int(np.linalg.matrix_rank(np.hstack([base, added])))
    gained, left = rank - int(np.linalg.matrix_rank(base)), len(values) - rank
    before, after = float(first @ first), float(second @ second)
    if gained < 1 or left < 1 or before <= 0:
        return None
    f = max(before - after, 0.0) / gained / (after / left) if after > 0 else np.inf
    return Added(len(values), max(before - after, 0.0) / before, float(stats.f.sf(f, gained, left)), first)


def residuals(values: Array, design: Array) -> Array:
    """(n,) what the least-squares fit of `design` leaves of `values`."""
    solution, *_ = np.linalg.lstsq(design, values, rcond=None)
    return np.asarray(values - design @ solution)


def indicators(words: NDArray[np.str_]) -> Array:
    """(n, k − 1) one column per word but the commonest."""
    names, count = np.unique(words, return_counts=True)
    return np.asarray(words[:, None] == np.delete(names, int(count.argmax())), dtype=np.float64)


def adjusted(p_values: list[float]) -> list[float]:
    """p values corrected for their number by Benjamini and Hochberg (J R Stat Soc B 1995;57:289)."""
    return [float(p) for p in stats.false_discovery_control(np.clip(p_values, 0, 1))] if p_values else []
