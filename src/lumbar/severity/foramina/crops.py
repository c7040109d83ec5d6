"""Crops around foraminal points, scaled by the distance between disc levels, so that foramina have the same size for all patients and pixel sizes."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Level, Side

LEVEL_PIXELS = 32.0  # of a crop, from one disc level to the next
STORED_SIZE = 96  # rows and columns of a stored crop: 1.5 levels in each direction, with a margin for augmentation
CROP_ROWS, CROP_COLUMNS = 72, 64  # network input, cut from the middle of the stored crop
USUAL_LEVEL_SHARE = 0.112  # distance between levels as a fraction of the longer side of the field of view: median of the public table
SIDES = (Side.LEFT, Side.RIGHT)  # 0 and 1 in arrays
_ORDER = tuple(Level)

Points = Mapping[Level, NDArray[np.float64]]  # (row, column) in isotropic units


def level_distance(sides: Sequence[Points], usual: float) -> float:
    """The median distance between the points of neighbouring levels on one side; `usual` without two neighbouring levels."""
    gaps = [
        float(np.linalg.norm(points[lower] - points[upper]))
        for points in sides
        for upper, lower in itertools.pairwise(_ORDER)
        if upper in points and lower in points
    ]
    return float(np.median(gaps)) if gaps else usual


def cut_stored(image: NDArray[np.float32], row: float, column: float, step_rows: float, step_columns: float) -> NDArray[np.uint8]:
    """(96, 96) around (`row`, `column`) of `image` (rows, columns) of 0 … 255; a crop's pixel is `step_rows` by `step_columns` of its pixels.

    Pixels beyond the edge of the image are 0.
    """
    offsets = np.arange(STORED_SIZE) - (STORED_SIZE - 1) / 2
    where = np.meshgrid(row + offsets * step_rows, column + offsets * step_columns, indexing="ij")
    values = ndimage.map_coordinates(image, where, order=1, mode="constant", cval=0.0)
    return np.asarray(np.clip(np.rint(values), 0, 255), dtype=np.uint8)
