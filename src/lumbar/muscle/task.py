"""Muscles as a task of the pipeline: masks, volumes, areas and fat."""

from dataclasses import replace
from pathlib import Path

from lumbar.domain.part import Part
from lumbar.domain.study import Patient, Study
from lumbar.errors import NoUsableSeries
from lumbar.models.registry import find_model, has_model
from lumbar.muscle.norms import with_norms
from lumbar.muscle.predict import TASK, Predictor
from lumbar.spine.find import FoundSpine


class MuscleTask:
    """Segments and measures the muscles of a study."""

    name = "muscle"

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def run(self, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        """Measure the muscles between L1/L2 and L5/S1. The evidence is a `MuscleResult`."""
        try:
            result = self._predictor.predict(study, spine.spine.finding.levels, patient.masks.muscles if patient.masks else ())
        except NoUsableSeries as error:
            return Part(self.name, warnings=(str(error),), unmet=True)
        result = replace(result, findings=with_norms(result.findings, patient.age_years, patient.sex))
        return Part(self.name, {"muscles": result.findings}, (self._predictor.model.use,), result.warnings, not result.findings, result)


def load(folder: Path | None = None, threads: int = 0) -> MuscleTask | None:
    """Load the task with the preferred model; None if no model is installed. The arguments are those of `spine.task.load`.

    Raises:
        ModelError: the model is damaged.
    """
    return MuscleTask(Predictor(find_model(TASK, folder, threads))) if has_model(TASK, folder) else None
