"""A study goes in, findings come out; every step is one verb."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from lumbar.age.calibration import Calibration as AgeCalibration
from lumbar.age.predict import TASK as AGE_TASK
from lumbar.age.predict import AgeResult
from lumbar.age.predict import load as load_age
from lumbar.discs.grader import DiscGrader
from lumbar.discs.model import TASK as DISC_TASK
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import DiscGrades, Findings, LevelFinding, ModelUse, SeriesFacts
from lumbar.domain.study import Plane, Role, Series, Stack, Study
from lumbar.errors import InputError, NoUsableSeries
from lumbar.models.folder import load_folder
from lumbar.models.registry import find_folder, find_model, has_model
from lumbar.muscle.norms import with_norms
from lumbar.muscle.predict import TASK as MUSCLE_TASK
from lumbar.muscle.predict import MuscleResult, StackMask
from lumbar.muscle.predict import load as load_muscle
from lumbar.severity.axial.cut import LevelCrop
from lumbar.severity.axial.explain import HeatMap
from lumbar.severity.predict import StudyGrades
from lumbar.severity.predict import load as load_grader
from lumbar.severity.prior import TASK as PRIOR_TASK
from lumbar.spine.find import FoundSpine, candidates, find_spine, largest_stack
from lumbar.spine.segment import TASK as SPINE_TASK
from lumbar.spine.segment import network_of
from lumbar.spine.spine_map import SpineMap, tissue_mask

TASKS = ("spine", "severity", "muscle", "age")

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # step, done, of how many
Spine = Future[tuple[FoundSpine, ModelUse]]


@dataclass(frozen=True)
class AnalysisOptions:
    """What is asked of an analysis."""

    tasks: tuple[str, ...] | None = None  # None: all that a model is installed for, but no age; the spine is always done
    models: Path | None = None  # a model folder, or a folder of them, that comes before those of the package
    lowest_level: Level | None = None  # what a person says the lowest disc in view is
    age_years: float | None = None  # of the patient; otherwise the header's
    sex: str | None = None
    threads: int = 0  # of the networks; 0: all cores

    @property
    def shared_threads(self) -> int:
        """Threads of one of two tasks that run at the same time."""
        return max(1, (self.threads or os.cpu_count() or 1) // 2)


@dataclass(frozen=True, eq=False)
class Age:
    """How old the spine looks, and what it is held against."""

    result: AgeResult
    calibration: AgeCalibration
    chronological_age_years: float | None


@dataclass(frozen=True, eq=False)
class Analysis:
    """Findings, and what pictures of them are drawn from."""

    study: Study
    findings: Findings
    spine: SpineMap
    spine_series: Series
    spine_stack: Stack
    muscle_masks: tuple[StackMask, ...] = ()
    crops: Mapping[Level, LevelCrop] = field(default_factory=dict)  # of the levels that were graded
    heat_maps: tuple[HeatMap, ...] = ()
    age: Age | None = None


def analyze(study: Study, options: AnalysisOptions, progress: Progress | None = None) -> Analysis:
    """Find, name, measure, grade: everything that was asked for and that a model is there for.

    Raises:
        NoUsableSeries: no series of the study shows a lumbar spine.
        ModelError: a model is missing or damaged.
    """
    with ThreadPoolExecutor() as pool:  # tasks load their models while the spine is being found, and then run side by side
        spine = pool.submit(_spine, study, options, progress)
        grading, measuring = pool.submit(_severity, study, spine, options), pool.submit(_muscle, study, spine, options)
        found, model = spine.result()
        _say(progress, "grading and measuring")
        discs, age = _discs(found, options), _age(study, found.spine.finding.levels, options)
        severity, muscle = grading.result(), measuring.result()
    parts: tuple[_Part[Any], ...] = (severity, discs, muscle, age)
    findings = Findings(
        study_uid=study.study_uid,
        series=tuple(_facts(s) for s in study.series),
        models=(model, *(use for part in parts for use in part.models)),
        spine=found.spine.finding,
        severity=severity.result.findings if severity.result else (),
        disc_grades=discs.result or (),
        muscles=muscle.result.findings if muscle.result else (),
        age=age.result.result.finding if age.result else None,
        warnings=(*_reading_warnings(study), *found.failures, *found.spine.warnings, *(w for part in parts for w in part.warnings)),
        unmet_tasks=tuple(part.task for part in parts if part.unmet),
    )
    masks = muscle.result.masks if muscle.result else ()
    grades = severity.result or StudyGrades((), {}, ())
    return Analysis(study, findings, found.spine, found.series, found.stack, masks, grades.crops, grades.heat_maps, age.result)


def _reading_warnings(study: Study) -> tuple[str, ...]:
    return (*study.warnings, *(warning for series in study.series for warning in series.warnings))


def _spine(study: Study, options: AnalysisOptions, progress: Progress | None) -> tuple[FoundSpine, ModelUse]:
    candidates(study)  # without any, a model need not be there
    model = find_model(SPINE_TASK, options.models, options.threads)
    step = (lambda done, total: progress("finding the spine", done, total)) if progress else None
    return find_spine(study, network_of(model), options.lowest_level, step), model.use


def _levels(spine: Spine) -> Sequence[LevelFinding]:
    return spine.result()[0].spine.finding.levels


@dataclass(frozen=True, eq=False)
class _Part(Generic[T]):
    """What one task beside the spine came to."""

    task: str
    result: T | None = None
    models: tuple[ModelUse, ...] = ()
    warnings: tuple[str, ...] = ()
    unmet: bool = False  # asked for, but there was nothing to do it with


def _skipped(task: str, model_task: str, options: AnalysisOptions) -> _Part[Any] | None:
    """The empty part of a task that is not to be done: not asked for, or without a model, which is only a fault if it was asked for by name."""
    if options.tasks is not None and task not in options.tasks:
        return _Part(task)
    if not has_model(model_task, options.models):
        return _Part(task, warnings=(f"{task}: no model is installed for it; give one with --models",), unmet=options.tasks is not None)
    return None


def _severity(study: Study, spine: Spine, options: AnalysisOptions) -> _Part[StudyGrades]:
    if (skipped := _skipped("severity", PRIOR_TASK, options)) is not None:
        return skipped
    grader = load_grader(options.models, options.shared_threads)
    tissue = tissue_mask(spine.result()[0].spine) if grader.wants_masks else None
    grades = grader.explain(study, _levels(spine), tissue)
    used = {finding.model for finding in grades.findings}
    models = tuple(use for use in grader.uses if use.name in used)
    return _Part("severity", grades, models, grader.warnings(grades.findings), unmet=used == {grader.prior.name})


def _discs(found: FoundSpine, options: AnalysisOptions) -> _Part[tuple[DiscGrades, ...]]:
    """Disc grades come with the severity; they have no task of their own, so nothing is said where their model was left out."""
    asked = options.tasks is None or "severity" in options.tasks
    if not asked or found.series.plane is not Plane.SAGITTAL or not has_model(DISC_TASK, options.models):
        return _Part("severity")
    model = load_folder(find_folder(DISC_TASK, options.models), options.shared_threads, DISC_TASK)
    try:
        return _Part("severity", DiscGrader(model).grade(found.spine, familiar_only=True), (model.use,))
    except InputError as error:
        return _Part("severity", warnings=(f"disc grades: {error}",))


def _age(study: Study, levels: Sequence[LevelFinding], options: AnalysisOptions) -> _Part[Age]:
    """An age is given only to who asks for it by name: the model that ships has learnt from synthetic people."""
    if options.tasks is None or "age" not in options.tasks:
        unused = options.tasks is None and options.age_years is not None
        return _Part("age", warnings=("an age was given with --age, but none is predicted unless --tasks names age",) if unused else ())
    if (skipped := _skipped("age", AGE_TASK, options)) is not None:
        return skipped
    series = study.with_role(Role.SAGITTAL_T2)
    if not series:
        return _Part("age", warnings=("age: it needs a sagittal T2 or STIR series; the study has none",), unmet=True)
    predictor = load_age(find_folder(AGE_TASK, options.models), options.shared_threads)
    known, sex = _patient(study, options)
    try:
        result = predictor.predict(largest_stack(series[0]).volume, levels, known, sex)
    except InputError as error:
        return _Part("age", warnings=(f"age: {error}",), unmet=True)
    return _Part("age", Age(result, predictor.calibration, known), (predictor.use,), result.warnings)


def _muscle(study: Study, spine: Spine, options: AnalysisOptions) -> _Part[MuscleResult]:
    if (skipped := _skipped("muscle", MUSCLE_TASK, options)) is not None:
        return skipped
    predictor = load_muscle(find_folder(MUSCLE_TASK, options.models), options.shared_threads)
    levels = _levels(spine)
    try:
        result = predictor.predict(study, levels)
    except NoUsableSeries as error:
        return _Part("muscle", warnings=(str(error),), unmet=True)
    result = replace(result, findings=with_norms(result.findings, *_patient(study, options)))
    return _Part("muscle", result, (predictor.model.use,), result.warnings, not result.findings)


def _patient(study: Study, options: AnalysisOptions) -> tuple[float | None, str | None]:
    """(age in years, sex): what the caller says, or else the header."""
    return study.patient.age_years if options.age_years is None else options.age_years, options.sex or study.patient.sex


def _say(progress: Progress | None, step: str) -> None:
    if progress:
        progress(step, 0, 1)


def _facts(series: Series) -> SeriesFacts:
    spacing = largest_stack(series).volume.grid.spacing_mm
    return SeriesFacts(series.series_uid, series.plane.value, series.weighting.value, series.role.value, series.instances, spacing)
