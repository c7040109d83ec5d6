"""ComBat harmonisation: removes additive and multiplicative site effects, preserving the effects of age and sex. Only on request, and always reported.

Johnson et al., Biostatistics 2007;8:118; for images Fortin et al., NeuroImage 2018;167:104. The library is its authors' neuroCombat.
"""

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import UsageError
from lumbar.population.cohort.covariates import Covariates
from lumbar.population.cohort.site_effects import LEAST_AT_SITE
from lumbar.population.cohort.table import CohortTable

_POOLED_FROM = 3  # columns; with fewer there is nothing to pool the sites' parameters over
_NOT_MEASURED = ("_grade", "_grade_0_2", "_p", "_p_severe", "_score")  # grades and probabilities, which have no additive scale


@dataclass(frozen=True, eq=False)
class Harmonized:
    """A table without additive and multiplicative site effects."""

    table: CohortTable  # values that could not be harmonized are NaN
    findings: tuple[str, ...]  # that were
    left_out: int  # values of these findings that were not: the site or a covariate is unknown, or the site is small


def harmonize(table: CohortTable, sites: NDArray[np.str_], covariates: Covariates) -> Harmonized:
    """Each measured finding over its levels and sides together, with empirical Bayes where there are at least three of them.

    Raises:
        UsageError: neuroCombat is not installed, or fewer than two sites have ten people.
    """
    try:
        from neuroCombat import neuroCombat  # noqa: PLC0415, F401  (part of lumbar[stats])
    except ImportError as error:
        raise UsageError(f"harmonizing needs neuroCombat, which is not installed ({error}); pip install lumbar[stats]") from error
    names, count = np.unique(sites[covariates.known & (sites != "")], return_counts=True)
    large = names[count >= LEAST_AT_SITE]
    if len(large) < 2:
        raise UsageError(f"harmonizing needs two sites with {LEAST_AT_SITE} people of known age and sex each; {len(large)} of {len(names)} sites have them")
    usable = covariates.known & np.isin(sites, large)
    values = np.full(table.values.shape, np.nan, np.float32)
    findings, lost = [], 0
    for finding in dict.fromkeys((c.structure, c.finding) for c in table.columns if not c.finding.endswith(_NOT_MEASURED)):
        numbers = np.array([n for n, c in enumerate(table.columns) if (c.structure, c.finding) == finding])
        part = table.values[:, numbers].astype(np.float64)
        whole = usable & np.isfinite(part).all(axis=1)
        if not _fits(part[whole], sites[whole]):
            continue
        rows = np.isin(sites, np.unique(sites[whole])) & usable
        combat = _fit(part[whole], sites[whole], covariates.design[whole, 1:])
        values[np.ix_(rows, numbers)] = combat.apply(part[rows], sites[rows], covariates.design[rows, 1:])
        findings.append(" ".join(finding))
        lost += int(np.isfinite(part[~rows]).sum())
    return Harmonized(CohortTable(table.studies, table.columns, values, table.left_out), tuple(findings), lost)


def _fits(part: NDArray[np.float64], sites: NDArray[np.str_]) -> bool:
    """Whether at least two sites have enough people, and the values of every site vary."""
    names, count = np.unique(sites, return_counts=True)
    return len(names) >= 2 and count.min() >= LEAST_AT_SITE and all((np.ptp(part[sites == name], axis=0) > 0).all() for name in names)


@dataclass(frozen=True, eq=False)
class _Combat:
    """ComBat parameters fitted on complete cases; they also apply to people with missing values."""

    sites: NDArray[np.str_]  # (s,)
    mean: NDArray[np.float64]  # (c,) over all sites
    slopes: NDArray[np.float64]  # (k, c) of the covariates that are kept
    spread: NDArray[np.float64]  # (c,)
    offset: NDArray[np.float64]  # (s, c) of the sites, in spreads
    scale: NDArray[np.float64]  # (s, c) of the sites' own spreads

    def apply(self, part: NDArray[np.float64], sites: NDArray[np.str_], kept: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, c) `part` without additive and multiplicative site effects."""
        site = np.searchsorted(self.sites, sites)
        usual = self.mean + kept @ self.slopes
        return np.asarray(((part - usual) / self.spread - self.offset[site]) / self.scale[site] * self.spread + usual)


def _fit(part: NDArray[np.float64], sites: NDArray[np.str_], kept: NDArray[np.float64]) -> _Combat:
    """ComBat of `part` (n, c), in which nothing is missing; the effect of `kept` (n, k) stays."""
    import pandas as pd  # noqa: PLC0415
    from neuroCombat import neuroCombat  # noqa: PLC0415

    names: Sequence[str] = [f"kept{k}" for k in range(kept.shape[1])]
    known = pd.DataFrame({"site": sites, **{name: kept[:, k] for k, name in enumerate(names)}})
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():  # it prints its steps, and computes variances of single values
        warnings.simplefilter("ignore", RuntimeWarning)
        found = neuroCombat(dat=part.T, covars=known, batch_col="site", continuous_cols=list(names), eb=part.shape[1] >= _POOLED_FROM)["estimates"]
    mean, spread = np.asarray(found["stand.mean"], np.float64)[:, 0], np.sqrt(np.asarray(found["var.pooled"], np.float64)[:, 0])
    explained = np.asarray(found["mod.mean"], np.float64).T  # (n, c), exactly linear in `kept`
    slopes = np.asarray(np.linalg.lstsq(kept, explained, rcond=None)[0], np.float64) if kept.shape[1] else np.zeros((0, part.shape[1]))
    offset, scale = np.asarray(found["gamma.star"], np.float64), np.sqrt(np.asarray(found["delta.star"], np.float64))
    return _Combat(np.unique(sites), mean, slopes, spread, offset, scale)
