"""A volume: voxels with their grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid, Points
from lumbar.errors import GeometryError


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels (slices, rows, columns) on a grid; float32 for images, uint8 for masks."""

    array: NDArray[np.float32] | NDArray[np.uint8]
    grid: Grid
    stored_step: float | None = None  # value of one step of the stored integers, if given in the file

    def __post_init__(self) -> None:
        if self.array.shape != self.grid.shape:
            raise GeometryError(f"an array of shape {self.array.shape} does not fit a grid of {self.grid.shape}")

    def rearranged(self, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> "Volume":
        """The same voxels at the same points with axes permuted (new axis k is old axis `axes[k]`) and then flipped where `flips` is true.

        Raises:
            GeometryError: another axis than the slices is to become the slices of an unevenly spaced volume.
        """
        array: NDArray[Any] = np.transpose(self.array, axes)
        array = array[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
        return Volume(array, _rearranged(self.grid, axes, flips), self.stored_step)

    def moved(self, by_mm: tuple[float, float, float]) -> "Volume":
        """The same voxels, all of them `by_mm` (LPS) further on."""
        g = self.grid
        return Volume(self.array, Grid(g.origins_mm + np.array(by_mm), g.row_step_mm, g.column_step_mm, g.rows, g.columns), self.stored_step)


def _rearranged(grid: Grid, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Grid:
    if axes[0] != 0 and not grid.even:
        raise GeometryError("an unevenly spaced volume cannot be cut along another axis without resampling")
    steps = (grid.slice_step_mm, grid.row_step_mm, grid.column_step_mm)
    shape = [grid.shape[axis] for axis in axes]
    step = [-steps[axis] if flip else steps[axis] for axis, flip in zip(axes, flips, strict=True)]
    corner = np.zeros(3)
    for axis, flip in zip(axes, flips, strict=True):
        corner[axis] = grid.shape[axis] - 1 if flip else 0
    if axes[0] == 0:
        shift: Points = grid.points_mm(corner) - grid.points_mm(np.array([corner[0], 0, 0]))
        origins = grid.origins_mm[:: -1 if flips[0] else 1] + shift
    else:
        origins = grid.points_mm(corner) + np.arange(shape[0])[:, None] * step[0]
    return Grid(origins, step[1], step[2], shape[1], shape[2])
