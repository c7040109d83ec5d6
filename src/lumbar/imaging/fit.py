"""Whether two series show the same thing at the same place: the shift at which they resemble each other most.

Both are put on one coarse grid, local contrast is evened out, and the normalised correlation over what both show is computed for all shifts at once by
Fourier transforms (Padfield 2012, doi 10.1109/TIP.2011.2181402).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from lumbar.domain.volume import Volume

Values = NDArray[np.float32]

PIXEL_MM = 3.0  # of the common grid
_FARTHEST_MM = (24.0, 45.0, 84.0)  # shifts that are looked at: to the left, to the back, to the head
_LEAST_OVERLAP = 0.4  # of what is seen in common without a shift, or of the smaller series
_ALIKE = 0.6  # correlation of brightness from which on edges need not be asked
_FLAT_MM = 18.0  # scale over which brightness is evened out


@dataclass(frozen=True)
class Fit:
    """How two series lie to each other."""

    offset_mm: tuple[float, float, float]  # LPS: how far the second lies off the place at which it fits the first best
    here: float  # correlation as they lie
    best: float  # correlation when moved
    second: float  # highest correlation farther than 12 mm from the best place
    overlap: float  # share of the second that the first shows


@dataclass(frozen=True, eq=False)
class _Raster:
    values: Values  # (x, y, z) zero outside
    mask: Values  # 1 inside, 0 outside
    corner_mm: NDArray[np.float64]  # (3,) of the first voxel


def fit(fixed: Sequence[Volume], moving: Sequence[Volume], edges: bool) -> Fit | None:
    """The fit of the stacks `moving` of one series to the stacks `fixed` of another; None where they have too little in common.

    Args:
        fixed: stacks of one series.
        moving: stacks of the other.
        edges: compare edges instead of brightness, as for another contrast.
    """
    if not fixed or not moving:
        return None
    box = _box(fixed)
    around = np.array([box[0] - _FARTHEST_MM, box[1] + _FARTHEST_MM])
    first, second = _raster(fixed, box, edges), _raster(moving, _common(_box(moving), around), edges)
    if first is None or second is None:
        return None
    correlation, count = _correlation(first, second)
    offset = (second.corner_mm - first.corner_mm) / PIXEL_MM  # whole numbers
    zero = np.rint(offset).astype(int) + np.array(second.mask.shape) - 1
    return _peak(correlation, count, zero, float(second.mask.sum()))


def fit_any_contrast(fixed: Sequence[Volume], moving: Sequence[Volume]) -> Fit | None:
    """The fit by brightness or by edges, whichever resembles more: which of the two works depends on the contrasts."""
    brightness = fit(fixed, moving, edges=False)
    if brightness is not None and brightness.best >= _ALIKE:
        return brightness
    edges = fit(fixed, moving, edges=True)
    return max((one for one in (brightness, edges) if one is not None), key=lambda one: one.best, default=None)


def _peak(correlation: Values, count: Values, zero: NDArray[np.int_], size: float) -> Fit | None:
    """The best shift; `zero` is the index at which neither series is moved."""
    shape = np.array(correlation.shape)
    if (zero < 0).any() or (zero >= shape).any():
        return None
    overlap = float(count[tuple(zero)] / max(size, 1.0))
    reach = (np.array(_FARTHEST_MM) / PIXEL_MM).astype(int)
    low, high = np.maximum(zero - reach, 0), np.minimum(zero + reach + 1, shape)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    enough = count[window] >= _LEAST_OVERLAP * max(float(count[tuple(zero)]), 0.25 * size)
    if not enough.any() or overlap < 0.05:
        return None
    values = np.where(enough, correlation[window], -1.0)
    top = np.array(np.unravel_index(int(values.argmax()), values.shape))
    apart = np.linalg.norm((np.indices(values.shape).reshape(3, -1).T - top) * PIXEL_MM, axis=1).reshape(values.shape)
    shift = (top + low - zero + _between(values, top)) * PIXEL_MM
    here = float(correlation[tuple(zero)])
    return Fit((float(-shift[0]), float(-shift[1]), float(-shift[2])), here, float(values.max()), float(values[apart > 12.0].max(initial=-1.0)), overlap)


def _between(values: NDArray[np.float64], top: NDArray[np.intp]) -> NDArray[np.float64]:
    """(3,) by how much of a voxel the vertex of a parabola through the highest value and its neighbours lies beside it."""
    found = np.zeros(3)
    for axis in range(3):
        step = np.eye(3, dtype=int)[axis]
        if not 0 < top[axis] < values.shape[axis] - 1:
            continue
        before, here, after = values[tuple(top - step)], values[tuple(top)], values[tuple(top + step)]
        bend = before - 2 * here + after
        if min(before, after) > -1 and bend < 0:
            found[axis] = np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    return found


def _correlation(first: _Raster, second: _Raster) -> tuple[Values, Values]:
    """Normalised correlation and number of common voxels; index k along an axis: `first` moved by k − (size of second − 1) voxels against `second`."""
    shape = [a + b - 1 for a, b in zip(first.mask.shape, second.mask.shape, strict=True)]
    fast = [fft.next_fast_len(size, real=True) for size in shape]

    def forward(values: Values) -> NDArray[np.complex64]:
        return np.asarray(fft.rfftn(values, fast))

    def back(product: NDArray[np.complex64]) -> Values:
        return np.asarray(fft.irfftn(product, fast)[tuple(slice(size) for size in shape)], np.float32)

    flipped = [np.ascontiguousarray(values[::-1, ::-1, ::-1]) for values in (second.values, second.mask, second.values**2)]
    a, am, aa = (forward(values) for values in (first.values, first.mask, first.values**2))
    b, bm, bb = (forward(values) for values in flipped)
    count = np.maximum(np.rint(back(am * bm)), 0)
    safe = np.maximum(count, 1)
    sum_a, sum_b = back(a * bm), back(am * b)
    covariance = back(a * b) - sum_a * sum_b / safe
    variance = np.maximum(back(aa * bm) - sum_a**2 / safe, 0) * np.maximum(back(am * bb) - sum_b**2 / safe, 0)
    return np.where(variance > 1e-6, covariance / np.sqrt(np.maximum(variance, 1e-6)), 0).astype(np.float32), count


def _box(volumes: Sequence[Volume]) -> NDArray[np.float64]:
    """(2, 3) lowest and highest corner of the stacks."""
    corners = [volume.grid.points_mm(np.array([[s, r, c] for s in (0, n[0] - 1) for r in (0, n[1] - 1) for c in (0, n[2] - 1)]))
               for volume in volumes for n in [volume.grid.shape]]  # fmt: skip
    points = np.concatenate(corners)
    return np.array([points.min(axis=0), points.max(axis=0)])


def _common(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.maximum(a[0], b[0]), np.minimum(a[1], b[1])])


def _raster(volumes: Sequence[Volume], box: NDArray[np.float64], edges: bool) -> _Raster | None:
    """The stacks on the common grid within `box`, with brightness evened out."""
    corner = np.floor(box[0] / PIXEL_MM) * PIXEL_MM
    shape = np.ceil((box[1] - corner) / PIXEL_MM).astype(int) + 1
    if (shape < 4).any():
        return None
    points = corner + PIXEL_MM * np.moveaxis(np.indices(tuple(shape)), 0, -1)
    total, mask = np.zeros(tuple(shape), np.float32), np.zeros(tuple(shape), np.float32)
    for volume in volumes:
        grid = volume.grid
        blur = [PIXEL_MM / 2.5 / spacing for spacing in grid.spacing_mm[1:]]
        smooth = ndimage.gaussian_filter(np.asarray(volume.array, np.float32), (0, *blur))
        inside = grid.contains(points)
        index = np.clip(grid.indices(points[inside]), 0, np.array(grid.shape) - 1)  # up to half a slice beyond the last one
        total[inside] += ndimage.map_coordinates(smooth, index.T, order=1)
        mask += inside
    seen = mask > 0
    if seen.sum() < 500:
        return None
    values = np.where(seen, total / np.maximum(mask, 1), 0).astype(np.float32)
    return _evened(values, seen.astype(np.float32), corner, edges)


def _evened(values: Values, mask: Values, corner: NDArray[np.float64], edges: bool) -> _Raster:
    """Values relative to their surroundings, or the strength of edges of them, with a mean of 0 within the mask."""
    if edges:
        values = np.asarray(ndimage.gaussian_gradient_magnitude(values, 1.0), np.float32)
        mask = ndimage.binary_erosion(mask > 0, np.ones((1, 3, 3))).astype(np.float32)
    top = float(np.quantile(values[mask > 0], 0.99)) if mask.any() else 1.0
    level = np.log(np.maximum(values, 0) / max(top, 1e-6) + 0.05)
    scale = _FLAT_MM / PIXEL_MM
    around = ndimage.gaussian_filter(level * mask, scale) / np.maximum(ndimage.gaussian_filter(mask, scale), 1e-3)
    flat = np.where(mask > 0, level - around, 0)
    return _Raster(flat.astype(np.float32), mask, corner)
