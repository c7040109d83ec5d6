"""Age as a task of the pipeline: the predicted age, its interval and its explanation."""

from dataclasses import dataclass
from pathlib import Path

from lumbar.age.calibration import Calibration
from lumbar.age.predict import TASK, AgeResult, Predictor
from lumbar.domain.part import Part
from lumbar.domain.stack_choice import stack_showing
from lumbar.domain.study import Patient, Role, Study
from lumbar.errors import InputError
from lumbar.models.registry import find_model, has_model
from lumbar.spine.find import FoundSpine


@dataclass(frozen=True, eq=False)
class Age:
    """The predicted age of one study, with the reference data of the report."""

    result: AgeResult
    calibration: Calibration
    chronological_age_years: float | None


class AgeTask:
    """Predicts the age of a lumbar spine from sagittal T2 or STIR slices."""

    name = "age"

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def run(self, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        """Predict an age. The evidence is an `Age`."""
        series = study.with_role(Role.SAGITTAL_T2)
        if not series:
            return Part(self.name, warnings=("age: it needs a sagittal T2 or STIR series; the study has none",), unmet=True)
        predictor, known = self._predictor, patient.age_years
        shown = spine.stack if spine.series.role is Role.SAGITTAL_T2 else stack_showing(series, [level.center_mm for level in spine.spine.finding.levels])
        try:
            result = predictor.predict(shown.volume, spine.spine.finding.levels, known, patient.sex)
        except InputError as error:
            return Part(self.name, warnings=(f"age: {error}",), unmet=True)
        return Part(self.name, {"age": result.finding}, (predictor.use,), result.warnings, evidence=Age(result, predictor.calibration, known))


def load(folder: Path | None = None, threads: int = 0) -> AgeTask | None:
    """Load the task with the preferred model; None if no model is installed. The arguments are those of `spine.task.load`.

    Raises:
        ModelError: the model is damaged.
    """
    return AgeTask(Predictor(find_model(TASK, folder, threads))) if has_model(TASK, folder) else None
