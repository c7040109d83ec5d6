"""Series on one coarse grid, in which they can be compared whatever their planes and pixel sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.volume import Volume

Values = NDArray[np.float32]
Box = NDArray[np.float64]  # (2, 3) lowest and highest corner, LPS mm

PIXEL_MM = 3.0  # of the common grid
_FLAT_MM = 18.0  # scale over which brightness is evened out
_FEWEST_VOXELS = 500
_CUT = 3.0  # standard deviations: Gaussian kernels end there
_BINNED_SIGMA = 1.0  # pixels are averaged in blocks as long as a blur of this many pixels remains to be done


@dataclass(frozen=True, eq=False)
class Raster:
    """Brightness of a series on the common grid."""

    values: Values  # (x, y, z) zero outside
    mask: Values  # (x, y, z) 1 inside, 0 outside
    corner_mm: NDArray[np.float64]  # (3,) LPS, of the first voxel

    @property
    def box_mm(self) -> Box:
        """The first and the last voxel."""
        return np.array([self.corner_mm, self.corner_mm + PIXEL_MM * (np.array(self.mask.shape) - 1)])

    @cached_property
    def brightness(self) -> "Raster":
        """Logarithm of the values relative to their surroundings, with a mean of 0 within the mask."""
        return _evened(self.values, self.mask, self.corner_mm)

    @cached_property
    def edges(self) -> "Raster":
        """The same of the strength of edges, which other contrasts share."""
        values = np.asarray(ndimage.gaussian_gradient_magnitude(self.values, 1.0), np.float32)
        mask = ndimage.binary_erosion(self.mask > 0, np.ones((1, 3, 3))).astype(np.float32)
        return _evened(values, mask, self.corner_mm)


def box_of(volumes: Sequence[Volume]) -> Box:
    """(2, 3) lowest and highest corner of the stacks, LPS mm."""
    corners = [volume.grid.points_mm(np.array([[s, r, c] for s in (0, n[0] - 1) for r in (0, n[1] - 1) for c in (0, n[2] - 1)]))
               for volume in volumes for n in [volume.grid.shape]]  # fmt: skip
    points = np.concatenate(corners)
    return np.array([points.min(axis=0), points.max(axis=0)])


def common_box(a: Box, b: Box) -> Box:
    """What two boxes share; its highest corner lies below its lowest one where they share nothing."""
    return np.array([np.maximum(a[0], b[0]), np.minimum(a[1], b[1])])


def rasterize(volumes: Sequence[Volume], box: Box | None = None) -> Raster | None:
    """The stacks of one series on the common grid within `box` (all of them by default); None where too little of them lies in it."""
    if not volumes:
        return None
    box = box_of(volumes) if box is None else box
    corner = np.floor(box[0] / PIXEL_MM) * PIXEL_MM
    shape = tuple(int(n) for n in np.ceil((box[1] - corner) / PIXEL_MM) + 1)
    if min(shape) < 4:
        return None
    total, mask = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for volume in volumes:
        _add(volume, corner, total, mask)
    seen = mask > 0
    if seen.sum() < _FEWEST_VOXELS:
        return None
    return Raster(np.where(seen, total / np.maximum(mask, 1), 0).astype(np.float32), seen.astype(np.float32), corner)


def _add(volume: Volume, corner: NDArray[np.float64], total: Values, mask: Values) -> None:
    """Add the values of a stack to `total`, and 1 to `mask`, wherever the grid lies inside the stack."""
    grid = volume.grid
    reach = float(np.linalg.norm(grid.spacing_mm))  # the box holds the centres of the outermost voxels
    low, high = box_of([volume])
    start = np.clip(np.floor((low - reach - corner) / PIXEL_MM).astype(int), 0, mask.shape)
    stop = np.clip(np.ceil((high + reach - corner) / PIXEL_MM).astype(int) + 1, 0, mask.shape)
    if (stop <= start).any():
        return
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    points = corner + PIXEL_MM * (start + np.moveaxis(np.indices(tuple(stop - start)), 0, -1))
    index = grid.indices(points)
    inside = grid.holds(index)
    smooth, bins = _smoothed(volume)
    at = np.clip(index[inside], 0, np.array(grid.shape) - 1)  # up to half a slice beyond the last one
    at = (at - (bins - 1) / 2) / bins
    total[part][inside] += ndimage.map_coordinates(smooth, at.T, order=1, mode="nearest")
    mask[part] += inside


def _smoothed(volume: Volume) -> tuple[Values, NDArray[np.int_]]:
    """The slices, blurred to the pixel size of the common grid, and the binning factors (slice, row, column)."""
    sigma = np.array([0.0, *(PIXEL_MM / 2.5 / spacing for spacing in volume.grid.spacing_mm[1:])])
    bins = np.maximum((sigma / _BINNED_SIGMA).astype(int), 1)
    values = np.asarray(volume.array, np.float32)
    if (bins > 1).any():
        values = _binned(values, int(bins[1]), int(bins[2]))
    left = np.sqrt(np.maximum(sigma**2 - (bins**2 - 1) / 12, 0)) / bins  # a mean of n pixels blurs by √((n² − 1)/12)
    return np.asarray(ndimage.gaussian_filter(values, left, truncate=_CUT), np.float32), bins


def _binned(values: Values, rows: int, columns: int) -> Values:
    """Means of blocks of `rows` × `columns` pixels; the last ones are repeated where blocks reach beyond the edge."""
    pad = ((0, 0), (0, -values.shape[1] % rows), (0, -values.shape[2] % columns))
    padded = np.pad(values, pad, mode="edge")
    n, height, width = padded.shape
    return np.asarray(padded.reshape(n, height // rows, rows, width // columns, columns).mean(axis=(2, 4)), np.float32)


def _evened(values: Values, mask: Values, corner: NDArray[np.float64]) -> Raster:
    top = float(np.quantile(values[mask > 0], 0.99)) if mask.any() else 1.0
    level = np.log(np.maximum(values, 0) / max(top, 1e-6) + 0.05)
    scale = _FLAT_MM / PIXEL_MM
    shown = ndimage.gaussian_filter(mask, scale, truncate=_CUT)
    around = ndimage.gaussian_filter(level * mask, scale, truncate=_CUT) / np.maximum(shown, 1e-3)
    flat = np.where(mask > 0, level - around, 0)
    return Raster(flat.astype(np.float32), mask, corner)
