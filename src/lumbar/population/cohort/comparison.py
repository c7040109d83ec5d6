"""Comparison of groups of people in every value: effect sizes, and p values corrected for multiple testing."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lumbar.errors import UsageError
from lumbar.population.cohort.covariates import Covariates
from lumbar.population.cohort.linear import added_share, adjusted, coded, indicators
from lumbar.population.cohort.table import CohortTable, Column

_LEAST_IN_GROUP = 5
_MOST_GROUPS = 20


@dataclass(frozen=True)
class Comparison:
    """One column over two or more groups."""

    column: Column
    groups: tuple[str, ...]
    n: tuple[int, ...]
    means: tuple[float, ...]
    hedges_g: float  # second group minus first, in pooled standard deviations (Hedges 1981); NaN for more than two groups
    low: float  # 95 %
    high: float
    partial_eta_squared: float  # of the variance not explained by age and sex
    p_ranks: float  # Mann–Whitney U for two groups, Kruskal–Wallis for more; not adjusted for age and sex
    p_model: float  # F test of the groups besides age and sex
    p_model_adjusted: float  # over all columns, Benjamini and Hochberg


def compare_groups(table: CohortTable, words: NDArray[np.str_], covariates: Covariates) -> list[Comparison]:
    """All columns in which at least two groups have five people.

    Raises:
        UsageError: there are not two to twenty groups.
    """
    names, codes = coded(words)
    if not 2 <= len(names) <= _MOST_GROUPS:
        raise UsageError(f"the column to compare has {len(names)} groups; two to {_MOST_GROUPS} can be compared")
    found = [one for number in range(len(table.columns)) if (one := _compared(table, number, names, codes, covariates)) is not None]
    corrected = adjusted([one.p_model for one in found])
    return [replace(one, p_model_adjusted=q) for one, q in zip(found, corrected, strict=True)]


def _compared(table: CohortTable, number: int, names: list[str], codes: NDArray[np.int64], covariates: Covariates) -> Comparison | None:
    values = table.values[:, number].astype(np.float64)
    rows = np.isfinite(values) & covariates.known & (codes >= 0)
    large = np.bincount(codes[rows], minlength=len(names)) >= _LEAST_IN_GROUP
    if large.sum() < 2:
        return None
    rows[rows] = large[codes[rows]]
    parts = [values[rows & (codes == code)] for code in np.flatnonzero(large)]
    if np.ptp(values[rows]) == 0:
        return None
    result = added_share(values[rows], covariates.design[rows], indicators(codes[rows]))
    if result is None:
        return None
    two = len(parts) == 2
    ranks = stats.mannwhitneyu(*parts, method="asymptotic") if two else stats.kruskal(*parts)
    effect = hedges_g(parts[0], parts[1]) if two else (float("nan"),) * 3
    sizes, means = tuple(len(part) for part in parts), tuple(float(part.mean()) for part in parts)
    kept = tuple(name for name, enough in zip(names, large, strict=True) if enough)
    column, share = table.columns[number], result.partial_eta_squared
    return Comparison(column, kept, sizes, means, *effect, share, p_ranks=float(ranks.pvalue), p_model=result.p, p_model_adjusted=result.p)


def hedges_g(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float, float]:
    """Hedges' g of `second` minus `first` and its 95 % interval (Hedges and Olkin 1985, large-sample variance); NaN without spread."""
    n, m = len(first), len(second)
    pooled = ((n - 1) * first.var(ddof=1) + (m - 1) * second.var(ddof=1)) / (n + m - 2)
    if pooled <= 0:
        return float("nan"), float("nan"), float("nan")
    g = (second.mean() - first.mean()) / np.sqrt(pooled) * (1 - 3 / (4 * (n + m) - 9))
    half = 1.959964 * np.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m)))
    return float(g), float(g - half), float(g + half)
