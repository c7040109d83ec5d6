"""One fold of a cross-validation on a store of studies, described by paths, so that another process can train it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lumbar.datasets.axial_crops import AxialCrop
from lumbar.datasets.rsna2024_grades import Grades
from lumbar.severity.axial.data import stored_images, targets
from lumbar.severity.studies.data import StudySet, from_axial_crops, from_store
from lumbar.severity.studies.store import open_store

if TYPE_CHECKING:
    from lumbar.severity.learn.studies.folds import StudyFoldOptions
    from lumbar.severity.learn.studies.train import StudyTraining

Crops = tuple[Sequence[AxialCrop], Path]  # rows of the crop table, and the folder of their images


def study_sources(store: Path, grades: Grades, crops: Crops | None) -> list[StudySet]:
    """The studies of `store`, then those of which there are only ready-made axial `crops`."""
    sources = [from_store(open_store(store), grades)]
    if crops is not None:
        sources.append(from_axial_crops(crops[0], targets(crops[0], grades), stored_images(*crops)))
    return sources


@dataclass(frozen=True)
class StoreFold:
    """Everything that the training of one fold depends on; picklable, and small."""

    store: Path
    grades: Grades
    crops: Crops | None
    runs: Path
    fold: int
    training: "StudyTraining"
    split: "StudyFoldOptions"

    def __call__(self) -> None:
        """Train the fold and export it to `runs` (needs lumbar[train])."""
        from lumbar.severity.learn.studies.folds import train_study_fold  # noqa: PLC0415  (PyTorch, an extra)

        train_study_fold(study_sources(self.store, self.grades, self.crops), self.runs, self.fold, self.training, self.split)
