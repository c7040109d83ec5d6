"""Disc grades as a task of the pipeline; they come with the severity grades."""

from pathlib import Path

from lumbar.discs.grader import DiscGrader
from lumbar.discs.model import TASK
from lumbar.domain.part import Part
from lumbar.domain.study import Patient, Plane, Study
from lumbar.errors import InputError
from lumbar.models.registry import find_model, has_model
from lumbar.spine.find import FoundSpine


class DiscTask:
    """Grades the discs of a sagittal series."""

    name = "discs"

    def __init__(self, grader: DiscGrader) -> None:
        self._grader = grader

    def run(self, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        """Grade every disc that was found, or warn why the image cannot be graded."""
        if spine.series.plane is not Plane.SAGITTAL:
            return Part(self.name)
        try:
            grades = self._grader.grade(spine.spine, in_distribution_only=True)
        except InputError as error:
            return Part(self.name, warnings=(f"disc grades: {error}",))
        return Part(self.name, {"disc_grades": grades}, (self._grader.model.use,))


def load(folder: Path | None = None, threads: int = 0) -> DiscTask | None:
    """Load the task with the preferred model; None if no model is installed. The arguments are those of `spine.task.load`.

    Raises:
        ModelError: the model is damaged.
    """
    return DiscTask(DiscGrader(find_model(TASK, folder, threads))) if has_model(TASK, folder) else None
