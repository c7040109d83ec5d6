"""Occlusion maps of foraminal grades: change of the severity score when a region of the T1 crop is occluded.

As for axial crops, each region is occluded twice with a soft mask: by its surroundings, and by the brightest tissue of the crop, which in a foramen is
the fat around the nerve root. One network of the ensemble is run, on the crop of one foramen only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

from lumbar.domain.anatomy import Condition, Level, Severity, Side
from lumbar.domain.findings import Evidence, SeverityFinding
from lumbar.severity.finding import severity_score
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS, SIDES
from lumbar.severity.foramina.cut import NEIGHBOURS, ForamenCrop
from lumbar.severity.foramina.grader import ForamenGrader, network_input, network_logits

CONDITIONS = {Side.LEFT: Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Side.RIGHT: Condition.RIGHT_NEURAL_FORAMINAL_NARROWING}
_SPOTS = 5, 3  # rows, columns of occluded regions
_SPACING = 8.0  # pixels between regions: about 8.5 mm; the border of the crop is skipped
_SPOT = 5.0  # standard deviation of the soft mask in pixels
_SURROUNDINGS = 7.0  # standard deviation of the blur that estimates the surroundings
_BRIGHT_PERCENTILE = 97.0
_LEAST_SCORE = 1e-4  # scores are clipped to this distance from 0 and 1, where log-odds are unbounded

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ForamenHeatMap:
    """Importance of each region of a crop for the grade of its foramen."""

    condition: Condition
    crop: ForamenCrop
    change: Floats  # (72, 64), at least 0: mean |change| of the log-odds of the severity score under occlusion

    @property
    def level(self) -> Level:
        """The level of the crop."""
        return self.crop.level

    @property
    def peak(self) -> Evidence:
        """The most important position, in pixels of the crop's slice."""
        row, column = np.unravel_index(int(self.change.argmax()), self.change.shape)
        down, back = ((float(place) - (size - 1) / 2) * self.crop.pixel_mm for place, size in zip((row, column), self.change.shape, strict=True))
        return self.crop.evidence(down, back)


def foramen_heat_maps(
    grader: ForamenGrader, crops: Mapping[tuple[Level, Side], ForamenCrop], findings: Iterable[SeverityFinding]
) -> tuple[ForamenHeatMap, ...]:
    """Maps of the `findings` that `grader` graded moderate or severe, in their order."""
    sides = {condition: side for side, condition in CONDITIONS.items()}
    wanted = [
        f
        for f in findings
        if f.model == grader.model.card.name and f.severity is not Severity.NORMAL_MILD and f.condition in sides and (f.level, sides[f.condition]) in crops
    ]
    shown = [crops[f.level, sides[f.condition]] for f in wanted]
    return tuple(ForamenHeatMap(f.condition, crop, importance(grader, crop)) for f, crop in zip(wanted, shown, strict=True))


def importance(grader: ForamenGrader, crop: ForamenCrop) -> Floats:
    """(72, 64) importance of each region; see `ForamenHeatMap.change`."""
    image = network_input(crop.images[len(NEIGHBOURS) // 2][None])[0, 0]
    hidden = hidden_by(image, _soft_spots())
    odds = _log_odds(grader, np.concatenate([image[None], *hidden]), crop)
    changes = np.abs(odds[1:] - odds[0]).reshape(2, *_SPOTS).mean(axis=0)
    return _smooth(changes)


def hidden_by(image: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """(n, 72, 64) twice: `image` (72, 64) occluded with masks `shares` (n, 72, 64) by its surroundings, and by bright tissue."""
    surroundings = ndimage.gaussian_filter(image, _SURROUNDINGS, mode="nearest")
    bright = float(np.percentile(image, _BRIGHT_PERCENTILE))
    return image * (1 - shares) + surroundings * shares, image * (1 - shares) + np.float32(bright) * shares


def _places() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the occluded regions."""
    rows, columns = (
        np.asarray((np.arange(count) - (count - 1) / 2) * _SPACING + (size - 1) / 2, np.float64)
        for count, size in zip(_SPOTS, (CROP_ROWS, CROP_COLUMNS), strict=True)
    )
    return rows, columns


def _soft_spots() -> Floats:
    """(15, 72, 64) soft masks of the occluded regions."""
    down, across = (
        np.exp(-0.5 * ((np.arange(size) - places[:, None]) / _SPOT) ** 2) for places, size in zip(_places(), (CROP_ROWS, CROP_COLUMNS), strict=True)
    )
    return np.asarray(down[:, None, :, None] * across[None, :, None, :], np.float32).reshape(-1, CROP_ROWS, CROP_COLUMNS)


def _log_odds(grader: ForamenGrader, images: Floats, crop: ForamenCrop) -> NDArray[np.float64]:
    """(n,) log-odds of the severity score of images (n, 72, 64) of one foramen, each as the only one of its study."""
    levels = np.full(len(images), tuple(Level).index(crop.level), np.int64)
    sides = np.full(len(images), SIDES.index(crop.side), np.int64)
    logits = network_logits(grader.model.networks[0], images[:, None], levels, sides, np.arange(len(images)))[:, 0]
    scores = np.clip(severity_score(grader.calibration.apply(softmax(logits, axis=-1), levels).clinical), _LEAST_SCORE, 1 - _LEAST_SCORE)
    return np.asarray(np.log(scores / (1 - scores)))


def _smooth(values: NDArray[np.float64]) -> Floats:
    """(72, 64) cubic interpolation between the occluded regions, fading out beyond the outermost."""
    framed = np.pad(values, 1)
    rows, columns = ((np.arange(size) - places[0]) / _SPACING + 1 for places, size in zip(_places(), (CROP_ROWS, CROP_COLUMNS), strict=True))
    where = np.meshgrid(rows, columns, indexing="ij")
    return np.maximum(ndimage.map_coordinates(framed, where, order=3, mode="constant", cval=0.0), 0).astype(np.float32)
