"""Grades of foramina from a model folder, without PyTorch."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

from lumbar.domain.anatomy import Level
from lumbar.errors import ModelError
from lumbar.models.folder import Model
from lumbar.models.runtime import Network
from lumbar.severity.foramina.calibration import ForamenGrades, LevelCalibration
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS, SIDES, STORED_SIZE
from lumbar.severity.foramina.cut import NEIGHBOURS, ForamenCrop
from lumbar.severity.portions import portions

TASK = "severity_foramina"
CROPS, LEVELS, SIDE_NUMBERS, STUDIES, LOGITS = "crops", "levels", "sides", "studies", "logits"
# Magnifications of test-time augmentation; predictions are averaged.
SCALES = (1.0, 1.08)
ONE_SCALE = (1.08,)  # where time counts: the best single one out of fold
_LEVELS = tuple(Level)

Progress = Callable[[int, int], None]  # finished foramina, total


@dataclass(frozen=True, eq=False)
class Foramina:
    """Stored crops with the other inputs of the network."""

    crops: NDArray[np.uint8]  # (n, 96, 96)
    levels: NDArray[np.int64]  # (n,) 0 … 4
    sides: NDArray[np.int64]  # (n,) 0 left, 1 right
    studies: NDArray[np.int64]  # (n,) equal for foramina of one study


def network_input(stored: NDArray[np.uint8], scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float32]:
    """(n, 1, 72, 64) of zero mean and unit variance: the middle of crops `stored` (n, 96, 96), magnified by `scale`, shifted by `shift` (rows, columns)."""
    rows, columns = ((np.arange(size) - (size - 1) / 2) / scale + (STORED_SIZE - 1) / 2 + by for size, by in zip((CROP_ROWS, CROP_COLUMNS), shift, strict=True))
    where = np.meshgrid(np.arange(len(stored)), rows, columns, indexing="ij")
    cut = ndimage.map_coordinates(stored.astype(np.float32), where, order=1, mode="constant")
    spread = np.maximum(cut.std(axis=(1, 2), keepdims=True), 1e-3)
    return np.asarray((cut - cut.mean(axis=(1, 2), keepdims=True)) / spread, dtype=np.float32)[:, None]


class ForamenGrader:
    """An equally weighted ensemble of networks with one calibration."""

    def __init__(self, model: Model, workers: int = 1) -> None:
        """Take the networks and the calibration of `model`; `workers` networks run in parallel, preferably with one thread each.

        Raises:
            ModelError: the folder contains no network or no calibration.
        """
        if not model.networks:
            raise ModelError(f"{model.folder} contains no network; a model for {TASK} needs at least one")
        self.model = model
        self.workers = workers
        self.calibration = LevelCalibration.from_card(model.card.parameters, model.folder)

    def grade(self, foramina: Foramina, progress: Progress | None = None) -> ForamenGrades:
        """Grades of stored crops; foramina of the same study are graded together."""
        return self.calibration.apply(raw_probabilities(self.model.networks, foramina, SCALES, progress, self.workers), foramina.levels)

    def grade_slices(self, crops: Sequence[ForamenCrop]) -> ForamenGrades:
        """Grades of one study's foramina, averaged over the slices of each by their weights."""
        raw = np.zeros((len(crops), 3))
        levels = np.array([_LEVELS.index(crop.level) for crop in crops], np.int64)
        sides = np.array([SIDES.index(crop.side) for crop in crops], np.int64)
        for layer in range(len(NEIGHBOURS)):
            images = np.stack([crop.images[layer if crop.weights[layer] else len(NEIGHBOURS) // 2] for crop in crops])
            foramina = Foramina(images, levels, sides, np.zeros(len(crops), np.int64))
            share = np.array([crop.weights[layer] for crop in crops])
            raw += share[:, None] * raw_probabilities(self.model.networks, foramina, ONE_SCALE, workers=self.workers)
        return self.calibration.apply(raw, levels)


def raw_probabilities(
    networks: Sequence[Network], foramina: Foramina, scales: Sequence[float] = SCALES, progress: Progress | None = None, workers: int = 1
) -> NDArray[np.float64]:
    """(n, 3) mean probabilities over networks and scales, before calibration."""
    result = np.empty((len(foramina.crops), 3))
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        for rows in portions(foramina.studies):
            inputs = [network_input(foramina.crops[rows], scale) for scale in scales]
            jobs = [(network, crops) for network in networks for crops in inputs]
            placed = foramina.levels[rows], foramina.sides[rows], foramina.studies[rows]
            logits = pool.map(lambda job, placed=placed: network_logits(*job, *placed), jobs)
            result[rows] = np.mean([softmax(values, axis=-1) for values in logits], axis=0)
            done += len(rows)
            if progress is not None:
                progress(done, len(result))
    return result


def network_logits(
    network: Network, crops: NDArray[np.float32], levels: NDArray[np.int64], sides: NDArray[np.int64], studies: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n, 3) of `crops` (n, 1, 72, 64)."""
    given: dict[str, NDArray[Any]] = {CROPS: crops, LEVELS: levels, SIDE_NUMBERS: sides, STUDIES: studies}
    return np.asarray(network.run(given)[LOGITS], np.float64)
