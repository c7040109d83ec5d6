"""A study goes in, findings come out; every step is one verb."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings, LevelFinding, ModelUse, MuscleFinding, SeriesFacts, SeverityFinding
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.errors import InputError, NoUsableSeries
from lumbar.models.registry import find_folder, find_model, has_model
from lumbar.muscle.predict import TASK as MUSCLE_TASK
from lumbar.muscle.predict import StackMask
from lumbar.muscle.predict import load as load_muscle
from lumbar.severity.predict import load as load_grader
from lumbar.severity.prior import TASK as PRIOR_TASK
from lumbar.spine.segment import TASK as SPINE_TASK
from lumbar.spine.segment import network_of
from lumbar.spine.spine_map import SpineMap, map_spine

TASKS = ("spine", "severity", "muscle", "age")

# Which series the spine is looked for in, the best first: bright CSF outlines the canal, and sagittal slices show all levels at once.
_SPINE_ROLES = (Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.DIXON_WATER, Role.AXIAL_T2, Role.AXIAL_T1, Role.DIXON_FAT)

_PLANES = (Plane.SAGITTAL, Plane.AXIAL, Plane.CORONAL)  # of series of unknown kind, which come last

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # step, done, of how many


@dataclass(frozen=True)
class AnalysisOptions:
    """What is asked of an analysis."""

    tasks: tuple[str, ...] | None = None  # None: all that a model is installed for; the spine is always done
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
    muscle_masks: tuple[StackMask, ...]


def analyze(study: Study, options: AnalysisOptions, progress: Progress | None = None) -> Analysis:
    """Find, name, measure, grade: everything that was asked for and that a model is there for.

    Raises:
        NoUsableSeries: no series of the study shows a lumbar spine.
        ModelError: a model is missing or damaged.
    """
    found = _spine(study, options, progress)
    levels = found.spine.finding.levels
    severity = _severity(study, levels, options, progress)
    muscle = _muscle(study, levels, options, progress)
    parts: tuple[_Part[Any], ...] = (severity, muscle, *_age(options))
    findings = Findings(
        study_uid=study.study_uid,
        series=tuple(_facts(s) for s in study.series),
        models=(found.model, *(use for part in parts for use in part.models)),
        spine=found.spine.finding,
        severity=severity.findings,
        muscles=muscle.findings,
        warnings=(*_reading_warnings(study), *found.failures, *found.spine.warnings, *(w for part in parts for w in part.warnings)),
        unmet_tasks=tuple(part.task for part in parts if part.unmet),
    )
    return Analysis(study, findings, found.spine, found.series, found.stack, muscle.masks)


def _reading_warnings(study: Study) -> tuple[str, ...]:
    return (*study.warnings, *(warning for series in study.series for warning in series.warnings))


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


@dataclass(frozen=True, eq=False)
class _Part(Generic[T]):
    """What one task beside the spine came to."""

    task: str
    findings: tuple[T, ...] = ()
    models: tuple[ModelUse, ...] = ()
    warnings: tuple[str, ...] = ()
    unmet: bool = False  # asked for, but there was nothing to do it with
    masks: tuple[StackMask, ...] = ()


def _skipped(task: str, model_task: str, options: AnalysisOptions) -> _Part[Any] | None:
    """The empty part of a task that is not to be done: not asked for, or without a model, which is only a fault if it was asked for by name."""
    if options.tasks is not None and task not in options.tasks:
        return _Part(task)
    if not has_model(model_task, options.models):
        return _Part(task, warnings=(f"{task}: no model is installed for it; give one with --models",), unmet=options.tasks is not None)
    return None


def _severity(study: Study, levels: Sequence[LevelFinding], options: AnalysisOptions, progress: Progress | None) -> _Part[SeverityFinding]:
    if (skipped := _skipped("severity", PRIOR_TASK, options)) is not None:
        return skipped
    _say(progress, "grading")
    grader = load_grader(options.models, options.threads)
    findings = grader.predict(study, levels)
    used = {finding.model for finding in findings}
    models = tuple(use for use in grader.uses if use.name in used)
    return _Part("severity", findings, models, grader.warnings(findings), unmet=used == {grader.prior.name})


def _age(options: AnalysisOptions) -> tuple[_Part[Any], ...]:
    """No age model is good enough to ship yet (recipes/age_spider.py), which whoever asks for an age is told."""
    if options.tasks is None or "age" not in options.tasks:
        return ()
    return (_Part("age", warnings=("age: there is no model for it yet that beats guessing on real people; no age was given",), unmet=True),)


def _muscle(study: Study, levels: Sequence[LevelFinding], options: AnalysisOptions, progress: Progress | None) -> _Part[MuscleFinding]:
    if (skipped := _skipped("muscle", MUSCLE_TASK, options)) is not None:
        return skipped
    _say(progress, "measuring muscles")
    predictor = load_muscle(find_folder(MUSCLE_TASK, options.models), options.threads)
    try:
        result = predictor.predict(study, levels)
    except NoUsableSeries as error:
        return _Part("muscle", warnings=(str(error),), unmet=True)
    return _Part("muscle", result.findings, (predictor.model.use,), result.warnings, not result.findings, result.masks)


def _say(progress: Progress | None, step: str) -> None:
    if progress:
        progress(step, 0, 1)


def largest_stack(series: Series) -> Stack:
    """The stack with most slices: a series with several angulations shows the spine best in its longest one."""
    return max(series.stacks, key=lambda stack: stack.volume.grid.shape[0])


def _facts(series: Series) -> SeriesFacts:
    spacing = largest_stack(series).volume.grid.spacing_mm
    return SeriesFacts(series.series_uid, series.plane.value, series.weighting.value, series.role.value, series.instances, spacing)
