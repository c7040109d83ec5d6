"""The search for stages of acceleration in all curves of a table, by both methods, controlling the probability of a false detection for the whole file."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.population.contrasts import Search, Stage, find_stages, joint_maxima
from lumbar.population.deswan import Profile, search_deswan
from lumbar.population.groups import Group
from lumbar.population.spline_stages import search_spline

Array = NDArray[np.float64]

METHODS = ("spline", "deswan")
_SAME_STAGE_YEARS = 5.0  # ages from the two methods that lie this close count as one stage


@dataclass(frozen=True)
class StageOptions:
    """Options of the search for stages."""

    alpha: float = 0.025  # probability of any false stage in the whole file under linear ageing, both methods together; half of the 5 % target
    draws: int = 1000  # bootstrap draws, and permutations
    seed: int = 0
    least_subjects: int = 150  # in a curve that is searched
    least_range_years: float = 25.0


@dataclass(frozen=True)
class GroupStages:
    """Stages of one curve."""

    level: str
    sex: str
    searched: bool  # False where there are too few people or ages
    by_method: dict[str, tuple[Stage, ...]]
    profiles: tuple[Profile, ...]  # of DE-SWAN


@dataclass(frozen=True)
class FoundStage:
    """One stage of one curve, by either method."""

    level: str
    sex: str
    age_years: float  # mean of the methods that found it
    low_years: float  # 95 % bootstrap range of its age, by the spline; NaN if only DE-SWAN found it
    high_years: float
    methods: tuple[str, ...]
    confirmed: bool  # by both
    p_adjusted: float  # the smaller one of the methods', times two for the two methods
    stability: float  # share of window widths, mean over the methods that found it
    excess_per_year: float  # slope around it minus that before and after, largest of the methods
    slope_per_year: float


def search_stages(groups: tuple[Group, ...], options: StageOptions) -> tuple[GroupStages, ...]:
    """Search every curve; all use the same random numbers, which controls the joint probability of a false detection."""
    searched = [group for group in groups if _enough(group, options)]
    if not searched:
        return tuple(GroupStages(group.level, group.sex, False, dict.fromkeys(METHODS, ()), ()) for group in groups)
    subjects = np.unique(np.concatenate([group.subjects for group in searched]))
    rng = np.random.default_rng(options.seed)
    signs = rng.integers(0, 2, (len(subjects), options.draws)).astype(np.int8) * 2 - 1
    keys = rng.random((options.draws, len(subjects)))
    splines: list[Search] = []
    windows: list[tuple[Search, tuple[Profile, ...]]] = []
    for group in searched:
        rows = np.searchsorted(subjects, group.subjects)
        splines.append(search_spline(group, signs[rows].astype(np.float64)))
        windows.append(search_deswan(group, keys[:, rows]))
    by_method = {"spline": _claims(searched, splines, options), "deswan": _claims(searched, [search for search, _ in windows], options)}
    profiles = {group.name: own for group, (_, own) in zip(searched, windows, strict=True)}
    nothing: tuple[Stage, ...] = ()
    return tuple(
        GroupStages(
            group.level,
            group.sex,
            group.name in profiles,
            {method: claims.get(group.name, nothing) for method, claims in by_method.items()},
            profiles.get(group.name, ()),
        )
        for group in groups
    )


def _claims(groups: list[Group], searches: list[Search], options: StageOptions) -> dict[str, tuple[Stage, ...]]:
    """Stages by name of the group. Women and men are searched separately only where all people of that level together show a stage, so
    that the search by sex does not reduce the power of the search in all people (serial gatekeeping, Dmitrienko et al. 2003)."""
    alpha = options.alpha / len(METHODS)
    found: dict[str, tuple[Stage, ...]] = {}
    open_levels: set[str] = set()
    for whole in (True, False):
        family = [(g, s) for g, s in zip(groups, searches, strict=True) if (g.sex == "all") == whole and (whole or g.level in open_levels)]
        if family:
            maxima = joint_maxima([search for _, search in family])
            found |= {group.name: find_stages(search, maxima, alpha) for group, search in family}
            open_levels = {group.level for group, _ in family if found[group.name]}
    return found


def merged(group: GroupStages) -> tuple[FoundStage, ...]:
    """The stages of one curve with the methods that found each; ages from the two methods within five years of each other count as one stage."""
    claims = sorted(((stage, method) for method, stages in group.by_method.items() for stage in stages), key=lambda claim: claim[0].age_years)
    clusters: list[list[tuple[Stage, str]]] = []
    for stage, method in claims:
        near = clusters and abs(clusters[-1][-1][0].age_years - stage.age_years) <= _SAME_STAGE_YEARS
        if near and method not in {other for _, other in clusters[-1]}:
            clusters[-1].append((stage, method))
        else:
            clusters.append([(stage, method)])
    return tuple(_found(group, cluster) for cluster in clusters)


def _found(group: GroupStages, cluster: list[tuple[Stage, str]]) -> FoundStage:
    stages = [stage for stage, _ in cluster]
    largest = max(stages, key=lambda stage: abs(stage.excess))
    return FoundStage(
        group.level,
        group.sex,
        age_years=float(np.mean([stage.age_years for stage in stages])),
        low_years=next((stage.low_years for stage, method in cluster if method == "spline"), float("nan")),
        high_years=next((stage.high_years for stage, method in cluster if method == "spline"), float("nan")),
        methods=tuple(sorted(method for _, method in cluster)),
        confirmed=len(cluster) == len(METHODS),
        p_adjusted=min(1.0, len(METHODS) * min(stage.p_adjusted for stage in stages)),
        stability=float(np.mean([stage.stability for stage in stages])),
        excess_per_year=largest.excess,
        slope_per_year=largest.slope,
    )


def _enough(group: Group, options: StageOptions) -> bool:
    return np.unique(group.subjects).size >= options.least_subjects and float(np.ptp(group.age_years)) >= options.least_range_years
