"""Grades of whole studies from a model folder, without PyTorch."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from lumbar.errors import ModelError
from lumbar.models.folder import Model
from lumbar.models.runtime import Network
from lumbar.severity.axial.grader import LOGITS
from lumbar.severity.calibration import Calibration, CropGrades
from lumbar.severity.studies.data import InputOptions, StudySet, study_inputs
from lumbar.severity.studies.rows import Predictions
from lumbar.severity.studies.views import StudyCrops

TASK = "severity_studies"
INPUTS = ("canal", "foramen", "axial", "present", "measures")
_STUDIES_AT_ONCE = 8

Value = TypeVar("Value", np.float64, np.int64)
Progress = Callable[[int, int], None]  # finished studies, total


class StudyGrader:
    """An equally weighted ensemble of networks for whole studies."""

    def __init__(self, model: Model) -> None:
        """Take the networks and the calibration of `model`.

        Raises:
            ModelError: the folder contains no network or no calibration.
        """
        if not model.networks:
            raise ModelError(f"{model.folder} contains no network; a model for {TASK} needs at least one")
        self.model = model
        parameters = model.card.parameters
        self.wanted = InputOptions(bool(parameters.get("masks", False)), int(parameters.get("sagittal_slices", 3)))
        self.calibration = Calibration.from_card(model.card.parameters, model.folder)

    def grade(self, studies: StudySet, progress: Progress | None = None) -> CropGrades:
        """Probabilities (n, 5 conditions, 5 levels, 3) of both kinds."""
        return calibrated(raw_predictions(self.model.networks, studies, self.wanted, progress), self.calibration)


def calibrated(raw: Predictions, calibration: Calibration) -> CropGrades:
    """Both kinds of probabilities (n, 5, 5, 3) from raw ones."""
    flat = calibration.apply(by_level(raw))
    return CropGrades(*(grades.reshape(len(raw), raw.shape[2], raw.shape[1], 3).swapaxes(1, 2) for grades in (flat.metric, flat.clinical)))


def by_level(values: NDArray[Value]) -> NDArray[Value]:
    """(n · 5 levels, 5 conditions, …) from (n, 5 conditions, 5 levels, …): one row per level, as required by calibrations."""
    return values.swapaxes(1, 2).reshape(values.shape[0] * values.shape[2], values.shape[1], *values.shape[3:])


def raw_predictions(networks: Sequence[Network], studies: StudySet, wanted: InputOptions, progress: Progress | None = None) -> Predictions:
    """(n, 5, 5, 3) mean probabilities over networks, before calibration."""
    count = len(studies.names)
    result = np.empty((count, 5, 5, 3))
    for start in range(0, count, _STUDIES_AT_ONCE):
        chosen = np.arange(start, min(start + _STUDIES_AT_ONCE, count))
        inputs = study_inputs(studies, chosen, wanted)
        result[chosen] = np.mean([softmax(network.run(inputs)[LOGITS].astype(np.float64), axis=-1) for network in networks], axis=0)
        if progress is not None:
            progress(int(chosen[-1]) + 1, count)
    return result


def one_study(crops: StudyCrops, name: str) -> StudySet:
    """The crops of one study as a data set of one, without grades."""
    masks = None if crops.masks is None else {view: mask[None] for view, mask in crops.masks.items()}
    measures = None if crops.measures is None else crops.measures[None]
    images = {view: image[None] for view, image in crops.images.items()}
    return StudySet(np.array([name]), np.full((1, 5, 5), -1), crops.present[None], np.zeros(1, np.int64), images, masks, measures)
