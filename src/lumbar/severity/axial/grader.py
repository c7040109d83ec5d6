"""Grades of axial crops from a model folder, without PyTorch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from lumbar.domain.anatomy import Condition, Level
from lumbar.errors import ModelError
from lumbar.models.folder import Model
from lumbar.models.runtime import Network
from lumbar.severity.axial.network_input import VIEWS, CropImage, network_input
from lumbar.severity.calibration import Calibration, CropGrades
from lumbar.severity.portions import portions

TASK = "severity_axial_crops"
CROPS, LEVELS, STUDIES, LOGITS = "crops", "levels", "studies", "logits"

Progress = Callable[[int, int], None]  # finished crops, total


class CropGrader:
    """An ensemble of networks with test-time augmentation: each crop is graded whole and slightly magnified, and predictions are averaged."""

    def __init__(self, model: Model, workers: int = 1) -> None:
        """Take the networks and the calibration of `model`; `workers` networks run in parallel, preferably with one thread each.

        Raises:
            ModelError: the folder contains no network or no calibration.
        """
        if not model.networks:
            raise ModelError(f"{model.folder} contains no network; a model for {TASK} needs at least one")
        self.model = model
        self.workers = workers
        self.calibration = Calibration.from_card(model.card.parameters, model.folder)

    def grade(self, images: Sequence[CropImage], levels: Sequence[Level], studies: Sequence[str], progress: Progress | None = None) -> CropGrades:
        """Grades of `images` at `levels`; crops of the same study attend to each other."""
        return self.calibration.apply(raw_probabilities(self.model.networks, images, levels, studies, progress, self.workers))

    def grade_quickly(self, images: Sequence[CropImage], levels: Sequence[Level]) -> CropGrades:
        """Grades of the crops of one study without test-time augmentation, in a fifth of the time."""
        raw = raw_probabilities(self.model.networks, images, levels, [""] * len(images), workers=self.workers, views=1)
        return self.calibration.apply(raw)


def raw_probabilities(
    networks: Sequence[Network],
    images: Sequence[CropImage],
    levels: Sequence[Level],
    studies: Sequence[str],
    progress: Progress | None = None,
    workers: int = 1,
    views: int = VIEWS,
) -> NDArray[np.float64]:
    """(n, 5, 3) mean probabilities over networks and the first `views` of `network_input`, before calibration."""
    result = np.empty((len(images), len(Condition), 3))
    order = tuple(Level)
    numbers = np.array([order.index(level) for level in levels], np.int64)
    _, owners = np.unique(np.asarray(studies), return_inverse=True)
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        for rows in portions(owners):
            inputs = [np.stack([network_input(images[row], view) for row in rows]) for view in range(views)]
            jobs = [(network, crops, numbers[rows], owners[rows]) for network in networks for crops in inputs]
            result[rows] = np.mean([softmax(logits, axis=-1) for logits in pool.map(lambda job: network_logits(*job), jobs)], axis=0)
            done += len(rows)
            if progress is not None:
                progress(done, len(images))
    return result


def network_logits(network: Network, crops: NDArray[np.float32], levels: NDArray[np.int64], studies: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """(n, 5, 3) of `crops` (n, 3, 96, 136) at `levels` (n,) 0 … 4; without `studies` (n,) each crop forms a study of its own."""
    owners = np.arange(len(crops)) if studies is None else studies
    return np.asarray(network.run({CROPS: crops, LEVELS: levels, STUDIES: owners})[LOGITS], dtype=np.float64)
