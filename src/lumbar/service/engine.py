"""The engine of the service: the front door of the library, with models that are loaded once."""

import lumbar.exchange.objects
import lumbar.report.pdf  # noqa: F401  (both take a second to import, which the first study would wait for)
from lumbar.api import EarlierResult, analyze, load_models, write_with_objects
from lumbar.io.read import read_study
from lumbar.io.staging import staged_folder
from lumbar.models.memory import keep_free_memory
from lumbar.report.write import write_analysis
from lumbar.service.config import ServiceConfig
from lumbar.service.reading import request_of
from lumbar.service.task import Progress, Task
from lumbar.service.views import view_of_result, write_views
from lumbar.service.worker_process import run_worker


class LumbarEngine:
    """The analysis itself."""

    def __init__(self, config: ServiceConfig) -> None:
        self._models = load_models(config.models, config.threads)

    def run(self, task: Task, progress: Progress) -> None:
        """Read, analyze and write; DICOM objects are written where the images are DICOM."""
        study = read_study(task.images, lambda done, total: progress("reading", done, total))
        if not task.views.exists():
            write_views(study, task.views)
        analysis = analyze(study, self._models, request_of(task.given, task.masks), progress).analysis
        progress("writing the report", 0, 1)
        from_dicom = any(stack.sop_uids for series in study.series for stack in series.stacks)
        earlier = EarlierResult(*task.earlier) if task.earlier else None
        with staged_folder(task.result, False) as stage:
            written = write_with_objects(analysis, task.images, stage, progress, earlier) if from_dicom else write_analysis(analysis, stage)
            view_of_result(written, stage)


if __name__ == "__main__":
    keep_free_memory()
    run_worker(LumbarEngine)
