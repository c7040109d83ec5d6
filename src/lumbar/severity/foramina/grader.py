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
from lumbar.severity.foramina.slices import pooled_slices
from lumbar.severity.portions import portions

TASK = "severity_foramina"
CROPS, LEVELS, SIDE_NUMBERS, STUDIES, LOGITS = "crops", "levels", "sides", "studies", "logits"
RELATED_LOGITS = "related"  # output: of the canal at the level of each foramen, and of the recess on its side
RELATED = 2  # conditions of that output
RELATED_CALIBRATION = "related_calibration"  # parameter of the card: that of the canal, then that of the recess
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


@dataclass(frozen=True, eq=False)
class SliceGrades:
    """Grades from the sagittal slices of a study, a row for each foramen."""

    foramen: ForamenGrades
    canal: ForamenGrades | None  # at the level of each foramen, from both sides; None where the networks do not grade it
    recess: ForamenGrades | None  # at the level and on the side of each foramen


class ForamenGrader:
    """An equally weighted ensemble of networks, each output with its own calibration."""

    def __init__(self, model: Model, workers: int = 1) -> None:
        """Take the networks and the calibration of `model`; `workers` networks run in parallel, preferably with one thread each.

        Raises:
            ModelError: the folder contains no network or no calibration.
        """
        parameters = model.card.parameters
        if not model.networks:
            raise ModelError(f"{model.folder} contains no network; a model for {TASK} needs at least one")
        self.model = model
        self.workers = workers
        self.calibration = LevelCalibration.from_card(parameters, model.folder)
        # Of the canal and of the recess.
        self.related = tuple(LevelCalibration.from_card({"calibration": values}, model.folder) for values in parameters.get(RELATED_CALIBRATION, {}).values())

    def grade(self, foramina: Foramina, progress: Progress | None = None) -> ForamenGrades:
        """Grades of stored crops; foramina of the same study are graded together."""
        raw = raw_probabilities(self.model.networks, foramina, SCALES, progress, self.workers)
        return self.calibration.apply(raw[:, 0], foramina.levels)

    def grade_slices(self, crops: Sequence[ForamenCrop]) -> SliceGrades:
        """Grades of one study's foramina, each from its slices."""
        levels = np.array([_LEVELS.index(crop.level) for crop in crops], np.int64)
        sides = np.array([SIDES.index(crop.side) for crop in crops], np.int64)
        layers = []
        for layer in range(len(NEIGHBOURS)):
            images = np.stack([crop.images[layer if crop.weights[layer] else len(NEIGHBOURS) // 2] for crop in crops])
            foramina = Foramina(images, levels, sides, np.zeros(len(crops), np.int64))
            layers.append(raw_probabilities(self.model.networks, foramina, ONE_SCALE, workers=self.workers))
        raw = pooled_slices(np.stack(layers), np.stack([crop.weights for crop in crops]))
        own = self.calibration.apply(raw[:, 0], levels)
        if not self.related:
            return SliceGrades(own, None, None)
        canal, recess = self.related
        return SliceGrades(own, canal.apply(mean_of_sides(raw[:, 1], levels, np.zeros(len(crops), np.int64)), levels), recess.apply(raw[:, 2], levels))


def raw_probabilities(
    networks: Sequence[Network], foramina: Foramina, scales: Sequence[float] = SCALES, progress: Progress | None = None, workers: int = 1
) -> NDArray[np.float64]:
    """(n, 3 conditions, 3) mean probabilities over networks and scales, before calibration: of the foramen, its level's canal, and the recess on its side.

    (n, 1, 3), of the foramen alone, where the networks do not grade the others.
    """
    result: NDArray[np.float64] | None = None
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        for rows in portions(foramina.studies):
            inputs = [network_input(foramina.crops[rows], scale) for scale in scales]
            jobs = [(network, crops) for network in networks for crops in inputs]
            placed = foramina.levels[rows], foramina.sides[rows], foramina.studies[rows]
            logits = pool.map(lambda job, placed=placed: network_logits(*job, *placed), jobs)
            mean = np.mean([softmax(values, axis=-1) for values in logits], axis=0)
            result = np.empty((len(foramina.crops), *mean.shape[1:])) if result is None else result
            result[rows] = mean
            done += len(rows)
            if progress is not None:
                progress(done, len(result))
    return np.zeros((0, 1, 3)) if result is None else result


def network_logits(
    network: Network, crops: NDArray[np.float32], levels: NDArray[np.int64], sides: NDArray[np.int64], studies: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n, 3 conditions, 3) of `crops` (n, 1, 72, 64), or (n, 1, 3); see `raw_probabilities`."""
    given: dict[str, NDArray[Any]] = {CROPS: crops, LEVELS: levels, SIDE_NUMBERS: sides, STUDIES: studies}
    answers = network.run(given)
    own = np.asarray(answers[LOGITS], np.float64)[:, None]
    return np.concatenate([own, np.asarray(answers[RELATED_LOGITS], np.float64)], axis=1) if RELATED_LOGITS in answers else own


def mean_of_sides(values: NDArray[np.float64], levels: NDArray[np.int64], studies: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3) `values` (n, 3) averaged over the foramina of the same study and level, as a level has one canal."""
    _, place = np.unique(np.stack([studies, levels]), axis=1, return_inverse=True)
    place = place.ravel()
    sums = np.zeros((int(place.max()) + 1, values.shape[1])) if len(place) else np.zeros((0, values.shape[1]))
    np.add.at(sums, place, values)
    return np.asarray((sums / np.bincount(place)[:, None])[place])
