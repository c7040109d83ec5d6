"""Site effects: offsets and spreads of the index between sites after adjustment for age and sex."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lumbar.population.groups import Group, indicators
from lumbar.population.pspline import basis_for, fit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SiteOffset:
    """One site at one level."""

    level: str
    site: str
    subjects: int
    age_range_years: tuple[float, float]
    offset: float  # mean residual of the site minus the mean of all sites' means, unit of the index
    low: float  # 95 %
    high: float
    sd: float  # of the residuals


@dataclass(frozen=True)
class SiteCheck:
    """All sites at one level."""

    level: str
    sites: tuple[SiteOffset, ...]
    p_offset: float  # one-way analysis of variance of the residuals
    p_spread: float  # Brown–Forsythe test of equal spread
    variance_share: float  # η²: share of the residual variance that lies between sites
    age_share: float  # η² of age on site: the closer to 1, the more site and ageing are confounded
    differs: bool  # p_offset below 0.05 after Bonferroni over the levels


_LEAST = 10  # subjects of a site


def check_sites(group: Group, levels: int) -> SiteCheck | None:
    """Compare the sites that have at least ten subjects in `group`, one value per subject and site; None if fewer than two do.

    `levels` is the number of levels of the file, for Bonferroni's correction.
    """
    site, sex = group.sites, indicators(group.sexes, least=1)
    fitted = fit(group.age_years, group.values, sex, np.zeros((len(site), 1)), basis_for(group.age_years))
    names, parts, ages = [], [], []
    for name in np.unique(site):
        rows = site == name
        _, code = np.unique(group.subjects[rows], return_inverse=True)
        if code.max() + 1 < _LEAST:
            continue
        names.append(str(name))
        parts.append(np.bincount(code, weights=fitted.residuals[rows]) / np.bincount(code))
        ages.append(group.age_years[rows])
    if len(names) < 2:
        return None
    centre = float(np.mean([part.mean() for part in parts]))
    offsets = tuple(_offset(group.level, name, part, own, centre) for name, part, own in zip(names, parts, ages, strict=True))
    p = float(stats.f_oneway(*parts).pvalue)
    spread = float(stats.levene(*parts, center="median").pvalue)
    return SiteCheck(group.level, offsets, p, spread, _share(parts), _share(ages), p * levels < 0.05)


def _offset(level: str, name: str, residuals: Array, ages: Array, centre: float) -> SiteOffset:
    mean, sd, n = float(residuals.mean()), float(residuals.std(ddof=1)), len(residuals)
    half = float(stats.t.ppf(0.975, n - 1)) * sd / np.sqrt(n)
    return SiteOffset(level, name, n, (float(ages.min()), float(ages.max())), mean - centre, mean - centre - half, mean - centre + half, sd)


def _share(parts: list[Array]) -> float:
    whole = np.concatenate(parts)
    total = float(np.square(whole - whole.mean()).sum())
    between = sum(len(part) * (float(part.mean()) - float(whole.mean())) ** 2 for part in parts)
    return between / total if total > 0 else float("nan")
