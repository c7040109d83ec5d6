"""Occlusion maps of axial grades: change of the severity score when a region of the crop is occluded. Needs ONNX Runtime only; works for any crop grader.

Each region is occluded twice with a soft mask: by its blurred surroundings, and by the brightest tissue of the crop. Stenosis is the absence of bright
fluid: occluding a severely narrowed canal with its dark surroundings changes nothing, but occluding it with bright tissue does, and the reverse for an
open canal. One network of the ensemble is run, on the crop of one level only; on real crops both simplifications change the map little (correlation of
at least 0.96 with all networks, and with all levels; `recipes/severity/heat_maps.py`). The outermost 7 mm of the crop are skipped: the map correlates
with the complete one at 0.97 (median of 19 maps) and takes less than half the time.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.findings import Evidence, SeverityFinding
from lumbar.severity.axial.cut import HEIGHT_MM, WIDTH_MM, LevelCrop
from lumbar.severity.axial.grader import CropGrader, network_logits
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS, CropImage, network_input
from lumbar.severity.finding import severity_score

_GRID = 5, 7  # rows, columns of the occlusion grid, 7 mm apart: 1.5 times as many change the map little
_SPOTS = 3, 5  # rows, columns of occluded regions: the grid without its outermost ring
_SPOT_MM = 4.0  # standard deviation of the soft mask
_SURROUNDINGS_MM = 6.0  # standard deviation of the blur that estimates the surroundings
_BRIGHT_PERCENTILE = 97.0
_AT_ONCE = 30
_LEAST_SCORE = 1e-4  # scores are clipped to this distance from 0 and 1, where log-odds are unbounded
_PIXELS_PER_MM = np.array([CROP_ROWS / HEIGHT_MM, CROP_COLUMNS / WIDTH_MM])

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Importance of each region of a crop for one grade."""

    condition: Condition
    crop: LevelCrop
    change: Floats  # (96, 136) over the whole crop, at least 0: mean |change| of the log-odds of the severity score under occlusion

    @property
    def level(self) -> Level:
        """The level of the crop."""
        return self.crop.level.level

    @property
    def peak(self) -> Evidence:
        """The most important position, in pixels of the crop's slice."""
        row, column = np.unravel_index(int(self.change.argmax()), self.change.shape)
        rows_mm, columns_mm = self.crop.size_mm
        back_mm, left_mm = ((row + 0.5) / CROP_ROWS - 0.5) * rows_mm, ((column + 0.5) / CROP_COLUMNS - 0.5) * columns_mm
        return self.crop.evidence(float(left_mm), float(back_mm))


def heat_maps(grader: CropGrader, crops: Mapping[Level, LevelCrop], findings: Iterable[SeverityFinding]) -> tuple[HeatMap, ...]:
    """Maps of the `findings` that `grader` graded moderate or severe, in their order."""
    name = grader.model.card.name
    wanted = [f for f in findings if f.model == name and f.severity is not Severity.NORMAL_MILD and f.level in crops]
    levels = [level for level in Level if any(f.level is level for f in wanted)]
    with ThreadPoolExecutor(grader.workers) as pool:
        changes = dict(zip(levels, pool.map(lambda level: importance(grader, crops[level].image, level), levels), strict=True))
    order = tuple(Condition)
    return tuple(HeatMap(f.condition, crops[f.level], changes[f.level][order.index(f.condition)]) for f in wanted)


def importance(grader: CropGrader, image: CropImage, level: Level) -> Floats:
    """(5, 96, 136) importance of each region for each condition, in the order of `Condition`; see `HeatMap.change`."""
    crop = network_input(image)
    before = log_odds(grader, crop[None], level)
    changes = [np.abs(log_odds(grader, hidden, level) - before) for hidden in hidden_by(crop, _spots())]
    return np.stack([_smooth(values.reshape(_SPOTS)) for values in np.mean(changes, axis=0).T])


def hidden_by(crop: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """(n, 3, 96, 136) twice: `crop` (3, 96, 136) occluded with masks `shares` (n, 96, 136) by its surroundings, and by bright tissue."""
    surroundings = ndimage.gaussian_filter(crop, (0, *(_SURROUNDINGS_MM * _PIXELS_PER_MM)), mode="nearest")
    bright = np.percentile(crop, _BRIGHT_PERCENTILE, axis=(1, 2)).astype(np.float32)[:, None, None]
    kept, hidden = 1 - shares[:, None], shares[:, None]
    return crop * kept + surroundings * hidden, crop * kept + bright * hidden


def _spots() -> Floats:
    """(15, 96, 136) soft masks of the occluded regions."""
    down, across = (
        np.exp(-0.5 * ((np.arange(size) + 0.5 - (np.arange(1, count - 1)[:, None] + 0.5) * size / count) / (_SPOT_MM * pixels)) ** 2)
        for count, size, pixels in zip(_GRID, (CROP_ROWS, CROP_COLUMNS), _PIXELS_PER_MM, strict=True)
    )
    return np.asarray(down[:, None, :, None] * across[None, :, None, :], np.float32).reshape(-1, CROP_ROWS, CROP_COLUMNS)


def log_odds(grader: CropGrader, crops: Floats, level: Level) -> NDArray[np.float64]:
    """(n, 5) log-odds of the severity score of crops (n, 3, 96, 136), each as the only crop of its study; from the first network only."""
    network = grader.model.networks[0]
    number = tuple(Level).index(level)
    parts = [crops[start : start + _AT_ONCE] for start in range(0, len(crops), _AT_ONCE)]
    logits = np.concatenate([network_logits(network, part, np.full(len(part), number)) for part in parts])
    scores = np.clip(severity_score(grader.calibration.apply(softmax(logits, axis=-1)).clinical), _LEAST_SCORE, 1 - _LEAST_SCORE)
    return np.asarray(np.log(scores / (1 - scores)))


def _smooth(values: NDArray[np.float64]) -> Floats:
    """(96, 136) cubic interpolation between the occluded regions, 0 on the outermost ring."""
    down, across = ((np.arange(size) + 0.5) / size * count - 0.5 for count, size in zip(_GRID, (CROP_ROWS, CROP_COLUMNS), strict=True))
    where = np.meshgrid(np.clip(down, 0, _GRID[0] - 1), np.clip(across, 0, _GRID[1] - 1), indexing="ij")
    return np.maximum(ndimage.map_coordinates(np.pad(values, 1), where, order=3, mode="nearest"), 0).astype(np.float32)
