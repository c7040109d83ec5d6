"""Crops of discs in their own frame, the input of the disc network, from the spine map of an image or study.

The disc's centre lies slightly in front of the middle of the crop, its long axis runs along the columns, and the width is 1.9 disc depths, so that the
canal behind and half of the vertebra above and below are in view. All discs of an image share one scale and one grey range and are thus comparable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.discs.features import NAMES as FEATURE_NAMES
from lumbar.discs.features import measure_discs
from lumbar.domain.anatomy import Level, SpineClass
from lumbar.errors import InputError
from lumbar.imaging.rectangle import centred, rectangle
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline, outline
from lumbar.spine.spine_map import SpineMap

ROWS, COLUMNS = 64, 96  # network input
STORED_ROWS, STORED_COLUMNS = 96, 144  # stored for training, with a margin for augmentation
HIGHEST = 7  # discs of an image, counted upwards from the lowest lumbar one
OTHER, DISC, CANAL, BODY = range(4)  # values of a tissue crop

_WIDTH_DEPTHS = 1.9  # width of the network input, in disc depths
_FORWARD_DEPTHS = 0.2  # distance of the middle of the crop behind the middle of the disc
_GREY_TOP = 200.0  # grey value of the brightest per cent around the column; brighter pixels extend to 255


@dataclass(frozen=True, eq=False)
class DiscCrops:
    """The discs of one image from the lowest upwards."""

    greys: NDArray[np.uint8]  # (n, rows, columns)
    tissues: NDArray[np.uint8]  # (n, rows, columns) OTHER, DISC (this one), CANAL, BODY
    steps_up: NDArray[np.int64]  # (n,) 0 for L5/S1, 4 for L1/L2, 5 for T12/L1 …
    features: NDArray[np.float32]  # (n, k) as in disc_features.NAMES; NaN where not measured


def cut_discs(spine: SpineMap, rows: int = ROWS, columns: int = COLUMNS) -> DiscCrops:
    """The discs of `spine`, lumbar ones and up to two above, that have an outline.

    Raises:
        InputError: no disc has an outline.
    """
    probability = spine.midplane.probabilities[SpineClass.DISC]
    shapes = [outline(spine.flat == 1 + number, probability) for number in range(len(spine.names.discs))]
    steps = steps_up(spine.names.discs)
    kept = [number for number in reversed(range(len(shapes))) if shapes[number] is not None and 0 <= steps[number] < HIGHEST]
    if not kept:
        raise InputError("no disc was segmented well enough to be graded")
    frames = [_frame(shape) for number in kept if (shape := shapes[number]) is not None]
    greys, tissues = crops(spine.midplane.image, spine.midplane.labels, spine.flat, kept, np.array(frames), (rows, columns))
    measured = {disc.level: disc.features for disc in measure_discs(spine)}
    nothing = np.full(len(FEATURE_NAMES), np.nan)
    levels = [spine.names.discs[number] for number in kept]
    features = np.stack([measured.get(level, nothing) if level else nothing for level in levels])
    return DiscCrops(greys, tissues, np.array([steps[number] for number in kept], np.int64), features.astype(np.float32))


def steps_up(names: Sequence[Level | None]) -> list[int]:
    """Number of discs between L5/S1 and each disc of a chain; all -1 where no disc has a name."""
    known = [(number, level) for number, level in enumerate(names) if level is not None]
    if not known:
        return [-1] * len(names)
    number, level = known[-1]
    lowest = tuple(Level)[::-1].index(level)
    return [lowest + number - other for other in range(len(names))]


def crops(
    image: NDArray[np.float32], labels: NDArray[np.uint8], flat: NDArray[np.uint8], discs: Sequence[int], frames: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey and tissue crops (n, *size) of `discs`, numbers in `flat`, with `frames` (n, 5): centre and direction from front to back (mm), depth."""
    low, high = grey_range(image, labels, flat)
    scaled = np.clip((image.astype(np.float32) - low) * (_GREY_TOP / max(high - low, 1e-6)), 0, 255)
    step_mm = _WIDTH_DEPTHS * float(np.median(frames[:5, 4])) / COLUMNS
    tissue = np.select([labels == SpineClass.CANAL, np.isin(labels, (SpineClass.BODY, SpineClass.SACRUM))], [CANAL, BODY], OTHER).astype(np.uint8)
    smooth = ndimage.gaussian_filter(scaled, 0.4 * max(step_mm / PIXEL_MM - 0.7, 0.0))
    greys, tissues = np.empty((len(discs), *size), np.uint8), np.empty((len(discs), *size), np.uint8)
    down_steps, across_steps = (centred(n, step_mm) for n in size)
    for place, (number, frame) in enumerate(zip(discs, frames, strict=True)):
        across = frame[2:4]
        down = np.array([across[1], -across[0]])
        middle = frame[:2] + _FORWARD_DEPTHS * COLUMNS / _WIDTH_DEPTHS * step_mm * across
        points = rectangle(middle, down_steps, down, across_steps, across)
        where = np.moveaxis(points / PIXEL_MM, -1, 0)
        greys[place] = np.rint(ndimage.map_coordinates(smooth, where, order=1, mode="constant"))
        own = np.where(flat == 1 + number, DISC, tissue)
        tissues[place] = ndimage.map_coordinates(own, where, order=0, mode="constant")
    return greys, tissues


def grey_range(image: NDArray[np.float32], labels: NDArray[np.uint8], flat: NDArray[np.uint8]) -> tuple[float, float]:
    """The darkest and the brightest per cent around the column and in the canal beside it."""
    near = ndimage.binary_dilation(flat > 0, iterations=3)
    canal = (labels == SpineClass.CANAL) & ndimage.binary_dilation(near, iterations=round(12 / PIXEL_MM))
    low, high = np.percentile(image[near | canal].astype(np.float32), (1, 99))
    return float(low), float(high)


def _frame(shape: Outline) -> tuple[float, ...]:
    return (*shape.center, *shape.across, shape.depth_mm)
