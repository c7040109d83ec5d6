"""Site effects: variance of each value explained by site besides age and sex."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lumbar.population.cohort.covariates import Covariates
from lumbar.population.cohort.linear import added_share, adjusted, coded, indicators
from lumbar.population.cohort.table import CohortTable, Column

LEAST_AT_SITE = 10  # people; smaller sites are left out


@dataclass(frozen=True)
class SiteEffect:
    """One column over all sites."""

    column: Column
    n: int
    sites: int
    partial_eta_squared: float  # share of the variance not explained by age and sex
    p: float  # of different means
    p_adjusted: float  # over all columns, Benjamini and Hochberg
    p_spread: float  # of different spreads: Brown–Forsythe on residuals of age and sex


def site_effects(table: CohortTable, sites: NDArray[np.str_], covariates: Covariates) -> list[SiteEffect]:
    """All columns in which at least two sites have ten people."""
    _, codes = coded(sites)
    usable = covariates.known & (codes >= 0)
    found: list[tuple[Column, int, int, float, float, float]] = []
    for number, column in enumerate(table.columns):
        values = table.values[:, number]
        rows = usable & np.isfinite(values)
        large = np.bincount(codes[rows]) >= LEAST_AT_SITE
        if large.sum() < 2:
            continue
        rows[rows] = large[codes[rows]]
        own = codes[rows]
        result = added_share(values[rows].astype(np.float64), covariates.design[rows], indicators(own))
        if result is None:
            continue
        parts = [result.residuals[own == code] for code in np.flatnonzero(large)]
        spread = float(stats.levene(*parts, center="median").pvalue) if all(np.ptp(part) > 0 for part in parts) else float("nan")
        found.append((column, result.n, int(large.sum()), result.partial_eta_squared, result.p, spread))
    corrected = adjusted([p for *_, p, _ in found])
    return [SiteEffect(c, n, k, share, p, q, spread) for (c, n, k, share, p, spread), q in zip(found, corrected, strict=True)]
