"""A study goes in, findings come out; every step is one verb."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from lumbar.age import task as age
from lumbar.age.task import Age
from lumbar.discs import task as discs
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings, SeriesFacts
from lumbar.domain.part import Part
from lumbar.domain.reader_grades import with_reader_grades
from lumbar.domain.reading import NO_READING, Reading
from lumbar.domain.study import Patient, Series, Stack, Study
from lumbar.errors import NoUsableSeries
from lumbar.models.memory import release_free_memory
from lumbar.muscle import task as muscle
from lumbar.muscle.predict import StackMask
from lumbar.quality.assess import assess
from lumbar.severity import task as severity
from lumbar.severity.axial.cut import LevelCrop
from lumbar.severity.axial.explain import HeatMap
from lumbar.severity.foramina.cut import ForamenCrop
from lumbar.severity.foramina.explain import ForamenHeatMap
from lumbar.severity.foramina.points import Foramen
from lumbar.spine import task as spine
from lumbar.spine.find import FoundSpine
from lumbar.spine.sac import task as sac
from lumbar.spine.series_fit import seen_from
from lumbar.spine.spine_map import SpineMap
from lumbar.spine.task import SpineTask

Progress = Callable[[str, int, int], None]  # step, done, total


class Task(Protocol):
    """One kind of finding. It runs on a study whose spine has been found and returns its part of the findings."""

    def run(self, study: Study, spine: FoundSpine, patient: Patient, /) -> Part:
        """The part of `study`; a study without a usable series gives a part that is `unmet`, not an error."""
        ...


@dataclass(frozen=True)
class TaskEntry:
    """A row of the table of tasks."""

    name: str  # of the task
    word: str  # by which a request names it
    load: Callable[[Path | None, int], Task | None]  # (models folder, threads) → the task, or None where no model is installed
    default: bool = True  # whether it runs when a request names no tasks
    companion: bool = False  # it comes with another task of the same word, and its missing model is not worth a warning


# Every task but the spine, which always runs first. A new task needs its room, a row here and, if it is to be seen, a section of the report.
TABLE = (
    TaskEntry("dural_sac", "spine", sac.load, companion=True),
    TaskEntry("severity", "severity", severity.load),
    TaskEntry("muscle", "muscle", muscle.load),
    TaskEntry("discs", "severity", discs.load, companion=True),
    TaskEntry("age", "age", age.load, default=False),
)
TASKS = tuple(dict.fromkeys(("spine", *(entry.word for entry in TABLE))))


@dataclass(frozen=True)
class Request:
    """What an analysis is to do, and what the caller knows of the patient."""

    tasks: tuple[str, ...] | None = None  # of `TASKS`; None: all with an installed model except age; the spine is always found
    age_years: float | None = None  # overrides the header
    sex: str | None = None  # "F" or "M", overrides the header
    lowest_level: Level | None = None  # name of the lowest disc in view, as a reader gave it
    reading: Reading = NO_READING  # outlines and grades that readers corrected

    def wants(self, entry: TaskEntry) -> bool:
        """Whether the task of `entry` is to run."""
        return entry.default if self.tasks is None else entry.word in self.tasks

    @property
    def loaded_tasks(self) -> tuple[str, ...]:
        """The words of the tasks whose models the request needs."""
        return tuple(dict.fromkeys(entry.word for entry in TABLE if self.wants(entry)))

    def patient(self, study: Study) -> Patient:
        """What is known about the patient of `study`: values given by the caller take precedence over the header's."""
        header = study.patient
        return Patient(header.age_years if self.age_years is None else self.age_years, self.sex or header.sex, self.lowest_level, self.reading.masks)


@dataclass(frozen=True, eq=False)
class Models:
    """All tasks with their models in memory: loaded once, used for any number of studies, safe to share between threads."""

    spine: SpineTask
    tasks: tuple[tuple[TaskEntry, Task | None], ...]  # None: no model is installed


@dataclass(frozen=True, eq=False)
class Analysis:
    """Findings, and the evidence that images of them are drawn from."""

    study: Study
    findings: Findings
    parts: Mapping[str, Part]  # by task name, the spine among them

    @property
    def found(self) -> FoundSpine:
        """The spine with the series in which it was found."""
        found: FoundSpine = self.parts["spine"].evidence
        return found

    @property
    def spine(self) -> SpineMap:
        """Names, masks and measurements of the spine."""
        return self.found.spine

    @property
    def spine_series(self) -> Series:
        """The series in which the spine was found."""
        return self.found.series

    @property
    def spine_stack(self) -> Stack:
        """The stack in which the spine was found."""
        return self.found.stack

    @property
    def muscle_masks(self) -> tuple[StackMask, ...]:
        """The muscles of every axial stack that was segmented."""
        result = self.evidence("muscle")
        return result.masks if result else ()

    @property
    def crops(self) -> Mapping[Level, LevelCrop]:
        """The axial crops that were graded."""
        grades = self.evidence("severity")
        return grades.crops if grades else {}

    @property
    def foramina(self) -> Mapping[Foramen, ForamenCrop]:
        """The sagittal crops of the foramina that were graded."""
        grades = self.evidence("severity")
        return grades.foramina if grades else {}

    @property
    def heat_maps(self) -> tuple[HeatMap | ForamenHeatMap, ...]:
        """Heat maps of moderate and severe grades."""
        grades = self.evidence("severity")
        return grades.heat_maps if grades else ()

    @property
    def age(self) -> Age | None:
        """The predicted age with what the report compares it with."""
        result: Age | None = self.evidence("age")
        return result

    def evidence(self, task: str) -> Any:
        """What the task of that name keeps for images, or None where it did not run."""
        part = self.parts.get(task)
        return part.evidence if part else None


