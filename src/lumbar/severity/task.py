"""Severity as a task of the pipeline: 25 grades with their evidence."""

from pathlib import Path

from lumbar.domain.part import Part
from lumbar.domain.study import Patient, Study
from lumbar.models.registry import has_model
from lumbar.severity import predict
from lumbar.severity.predict import Predictor
from lumbar.severity.prior import TASK as PRIOR_TASK
from lumbar.spine.find import FoundSpine
from lumbar.spine.spine_map import tissue_mask


class SeverityTask:
    """Grades the stenoses of a study."""

    name = "severity"

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def run(self, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        """Grade all conditions at all levels. The evidence is a `StudyGrades`."""
        predictor = self._predictor
        tissue = tissue_mask(spine.spine) if predictor.wants_masks else None
        grades = predictor.explain(study, spine.spine.finding.levels, tissue)
        used = {finding.model for finding in grades.findings}
        models = tuple(use for use in predictor.uses if use.name in used)
        unmet = used == {predictor.prior.name}
        return Part(self.name, {"severity": grades.findings}, models, predictor.warnings(grades.findings), unmet, grades)


def load(folder: Path | None = None, threads: int = 0) -> SeverityTask | None:
    """Load the task with the preferred models; None if no model is installed. The arguments are those of `spine.task.load`.

    Raises:
        ModelError: a model is damaged.
    """
    return SeverityTask(predict.load(folder, threads)) if has_model(PRIOR_TASK, folder) else None
