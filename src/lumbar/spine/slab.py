"""Sagittal slices for the network: in standard orientation, averaged to a useful thickness, and limited to the width of a spine."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane
from lumbar.domain.volume import Volume
from lumbar.imaging.orient import to_sagittal
from lumbar.imaging.resample import regular

_SLAB_MM = 3.0  # thinner slices are averaged to about this: faster, less noisy, and closer to the training images
_THIN_MM = 1.6
_WIDE_MM = 110.0  # the spine is first localised in stacks wider than this
_LOOK_MM = 12.0  # slice spacing of that search
_HALF_MM = 36.0  # to either side of the spine

Labeller = Callable[[NDArray[np.float32]], NDArray[np.uint8]]  # images (slices, rows, columns) → classes of the same shape


def sagittal_slab(volume: Volume, plane: Plane) -> Volume:
    """`volume` with sagittal slices from right to left, rows from head to foot, columns from front to back; resliced if it is of another plane."""
    turned = to_sagittal(volume if plane is Plane.SAGITTAL else regular(volume))
    between = turned.grid.spacing_mm[0]
    if turned.grid.shape[0] < 2 or between >= _THIN_MM:
        return turned
    group = max(1, round(_SLAB_MM / between))
    count = turned.grid.shape[0] // group
    array = turned.array[: count * group].reshape(count, group, *turned.array.shape[1:]).mean(axis=1, dtype=np.float32)
    origins = turned.grid.origins_mm[: count * group].reshape(count, group, 3).mean(axis=1)
    return Volume(array, Grid(origins, turned.grid.row_step_mm, turned.grid.column_step_mm, turned.grid.rows, turned.grid.columns))


def around_spine(slab: Volume, label: Labeller) -> Volume:
    """The slices of a wide slab around the spine, which is localised in a few of them; a narrow slab is returned unchanged."""
    count, between = slab.grid.shape[0], slab.grid.spacing_mm[0]
    if count * between <= _WIDE_MM:
        return slab
    looked = np.arange(0, count, max(1, round(_LOOK_MM / between)))
    classes = label(np.asarray(slab.array[looked], dtype=np.float32))
    amount = np.minimum(*(np.count_nonzero(classes == kind, axis=(1, 2)) for kind in (SpineClass.CANAL, SpineClass.DISC))).astype(float)
    middle = (np.average(looked, weights=amount**2) if amount.any() else (count - 1) / 2)  # fmt: skip
    half = _HALF_MM / between
    low, high = max(0, int(middle - half)), min(count, int(np.ceil(middle + half)) + 1)
    grid = slab.grid
    return Volume(slab.array[low:high], Grid(grid.origins_mm[low:high], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns))