def load_models(folder: Path | None = None, threads: int = 0, tasks: tuple[str, ...] | None = None) -> Models:
    """Load, check and prepare the models of all tasks; do this once per process.

    Args:
        folder: a model folder, or a folder of them, that comes before the models of the package.
        threads: threads of the networks; 0 means all cores.
        tasks: words of `TASKS` whose models are needed; None loads all.

    Raises:
        ModelError: the spine model is missing, or a model is damaged.
    """
    shared = max(1, (threads or os.cpu_count() or 1) // 2)  # two tasks run at a time
    wanted = [entry for entry in TABLE if tasks is None or entry.word in tasks]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(spine.load, folder, threads)
        others = pool.map(lambda entry: entry.load(folder, shared), wanted)
        return Models(first.result(), tuple(zip(wanted, others, strict=True)))


def analyze(study: Study, models: Models, request: Request | None = None, progress: Progress | None = None) -> Analysis:
    """Find the spine, then run every requested task on it.

    Raises:
        NoUsableSeries: no series of the study shows a lumbar spine.
    """
    with threadpool_limits(1, "blas"):  # the matrices are small: BLAS threads would only wait for each other
        analysis = _analyze(study, models, request or Request(), progress)
    release_free_memory()
    return analysis


def _analyze(study: Study, models: Models, request: Request, progress: Progress | None) -> Analysis:
    patient = request.patient(study)
    step = (lambda done, total: progress("finding the spine", done, total)) if progress else None
    try:
        first = models.spine.run(study, None, patient, step)
    except NoUsableSeries as error:
        raise NoUsableSeries("; ".join((str(error), *study.warnings))) from None  # a series may be missing because its files could not be read
    fitted = seen_from(study, first.evidence)
    study = fitted.study
    if progress:
        progress("grading and measuring", 0, 1)
    wanted = [(entry, task) for entry, task in models.tasks if request.wants(entry)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        parts = [first, *pool.map(lambda row: _run(row[0], row[1], study, first.evidence, patient, request), wanted)]
    findings = with_reader_grades(_findings(study, parts, request, fitted.warnings), request.reading)
    checks = (*study.checks, *fitted.checks, *(check for part in parts for check in part.checks))
    return Analysis(study, replace(findings, quality=assess(study, findings, checks)), {part.task: part for part in parts})


def _run(entry: TaskEntry, task: Task | None, study: Study, found: FoundSpine, patient: Patient, request: Request) -> Part:
    """The part of one task; a missing model counts as unmet only where the task was requested by name."""
    if task is not None:
        return task.run(study, found, patient)
    if entry.companion:
        return Part(entry.name)
    return Part(entry.name, warnings=(f"{entry.name}: no model is installed for it; give one with --models",), unmet=request.tasks is not None)


def _findings(study: Study, parts: list[Part], request: Request, fitting: tuple[str, ...]) -> Findings:
    """The findings of all parts, in the order of the tasks; a later task may complete what an earlier one found."""
    filled = {name: value for part in parts for name, value in part.findings.items()}
    known = {name: filled.pop(name) for name in list(filled) if name in Findings.__dataclass_fields__}
    unused = request.tasks is None and request.age_years is not None
    note = ("an age was given with --age, but an age is predicted only if --tasks names it",) if unused else ()
    reading = (*study.warnings, *(warning for series in study.series for warning in series.warnings))
    findings = Findings(study_uid=study.study_uid, series=tuple(_facts(series) for series in study.series), **known)
    return replace(
        findings,
        models=tuple(use for part in parts for use in part.models),
        warnings=(*reading, *fitting, *(warning for part in parts for warning in part.warnings), *note),
        unmet_tasks=tuple(part.task for part in parts if part.unmet),
        extra=filled,
    )


def _facts(series: Series) -> SeriesFacts:
    spacing = series.largest_stack.volume.grid.spacing_mm
    return SeriesFacts(series.series_uid, series.plane.value, series.weighting.value, series.role.value, series.instances, spacing)
