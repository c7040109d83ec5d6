"""A study goes in, findings come out; every step is one verb."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings, ModelUse, SeriesFacts
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.errors import InputError, NoUsableSeries
from lumbar.models.registry import find_model
from lumbar.spine.segment import TASK as SPINE_TASK
from lumbar.spine.segment import network_of
from lumbar.spine.spine_map import SpineMap, map_spine

TASKS = ("spine", "severity", "muscle", "age")

# Which series the spine is looked for in, the best first: bright CSF outlines the canal, and sagittal slices show all levels at once.
_SPINE_ROLES = (Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.DIXON_WATER, Role.AXIAL_T2, Role.AXIAL_T1, Role.DIXON_FAT)

_PLANES = (Plane.SAGITTAL, Plane.AXIAL, Plane.CORONAL)  # of series of unknown kind, which come last

Progress = Callable[[str, int, int], None]  # step, done, of how many


@dataclass(frozen=True)
class AnalysisOptions:
    """What is asked of an analysis."""

    tasks: tuple[str, ...] = TASKS
    models: Path | None = None  # a model folder, or a folder of them, that comes before those of the package
    lowest_level: Level | None = None  # what a person says the lowest disc in view is
    age_years: float | None = None  # of the patient; otherwise the header's
    sex: str | None = None
    threads: int = 0  # of the networks; 0: all cores


@dataclass(frozen=True, eq=False)
class Analysis:
    """Findings, and what pictures of them are drawn from."""

    study: Study
    findings: Findings
    spine: SpineMap
    spine_series: Series
    spine_stack: Stack


def analyze(study: Study, options: AnalysisOptions, progress: Progress | None = None) -> Analysis:
    """Find, name and measure everything that was asked for.

    Raises:
        NoUsableSeries: no series of the study shows a lumbar spine.
        ModelError: a model is missing or damaged.
    """
    found = _spine(study, options, progress)
    spine = found.spine
    findings = Findings(
        study_uid=study.study_uid,
        series=tuple(_facts(s) for s in study.series),
        models=(found.model,),
        spine=spine.finding,
        warnings=(*study.warnings, *(w for s in study.series for w in s.warnings), *found.failures, *spine.warnings),
    )
    return Analysis(study, findings, spine, found.series, found.stack)


@dataclass(frozen=True, eq=False)
class _FoundSpine:
    spine: SpineMap
    series: Series
    stack: Stack
    model: ModelUse
    failures: tuple[str, ...]  # why better series could not be used


def _spine(study: Study, options: AnalysisOptions, progress: Progress | None) -> _FoundSpine:
    """The spine in the best series that shows one, and why better series did not."""
    candidates = [s for role in _SPINE_ROLES for s in study.with_role(role)]
    unknown = sorted(study.with_role(Role.OTHER), key=lambda s: _PLANES.index(s.plane))
    candidates += [s for s in unknown if s.weighting is Weighting.UNKNOWN]
    if not candidates:
        kinds = ", ".join(sorted({f"{s.plane.value} {s.weighting.value}" for s in study.series})) or "nothing"
        raise NoUsableSeries(f"no series can show the levels of the lumbar spine (found: {kinds}); a sagittal T2 or T1 series is what is needed")
    model = find_model(SPINE_TASK, options.models, options.threads)
    failures: list[str] = []
    for series in candidates:
        try:
            step = (lambda done, total: progress("finding the spine", done, total)) if progress else None
            stack = largest_stack(series)
            spine = map_spine(stack.volume, series.plane, series.weighting, network_of(model), options.lowest_level, step)
            return _FoundSpine(spine, series, stack, model.use, tuple(failures))
        except InputError as error:
            failures.append(f"{series.role.value} series: {error}")
    raise NoUsableSeries("no series shows a lumbar spine: " + "; ".join(failures))


def largest_stack(series: Series) -> Stack:
    """The stack with most slices: a series with several angulations shows the spine best in its longest one."""
    return max(series.stacks, key=lambda stack: stack.volume.grid.shape[0])


def _facts(series: Series) -> SeriesFacts:
    spacing = largest_stack(series).volume.grid.spacing_mm
    return SeriesFacts(series.series_uid, series.plane.value, series.weighting.value, series.role.value, series.instances, spacing)
