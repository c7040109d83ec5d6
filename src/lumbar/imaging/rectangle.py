"""Points of a rectangle in patient space, at which a volume is sampled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Points


def centred(count: int, pixel_mm: float) -> Points:
    """(count,) offsets in mm of pixels that lie evenly on both sides of 0."""
    return np.asarray((np.arange(count) - (count - 1) / 2) * pixel_mm)


def rectangle(middle_mm: Points, rows_mm: NDArray[np.floating[Any]], down: Points, columns_mm: NDArray[np.floating[Any]], across: Points) -> Points:
    """(rows, columns, 3) points around `middle_mm` (3,), `rows_mm` along the unit vector `down` (3,) and `columns_mm` along `across`; also in a plane (2,)."""
    return np.asarray(middle_mm + rows_mm[:, None, None] * down + columns_mm[None, :, None] * across)
