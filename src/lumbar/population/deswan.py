"""Stages of acceleration by sliding windows (DE-SWAN, Lehallier et al. 2019), for one index.

At each age c people of [c − w, c) are compared with people of (c, c + w] by a linear model adjusted for sex and site; their difference with its p
value, corrected for the number of ages and widths after Benjamini & Hochberg, is the profile. Because an index that rises evenly differs everywhere, a
difference is no stage yet: the difference per year of age is compared with the slopes of [c − 3w, c − w) and (c + w, c + 3w], and peaks of this excess
are compared with the highest ones after permutation. The residuals of the straight line are permuted (Freedman & Lane 1983), one per person, so that the
null hypothesis is linear ageing and not absence of ageing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lumbar.population.contrasts import WIDTHS_YEARS, Contrast, Search, centres
from lumbar.population.groups import Group

Array = NDArray[np.float64]
Cuts = NDArray[np.int64]

_LEAST = 8  # people on each side of c
_CHUNK = 200  # permutations at a time, to bound memory


@dataclass(frozen=True, eq=False)
class Profile:
    """Differences between the windows before and after each age, at one width."""

    width_years: float
    ages_years: Array  # (m,)
    difference: Array  # (m,) mean after − mean before, adjusted for sex and site
    p: Array  # (m,)
    q: Array  # (m,) after Benjamini and Hochberg, over all ages and widths of the curve


@dataclass(frozen=True, eq=False)
class _Windows:
    """First and one-past-last person of the four windows of each age at one width, people being in order of age."""

    width: float
    ages: Array  # (m,)
    left: tuple[Cuts, Cuts]  # [c − w, c)
    right: tuple[Cuts, Cuts]  # (c, c + w]
    before: tuple[Cuts, Cuts]  # [c − 3w, c − w)
    after: tuple[Cuts, Cuts]  # (c + w, c + 3w]


class _Sums:
    """Sums over people first … last − 1 of rows of values (k, n), for many windows at once."""

    def __init__(self, values: Array, cuts: Cuts) -> None:
        parts = np.add.reduceat(values, np.minimum(cuts[:-1], values.shape[1] - 1), axis=1)
        self.total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(parts, axis=1)], axis=1)
        self.cuts = cuts

    def __call__(self, window: tuple[Cuts, Cuts]) -> Array:
        first, last = (np.searchsorted(self.cuts, end) for end in window)
        return np.asarray(self.total[:, last] - self.total[:, first])


def search_deswan(group: Group, keys: Array) -> tuple[Search, tuple[Profile, ...]]:
    """Contrasts and profiles of `group`.

    Args:
        group: the curve.
        keys: (permutations, n) random numbers, equal for the rows of one subject in all groups of a file: their order permutes the subjects.
    """
    age, values, covariates, keys = _one_row_a_subject(group, keys)
    line = np.column_stack([np.ones(len(age)), age - age.mean(), covariates - covariates.mean(axis=0)])
    left, size, _ = np.linalg.svd(line, full_matrices=False)
    basis = left[:, size > 1e-9 * size[0]]
    residual = values - basis @ (basis.T @ values)
    windows = [w for w in (_windows(age, width) for width in WIDTHS_YEARS) if len(w.ages) >= 3]
    if not windows:
        return Search((), np.full(len(keys), -np.inf)), ()
    slope = group.direction * float(line[:, 1] @ values) / float(line[:, 1] @ line[:, 1])
    contrasts = tuple(
        Contrast(w.width, w.ages, slope + here[0] * group.direction, excess[0] * group.direction, z[0], before[0], after[0])
        for w, (here, excess, z, before, after) in zip(windows, _contrasts(residual[None], age, windows), strict=True)
    )
    maxima = []
    for start in range(0, len(keys), _CHUNK):
        permuted = residual[np.argsort(keys[start : start + _CHUNK], axis=1)]
        permuted -= permuted @ basis @ basis.T
        maxima.append(np.max([z.max(axis=1) for _, _, z, _, _ in _contrasts(permuted, age, windows)], axis=0))
    return Search(contrasts, np.concatenate(maxima)), _profiles(residual, values, age, windows, group.direction)


def _one_row_a_subject(group: Group, keys: Array) -> tuple[Array, Array, Array, Array]:
    """Mean age, mean value in the direction of degeneration, covariates and keys of each subject, in order of age."""
    _, first, code, count = np.unique(group.subjects, return_index=True, return_inverse=True, return_counts=True)
    age = np.bincount(code, weights=group.age_years) / count
    values = group.direction * np.bincount(code, weights=group.values) / count
    order = np.argsort(age, kind="stable")
    return age[order], values[order], group.covariates[first[order]], keys[:, first[order]]


def _windows(age: Array, width: float) -> _Windows:
    c = centres(age, width)

    def find(at: Array, side: str) -> Cuts:
        return np.searchsorted(age, at, side="left" if side == "left" else "right")

    left, right = (find(c - width, "left"), find(c, "left")), (find(c, "right"), find(c + width, "right"))
    before, after = (find(c - 3 * width, "left"), left[0]), (right[1], find(c + 3 * width, "right"))
    keep = np.all([last - first >= _LEAST for first, last in (left, right, before, after)], axis=0)
    return _Windows(width, c[keep], *((first[keep], last[keep]) for first, last in (left, right, before, after)))


def _contrasts(rows: Array, age: Array, windows: list[_Windows]) -> list[tuple[Array, Array, Array, Array, Array]]:
    """Per width: slope around c, excess, and z of the excess, of the side before and of the side after; each (k, m) for rows of residuals (k, n)."""
    ends = [end for w in windows for window in (w.left, w.right, w.before, w.after) for end in window]
    cuts = np.unique(np.concatenate([[0, len(age)], *ends]))
    centred = (age - age.mean())[None]
    sums = {name: _Sums(v, cuts) for name, v in (("y", rows), ("yy", rows**2), ("a", centred), ("aa", centred**2), ("ay", rows * centred))}
    result = []
    for w in windows:
        (here, var_here), (before, var_before), (after, var_after) = _step(sums, w), _slope(sums, w.before), _slope(sums, w.after)
        excess = here - (before + after) / 2
        z = excess / np.sqrt(var_here + (var_before + var_after) / 4)
        result.append((here, excess, z, (here - before) / np.sqrt(var_here + var_before), (here - after) / np.sqrt(var_here + var_after)))
    return result


def _step(sums: dict[str, _Sums], w: _Windows) -> tuple[Array, Array]:
    """Difference of the means after and before c per year between the mean ages, and its variance (Welch)."""
    mean, variance, middle = [], [], []
    for window in (w.left, w.right):
        n = window[1] - window[0]
        m = sums["y"](window) / n
        mean.append(m)
        variance.append(np.maximum(sums["yy"](window) / n - m**2, 1e-300) / (n - 1))
        middle.append(sums["a"](window) / n)
    gap = middle[1] - middle[0]
    return (mean[1] - mean[0]) / gap, (variance[0] + variance[1]) / gap**2


def _slope(sums: dict[str, _Sums], window: tuple[Cuts, Cuts]) -> tuple[Array, Array]:
    """Least-squares slope in a window, and its variance."""
    n = window[1] - window[0]
    a, y = sums["a"](window) / n, sums["y"](window) / n
    spread = np.maximum(sums["aa"](window) - n * a**2, 1e-12)
    product = sums["ay"](window) - n * a * y
    slope = product / spread
    rest = np.maximum(sums["yy"](window) - n * y**2 - slope * product, 1e-300)
    return slope, rest / (n - 2) / spread


def _profiles(residual: Array, values: Array, age: Array, windows: list[_Windows], direction: float) -> tuple[Profile, ...]:
    """The plain comparison of both windows; the trend that was taken out for the search is put back."""
    whole = residual + np.polyval(np.polyfit(age, values - residual, 1), age)  # covariates remain removed, the age trend is added back
    found = []
    for w in windows:
        ends = [*w.left, *w.right]
        sums = {name: _Sums(v[None], np.unique(np.concatenate([[0, len(age)], *ends]))) for name, v in (("y", whole), ("yy", whole**2))}
        (n1, mean1, square1), (n2, mean2, square2) = (_moments(sums, window) for window in (w.left, w.right))
        pooled = (square1 + square2) / (n1 + n2 - 2)  # the linear model's residual variance
        t = (mean2 - mean1) / np.sqrt(np.maximum(pooled, 1e-300) * (1 / n1 + 1 / n2))
        found.append((w, direction * (mean2 - mean1), 2 * stats.t.sf(np.abs(t), n1 + n2 - 2)))
    q = stats.false_discovery_control(np.concatenate([p for _, _, p in found]))
    ends_of = np.cumsum([len(p) for _, _, p in found])[:-1]
    return tuple(Profile(w.width, w.ages, d, p, own) for (w, d, p), own in zip(found, np.split(q, ends_of), strict=True))


def _moments(sums: dict[str, _Sums], window: tuple[Cuts, Cuts]) -> tuple[Cuts, Array, Array]:
    """People, mean, and sum of squares around the mean in each window."""
    n = window[1] - window[0]
    mean = sums["y"](window)[0] / n
    return n, mean, sums["yy"](window)[0] - n * mean**2
