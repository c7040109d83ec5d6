"""Years that a feature model adds at each place: exact, as the model is linear."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.age.crops import LEVELS, CropOptions, SliceSet
from lumbar.age.features.measure import NETWORK
from lumbar.age.importance import DISC_HALF_MM, HeatMap

Array = NDArray[np.float64]

_EDGE_MM = 2.0  # structures fade over about this
# Where a feature is measured, in mm (first and last) down and back from the middle of the disc; None: the whole height of the crop.
_PLACES: dict[str, tuple[tuple[float, float] | None, tuple[float, float]]] = {
    "disc_to_marrow": ((-DISC_HALF_MM, DISC_HALF_MM), (-18.0, 18.0)),
    "disc_height_to_depth": ((-DISC_HALF_MM, DISC_HALF_MM), (-18.0, 18.0)),
    "csf_to_marrow": (None, (18.0, 33.0)),
    "canal_to_depth": ((-DISC_HALF_MM, DISC_HALF_MM), (18.0, 33.0)),
    "body_flatness": ((-30.0, -DISC_HALF_MM), (-18.0, 18.0)),
    "dorsal_tissue": (None, (35.0, 57.0)),
    **dict.fromkeys(NETWORK, (None, (-18.0, 57.0))),
}


def level_years(contributions: Array) -> dict[str, float]:
    """Years by level of contributions (k, 5)."""
    return {level.value: float(years) for level, years in zip(LEVELS, contributions.sum(axis=0), strict=True)}


def contribution_map(names: tuple[str, ...], contributions: Array, slices: SliceSet) -> HeatMap:
    """Every feature's years at the place where it is measured: the value at a place is the sum over the features measured there."""
    options = slices.options
    maps, frames = {}, {}
    for column, frame in enumerate(slices.frames):
        if frame is None:
            continue
        total = np.zeros((options.rows, options.columns))
        for name, years in zip(names, contributions[:, column], strict=True):
            if name in _PLACES:
                total += years * _mask(name, options)
        frames[frame.level.value] = frame
        maps[frame.level.value] = ndimage.gaussian_filter(total, _EDGE_MM / options.pixel_mm).astype(np.float32)
    return HeatMap(maps, frames, options)


def _mask(name: str, options: CropOptions) -> Array:
    rows_mm, columns_mm = _PLACES[name]
    down = (np.arange(options.rows) - options.middle[0]) * options.pixel_mm
    back = (np.arange(options.columns) - options.middle[1]) * options.pixel_mm
    inside = np.ones(options.rows, dtype=bool) if rows_mm is None else (down >= rows_mm[0]) & (down <= rows_mm[1])
    return np.asarray(inside[:, None] & (back >= columns_mm[0]) & (back <= columns_mm[1]), dtype=np.float64)
