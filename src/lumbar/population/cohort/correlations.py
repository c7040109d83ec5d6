"""Correlations between findings, one value per person and finding: the mean over levels and sides, or the worst grade."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lumbar.population.cohort.linear import adjusted
from lumbar.population.cohort.table import CohortTable

_LEAST = 10  # people with both values
_LEAST_KNOWN = 0.1  # share of people that have a finding
_MOST_FINDINGS = 40


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of two findings."""

    first: str
    second: str
    n: int
    rho: float
    p: float
    p_adjusted: float  # over all pairs, Benjamini and Hochberg


def per_person(table: CohortTable) -> dict[str, NDArray[np.float64]]:
    """(n,) by `structure finding`: the largest grade over levels and sides for grades, else the mean of known values."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, column in enumerate(table.columns):
        groups.setdefault((column.structure, column.finding), []).append(number)
    found = {}
    for (structure, finding), numbers in groups.items():
        part = table.values[:, numbers].astype(np.float64)
        known = np.isfinite(part)
        if known.any(axis=1).mean() < _LEAST_KNOWN:
            continue
        mean = np.where(known, part, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        value = np.where(known, part, -np.inf).max(axis=1) if "_grade" in finding else mean
        name = finding if finding.startswith(structure) else f"{structure} {finding}"
        found[name] = np.where(known.any(axis=1), value, np.nan)
    return dict(list(found.items())[:_MOST_FINDINGS])


def correlations(table: CohortTable) -> list[Correlation]:
    """All pairs of findings with at least ten people with both values."""
    values = per_person(table)
    order = {name: np.argsort(value) for name, value in values.items()}
    found = []
    for first, second in combinations(values, 2):
        both = np.isfinite(values[first]) & np.isfinite(values[second])
        n = int(both.sum())
        if n < _LEAST or np.ptp(values[first][both]) == 0 or np.ptp(values[second][both]) == 0:
            continue
        rho = float(np.corrcoef(ranks_of(values[first], order[first], both), ranks_of(values[second], order[second], both))[0, 1])
        found.append((first, second, n, rho, _p(rho, n)))
    return [Correlation(*one, q) for one, q in zip(found, adjusted([p for *_, p in found]), strict=True)]


def ranks_of(values: NDArray[np.float64], order: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Ranks of the `chosen` (n,) values among themselves, ties sharing their mean, in the order of the rows; `order` sorts all values once for every subset."""
    places = order[chosen[order]]
    ordered = values[places]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(begins[1:], len(ordered))
    ranks = np.empty(len(values))
    ranks[places] = np.repeat((begins + ends + 1) / 2, ends - begins)
    return ranks[chosen]


def _p(rho: float, n: int) -> float:
    """Two-sided p value by Student's t with n − 2 degrees of freedom, as SciPy's spearmanr has it."""
    if abs(rho) >= 1:
        return 0.0
    return float(2 * stats.t.sf(abs(rho) * np.sqrt((n - 2) / (1 - rho**2)), n - 2))
