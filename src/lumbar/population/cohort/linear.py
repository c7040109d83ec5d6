"""Contribution of a set of columns to a linear model: F test of nested models, and partial eta squared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
_RCOND = 1e-12  # singular values below this share of the largest count as none


@dataclass(frozen=True)
class Added:
    """Variance explained by the added columns."""

    n: int
    partial_eta_squared: float  # share of the residual variance of the base explained by the added columns
    p: float
    residuals: Array  # (n,) of the base model


def added_share(values: Array, base: Array, added: Array) -> Added | None:
    """Compare the model `base` (n, b), which contains the constant, with the one that also has `added` (n, a); None if the comparison is undefined."""
    both = np.hstack([base, added])
    first, second = residuals(values, base), residuals(values, both)
    rank = _rank(both)
    gained, left = rank - _rank(base), len(values) - rank
    before, after = float(first @ first), float(second @ second)
    if gained < 1 or left < 1 or before <= 0:
        return None
    f = max(before - after, 0.0) / gained / (after / left) if after > 0 else np.inf
    return Added(len(values), max(before - after, 0.0) / before, float(stats.f.sf(f, gained, left)), first)


def residuals(values: Array, design: Array) -> Array:
    """(n,) residuals of the least-squares fit of `values` by `design`.

    By the normal equations: the columns (constant, decades of age, indicators) have similar scales, and only a matrix of a few columns is decomposed.
    """
    solution, *_ = np.linalg.lstsq(design.T @ design, design.T @ values, rcond=_RCOND)
    return np.asarray(values - design @ solution)


def _rank(design: Array) -> int:
    return int(np.linalg.matrix_rank(design.T @ design, rtol=_RCOND, hermitian=True))


def indicators(codes: NDArray[np.int64]) -> Array:
    """(n, k − 1) one column per occurring number except the commonest."""
    count = np.bincount(codes)
    others = [code for code in np.flatnonzero(count) if code != count.argmax()]
    return np.asarray(codes[:, None] == np.array(others), dtype=np.float64)


def coded(words: NDArray[np.str_]) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct words in order, and (n,) the index of each row's word; −1 for a blank."""
    names, codes = np.unique(words, return_inverse=True)
    blank = int(len(names) > 0 and names[0] == "")
    return [str(name) for name in names[blank:]], np.asarray(codes - blank, np.int64)


def adjusted(p_values: list[float]) -> list[float]:
    """p values corrected for their number by Benjamini and Hochberg (J R Stat Soc B 1995;57:289)."""
    return [float(p) for p in stats.false_discovery_control(np.clip(p_values, 0, 1))] if p_values else []
