"""Whether two series show the same thing at the same place: the shift at which they resemble each other most.

Both are put on one coarse grid (`raster.py`), and the normalised correlation over what both show is computed for all shifts at once by Fourier transforms
(Padfield 2012, doi 10.1109/TIP.2011.2181402).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lumbar.domain.volume import Volume
from lumbar.imaging.raster import FlipAxis, Placed, Raster, Values, box_of, common_box, spectrum

_FARTHEST_MM = (24.0, 45.0, 84.0)  # search range: to the left, to the back, to the head
_LEAST_OVERLAP = 0.4  # of the overlap without a shift, or of the smaller series
_CLEARLY = 0.015  # of correlation on the coarse grid, where the differences are about half as large
_ALIKE = 0.6  # correlation of brightness from which on edges need not be compared


@dataclass(frozen=True)
class Fit:
    """Displacement between two series."""

    offset_mm: tuple[float, float, float]  # LPS: displacement of the second against its best fit to the first
    here: float  # correlation as they lie
    best: float  # correlation when moved
    second: float  # highest correlation farther than 12 mm from the best place
    overlap: float  # share of the second that the first shows


class Comparison:
    """A series beside another one, to which it is fitted by brightness or by edges, whichever resembles more: which of the two works depends on the contrasts.

    Its stacks are put on the common grid once, whether they are fitted as they are or flipped.
    """

    def __init__(self, fixed: Raster | None, moving: Sequence[Volume]) -> None:
        """Take the raster of one series and the stacks of the other."""
        self._fixed = fixed
        self._placed: Placed | None = None
        if fixed is not None and moving:
            low, high = fixed.box_mm
            self._placed = Placed(moving, common_box(box_of(moving), np.array([low - _FARTHEST_MM, high + _FARTHEST_MM])))

    @cached_property
    def fit(self) -> Fit | None:
        """The fit of the series as it is, or None where the two have too little in common."""
        return _fit_any_contrast(self._fixed, self._straight)

    def flipped(self, axis: FlipAxis) -> Fit | None:
        """The fit of the series with each stack flipped along `axis`, or None where the two have too little in common."""
        return _fit_any_contrast(self._fixed, self._raster(axis))

    def loses_by_flipping(self, axis: FlipAxis) -> bool:
        """Whether a fit on a coarser grid, an eighth of the work, shows that the series with each stack flipped along `axis` clearly fits less."""
        flipped = self._raster(axis)
        if self._fixed is None or self._straight is None or flipped is None:
            return False
        own, other = (_fit_any_contrast(self._fixed.coarse, one.coarse) for one in (self._straight, flipped))
        return own is not None and other is not None and own.best - other.best >= _CLEARLY

    @cached_property
    def _straight(self) -> Raster | None:
        return self._raster(None)

    def _raster(self, flip: FlipAxis | None) -> Raster | None:
        return None if self._placed is None else self._placed.raster(flip)


def _fit_any_contrast(fixed: Raster | None, moving: Raster | None) -> Fit | None:
    if fixed is None or moving is None:
        return None
    brightness = fit(fixed.brightness, moving.brightness)
    if brightness is not None and brightness.best >= _ALIKE:
        return brightness
    edges = fit(fixed.edges, moving.edges)
    return max((one for one in (brightness, edges) if one is not None), key=lambda one: one.best, default=None)


def fit(first: Raster, second: Raster) -> Fit | None:
    """The fit of `second` to `first`, which has the same voxel size; None where they have too little in common."""
    full = np.array(first.mask.shape) + np.array(second.mask.shape) - 1  # number of shifts at which they touch
    offset = (second.corner_mm - first.corner_mm) / first.pixel_mm  # whole numbers
    zero = np.rint(offset).astype(int) + np.array(second.mask.shape) - 1
    if (zero < 0).any() or (zero >= full).any():
        return None
    reach = (np.array(_FARTHEST_MM) / first.pixel_mm).astype(int)
    low, high = np.maximum(zero - reach, 0), np.minimum(zero + reach + 1, full)
    correlation, count = _correlation(first, second, low, high)
    return _peak(correlation, count, zero - low, second)


def _peak(correlation: Values, count: Values, zero: NDArray[np.int_], second: Raster) -> Fit | None:
    """The best shift of `second`; `zero` is the index at which neither series is moved."""
    size = float(second.mask.sum())
    common = float(count[tuple(zero)])
    overlap = common / max(size, 1.0)
    enough = count >= _LEAST_OVERLAP * max(common, 0.25 * size)
    if not enough.any() or overlap < 0.05:
        return None
    values = np.where(enough, correlation, -1.0)
    top = np.array(np.unravel_index(int(values.argmax()), values.shape))
    apart = np.linalg.norm((np.indices(values.shape).reshape(3, -1).T - top) * second.pixel_mm, axis=1).reshape(values.shape)
    shift = (top - zero + _between(values, top)) * second.pixel_mm
    here = float(correlation[tuple(zero)])
    return Fit((float(-shift[0]), float(-shift[1]), float(-shift[2])), here, float(values.max()), float(values[apart > 12.0].max(initial=-1.0)), overlap)


def _between(values: NDArray[np.float64], top: NDArray[np.intp]) -> NDArray[np.float64]:
    """(3,) subvoxel offset of the maximum, from a parabola through the highest value and its neighbours."""
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


def _correlation(first: Raster, second: Raster, low: NDArray[np.int_], high: NDArray[np.int_]) -> tuple[Values, Values]:
    """Normalised correlation and number of common voxels for the shifts `low` to `high` (exclusive).

    Shift k along an axis: `first` is moved by k − (size of second − 1) voxels against `second`.
    """
    sizes = zip(first.mask.shape, second.mask.shape, low, high, strict=True)
    # Shorter than all shifts together: the transform is periodic, and the shifts that are wanted must not meet others.
    fast = tuple(fft.next_fast_len(int(max(a, b, a + b - 1 - start, stop)), real=True) for a, b, start, stop in sizes)
    window = tuple(slice(start, stop) for start, stop in zip(low, high, strict=True))

    def back(product: NDArray[np.complex64]) -> Values:
        return np.asarray(fft.irfftn(product, fast)[window], np.float32)

    flipped = [np.ascontiguousarray(values[::-1, ::-1, ::-1]) for values in (second.values, second.mask, second.values**2)]
    a, am, aa = first.spectra(fast)
    b, bm, bb = (spectrum(values, fast) for values in flipped)
    count = np.maximum(np.rint(back(am * bm)), 0)
    safe = np.maximum(count, 1)
    sum_a, sum_b = back(a * bm), back(am * b)
    covariance = back(a * b) - sum_a * sum_b / safe
    variance = np.maximum(back(aa * bm) - sum_a**2 / safe, 0) * np.maximum(back(am * bb) - sum_b**2 / safe, 0)
    return np.where(variance > 1e-6, covariance / np.sqrt(np.maximum(variance, 1e-6)), 0).astype(np.float32), count
