"""Ageing of a population from a table: curves, stages of acceleration, deltas, sites, and longitudinal changes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.age_table import AgeTable
from lumbar.errors import UnreadableInput
from lumbar.population.curves import LEAST_RANGE_YEARS, LEAST_SUBJECTS, Curve, draw_curve
from lumbar.population.deltas import BiasFit, Deltas, deltas_of
from lumbar.population.groups import WHOLE, groups_of, values_of
from lumbar.population.longitudinal import Longitudinal, follow
from lumbar.population.sites import SiteCheck, check_sites
from lumbar.population.stages import FoundStage, GroupStages, StageOptions, merged, search_stages

_FAR_MADS = 20.0  # median absolute deviations from the median; ageing itself spans a few


@dataclass(frozen=True)
class PopulationOptions:
    """Options of the description."""

    confidence: float = 0.95  # of the bands
    draws: int = 1000  # of the bootstrap behind the bands
    seed: int = 0
    adjust_sites: bool = True  # adjust curves and stages for site
    mixed: bool = True  # fit mixed models if people have repeated visits
    stages: StageOptions = field(default_factory=StageOptions)


@dataclass(frozen=True, eq=False)
class Population:
    """Description of ageing in one table."""

    table: AgeTable
    measure: str  # "index" or "predicted age"
    curves: tuple[Curve, ...]
    searches: tuple[GroupStages, ...]
    stages: tuple[FoundStage, ...]
    deltas: tuple[Deltas, ...]  # empty for a table of indices
    bias_fits: tuple[BiasFit, ...]
    sites: tuple[SiteCheck, ...]
    longitudinal: Longitudinal | None
    warnings: tuple[str, ...]


def describe(table: AgeTable, options: PopulationOptions | None = None) -> Population:
    """Run all analyses.

    Raises:
        UnreadableInput: the table has neither index nor predicted ages, or too few people for any curve.
        UsageError: a mixed model is wanted and possible, but statsmodels is missing.
    """
    options = options or PopulationOptions()
    known = np.isfinite(values_of(table))
    unknown = [f"{int((~known).sum())} rows without a value were left out"] if not known.all() else []
    table = table.rows(known)
    groups = groups_of(table, options.adjust_sites)
    curves = tuple(curve for group in groups if (curve := draw_curve(group, options.confidence, options.draws, options.seed)))
    if not curves:
        raise UnreadableInput(
            f"{table.name} holds no level with {LEAST_SUBJECTS} subjects over {LEAST_RANGE_YEARS:g} years of age; that is the least for a curve"
        )
    searches = search_stages(groups, options.stages)
    warnings = [*unknown, *_outlier_warnings(table)]
    warnings += [f"{g.level}, {g.sex}: too few people or ages to search for stages" for g in searches if not g.searched]
    wholes = [group for group in groups if group.sex == "all"]
    sites = tuple(check for group in wholes if (check := check_sites(group, len(wholes))))
    warnings += [w for check in sites for w in _site_warnings(check, options.adjust_sites)]
    deltas: list[Deltas] = []
    bias_fits: list[BiasFit] = []
    if table.index is None:
        level = _levels(table)
        for name in dict.fromkeys(level.tolist()):
            own, fits, why = deltas_of(table, name, level == name)
            deltas += [own] if own else []
            bias_fits += fits
            warnings += why
    longitudinal = follow(table, options.mixed)
    return Population(
        table=table,
        measure="predicted age" if table.index is None else "index",
        curves=curves,
        searches=searches,
        stages=tuple(stage for group in searches for stage in merged(group)),
        deltas=tuple(deltas),
        bias_fits=tuple(bias_fits),
        sites=sites,
        longitudinal=longitudinal,
        warnings=(*warnings, *(longitudinal.warnings if longitudinal else ())),
    )


def _site_warnings(check: SiteCheck, adjusted: bool) -> list[str]:
    warnings = []
    if check.differs:
        done = "curves are adjusted for site" if adjusted else "curves are not adjusted for site; adjust them or harmonise the images"
        warnings.append(f"{check.level}: sites differ beyond age and sex (p = {check.p_offset:.2g}); {done}")
    if check.age_share > 0.3:
        warnings.append(f"{check.level}: ages differ so much between sites that site effects and ageing are confounded")
    return warnings


def _levels(table: AgeTable) -> NDArray[np.str_]:
    return table.level if table.level is not None else np.full(len(table), WHOLE)


def _outlier_warnings(table: AgeTable) -> list[str]:
    """Warnings about implausible values: a typing error or a failed measurement can mask stages."""
    values, level = values_of(table), _levels(table)
    warnings = []
    for name in dict.fromkeys(level.tolist()):
        rows = np.flatnonzero(level == name)
        distance = np.abs(values[rows] - np.median(values[rows]))
        far = rows[distance > _FAR_MADS * max(float(np.median(distance)), 1e-12)]
        if len(far):
            lines = ", ".join(str(line) for line in table.lines[far][:5])
            more = f" and {len(far) - 5} more" if len(far) > 5 else ""
            warnings.append(f"{name}: values far beyond all others in line {lines}{more}; correct or remove them, as they can mask real effects")
    return warnings
