"""Resampling of volumes and images."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume

FloatImage = NDArray[np.float32]


def resize_image(image: FloatImage, shape: tuple[int, int]) -> FloatImage:
    """`image` (rows, columns) on `shape` pixels over the same field of view; linear, averaging where pixels get coarser."""
    return np.asarray(Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.BILINEAR), dtype=np.float32)


def resized_grid(grid: Grid, shape: tuple[int, int]) -> Grid:
    """The grid that fits images from `resize_image`: same slices and field of view, `shape` rows and columns."""
    factors = np.array(grid.shape[1:]) / np.array(shape)
    row_step, column_step = grid.row_step_mm * factors[0], grid.column_step_mm * factors[1]
    shift = (row_step - grid.row_step_mm + column_step - grid.column_step_mm) / 2
    return Grid(grid.origins_mm + shift, row_step, column_step, *shape)


def sample(volume: Volume, points_mm: NDArray[np.float64], order: int = 1, outside: float = 0.0) -> NDArray[np.float32]:
    """Values (...) of `volume` at LPS points (..., 3), spline order 0 or 1; `outside` beyond the voxels."""
    index = volume.grid.indices(points_mm)
    return np.asarray(ndimage.map_coordinates(volume.array, np.moveaxis(index, -1, 0), order=order, cval=outside, output=np.float32))


def regular(volume: Volume, slice_mm: float | None = None) -> Volume:
    """`volume` with evenly spaced slices, `slice_mm` apart or as most of its own are; linear between slices."""
    grid = volume.grid
    if grid.even and slice_mm is None:
        return volume
    step = slice_mm or grid.spacing_mm[0]
    along = grid.origins_mm @ grid.normal
    sign = np.sign(along[-1] - along[0])
    count = int(np.floor(abs(along[-1] - along[0]) / step + 1e-6)) + 1
    numbers = np.interp(sign * (along[0] + sign * step * np.arange(count)), sign * along, np.arange(len(along)))
    low = np.minimum(numbers.astype(int), len(along) - 2)
    share = (numbers - low).astype(np.float32)[:, None, None]
    array = volume.array[low] * (1 - share) + volume.array[low + 1] * share
    origins = grid.points_mm(np.stack([numbers, np.zeros(count), np.zeros(count)], axis=1))
    return Volume(array.astype(np.float32), Grid(origins, grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns))
