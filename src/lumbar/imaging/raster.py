"""Series on one coarse grid, in which they can be compared whatever their planes and pixel sizes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume

Values = NDArray[np.float32]
Spectrum = NDArray[np.complex64]
FlipAxis = int | Callable[[Grid], int]  # one axis for all stacks, or each stack's by its grid
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
    pixel_mm: float = PIXEL_MM

    @property
    def box_mm(self) -> Box:
        """The first and the last voxel."""
        return np.array([self.corner_mm, self.corner_mm + self.pixel_mm * (np.array(self.mask.shape) - 1)])

    @cached_property
    def coarse(self) -> "Raster":
        """Means of blocks of 2 × 2 × 2 voxels on the grid of twice the voxel size; blocks of which less than half is inside count as outside."""
        before = np.rint(self.corner_mm / self.pixel_mm).astype(int) % 2
        pad = [(int(first), int((n + first) % 2)) for first, n in zip(before, self.mask.shape, strict=True)]
        total, count = (_block_sums(np.pad(one, pad)) for one in (self.values * self.mask, self.mask))
        mask = (count >= 4).astype(np.float32)
        return Raster(np.asarray(mask * total / np.maximum(count, 1), np.float32), mask, self.corner_mm + (0.5 - before) * self.pixel_mm, 2 * self.pixel_mm)

    def spectra(self, shape: tuple[int, ...]) -> tuple[Spectrum, Spectrum, Spectrum]:
        """Fourier transforms of values, mask and squared values, padded to `shape`; computed once per shape."""
        if shape not in self._spectra:
            self._spectra[shape] = (spectrum(self.values, shape), spectrum(self.mask, shape), spectrum(self.values**2, shape))
        return self._spectra[shape]

    @cached_property
    def _spectra(self) -> dict[tuple[int, ...], tuple[Spectrum, Spectrum, Spectrum]]:
        return {}

    @cached_property
    def brightness(self) -> "Raster":
        """Logarithm of the values relative to their surroundings, with a mean of 0 within the mask."""
        return _evened(self, self.values, self.mask)

    @cached_property
    def edges(self) -> "Raster":
        """The same of the strength of edges, which other contrasts share."""
        values = np.asarray(ndimage.gaussian_gradient_magnitude(self.values, 1.0), np.float32)
        mask = ndimage.binary_erosion(self.mask > 0, np.ones((1, 3, 3))).astype(np.float32)
        return _evened(self, values, mask)


def spectrum(values: Values, shape: tuple[int, ...]) -> Spectrum:
    """Fourier transform of `values` padded with zeros to `shape`."""
    return np.asarray(fft.rfftn(values, shape))


def box_of(volumes: Sequence[Volume]) -> Box:
    """(2, 3) lowest and highest corner of the stacks, LPS mm."""
    corners = [volume.grid.points_mm(np.array([[s, r, c] for s in (0, n[0] - 1) for r in (0, n[1] - 1) for c in (0, n[2] - 1)]))
               for volume in volumes for n in [volume.grid.shape]]  # fmt: skip
    points = np.concatenate(corners)
    return np.array([points.min(axis=0), points.max(axis=0)])


def common_box(a: Box, b: Box) -> Box:
    """What two boxes share; its highest corner lies below its lowest one where they share nothing."""
    return np.array([np.maximum(a[0], b[0]), np.minimum(a[1], b[1])])


class Placed:
    """The stacks of one series, blurred and located on the common grid once, so that they can be put on it as they are and flipped."""

    def __init__(self, volumes: Sequence[Volume], box: Box | None = None) -> None:
        """Take at least one stack, and the box of the common grid (around all of them by default)."""
        box = box_of(volumes) if box is None else box
        self._corner = np.floor(box[0] / PIXEL_MM) * PIXEL_MM
        self._shape = tuple(int(n) for n in np.ceil((box[1] - self._corner) / PIXEL_MM) + 1)
        self._stacks = [one for volume in volumes if (one := _located(volume, self._corner, self._shape))] if min(self._shape) >= 4 else []

    def raster(self, flip: FlipAxis | None = None) -> Raster | None:
        """The series on the common grid, each stack flipped along the axis `flip`; None where too little of it lies there."""
        if not self._stacks:
            return None
        total, mask = np.zeros(self._shape, np.float32), np.zeros(self._shape, np.float32)
        for stack in self._stacks:
            total[stack.part][stack.inside] += stack.values(flip(stack.grid) if callable(flip) else flip)
            mask[stack.part] += stack.inside
        seen = mask > 0
        if seen.sum() < _FEWEST_VOXELS:
            return None
        return Raster(np.where(seen, total / np.maximum(mask, 1), 0).astype(np.float32), seen.astype(np.float32), self._corner)


@dataclass(frozen=True, eq=False)
class _Located:
    """One stack, and where the common grid lies in it."""

    grid: Grid
    smooth: Values  # (slices, rows, columns) blurred and binned
    bins: NDArray[np.int_]  # (3,) pixels per bin
    part: tuple[slice, ...]  # of the common grid, around the stack
    inside: NDArray[np.bool_]  # (x, y, z) of this part: within the stack
    index: NDArray[np.float64]  # (voxels inside, 3) fractional indices before binning

    def values(self, axis: int | None) -> Values:
        """Values at the voxels inside, with the stack flipped along `axis`."""
        index = self.index
        if axis is not None:
            index = index.copy()
            index[:, axis] = self.grid.shape[axis] - 1 - index[:, axis]
        at = (index - (self.bins - 1) / 2) / self.bins
        return np.asarray(ndimage.map_coordinates(self.smooth, at.T, order=1, mode="nearest"))


def _located(volume: Volume, corner: NDArray[np.float64], shape: tuple[int, ...]) -> _Located | None:
    """The stack on the common grid of this corner and shape; None where it lies outside."""
    grid = volume.grid
    reach = float(np.linalg.norm(grid.spacing_mm))  # the box holds the centres of the outermost voxels
    low, high = box_of([volume])
    start = np.clip(np.floor((low - reach - corner) / PIXEL_MM).astype(int), 0, shape)
    stop = np.clip(np.ceil((high + reach - corner) / PIXEL_MM).astype(int) + 1, 0, shape)
    if (stop <= start).any():
        return None
    points = corner + PIXEL_MM * (start + np.moveaxis(np.indices(tuple(stop - start)), 0, -1))
    index = grid.indices(points)
    inside = grid.holds(index)
    smooth, bins = _smoothed(volume)
    part = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return _Located(grid, smooth, bins, part, inside, np.clip(index[inside], 0, np.array(grid.shape) - 1))  # up to half a slice beyond the last one


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


def _block_sums(values: Values) -> Values:
    """Sums of blocks of 2 × 2 × 2 voxels."""
    x, y, z = (n // 2 for n in values.shape)
    return np.asarray(values.reshape(x, 2, y, 2, z, 2).sum(axis=(1, 3, 5)), np.float32)


def _evened(raster: Raster, values: Values, mask: Values) -> Raster:
    top = float(np.quantile(values[mask > 0], 0.99)) if mask.any() else 1.0
    level = np.log(np.maximum(values, 0) / max(top, 1e-6) + 0.05)
    scale = _FLAT_MM / raster.pixel_mm
    shown = ndimage.gaussian_filter(mask, scale, truncate=_CUT)
    around = ndimage.gaussian_filter(level * mask, scale, truncate=_CUT) / np.maximum(shown, 1e-3)
    flat = np.where(mask > 0, level - around, 0)
    return Raster(flat.astype(np.float32), mask, raster.corner_mm, raster.pixel_mm)
