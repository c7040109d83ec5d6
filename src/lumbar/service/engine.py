"""What a worker runs on a study: the front door of the library, with models that are loaded once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lumbar.api import analyze, load_models, write_with_objects
from lumbar.io.read import read_study
from lumbar.io.staging import staged_folder
from lumbar.report.write import write_analysis
from lumbar.service.config import ServiceConfig
from lumbar.service.views import view_of_result, write_views

Progress = Callable[[str, int, int], None]  # step, done, total


@dataclass(frozen=True)
class Task:
    """One analysis: where it reads, where it writes, what a person gave."""

    images: Path
    result: Path  # to be; complete or absent
    views: Path  # to be; there already if another version was made from the same images
    given: dict[str, Any] = field(default_factory=dict)  # the request of a correction
    masks: Path | None = None  # folder of the masks that the request names


class Engine(Protocol):
    """Analyzes studies one after the other."""

    def run(self, task: Task, progress: Progress) -> None:
        """Write the result of `task`.

        Raises:
            InputError: the images cannot be used, and another try would not help.
        """
        ...


class LumbarEngine:
    """The analysis itself."""

    def __init__(self, config: ServiceConfig) -> None:
        self._models = load_models(config.models, config.threads)

    def run(self, task: Task, progress: Progress) -> None:
        """Read, analyze and write; DICOM objects are written where the images are DICOM."""
        study = read_study(task.images, lambda done, total: progress("reading", done, total))
        if not task.views.exists():
            write_views(study, task.views)
        analysis = analyze(study, self._models, progress=progress).analysis
        progress("writing the results", 0, 1)
        from_dicom = any(stack.sop_uids for series in study.series for stack in series.stacks)
        with staged_folder(task.result, False) as stage:
            written = write_with_objects(analysis, task.images, stage) if from_dicom else write_analysis(analysis, stage)
            view_of_result(written, stage)
