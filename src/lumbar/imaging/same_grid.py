"""A mask from a file on the slices of a stack: the file may fill gaps between slices, or be turned."""

import numpy as np

from lumbar.domain.geometry import Grid, Points
from lumbar.domain.volume import Volume

_SAME_PLACE = 0.2  # of a voxel, by which places may differ after writing and reading
_CORNERS = np.array([[k, r, c] for k in (0, 1) for r in (0, 1) for c in (0, 1)], dtype=float)


def on_grid(mask: Volume, grid: Grid) -> Volume | None:
    """The mask voxel by voxel on `grid`; None where its voxels lie elsewhere."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1).reshape(-1, 3).astype(float)
    places = mask.grid.indices(grid.points_mm(_corners(grid)))
    if np.abs(places - np.rint(places)).max() > _SAME_PLACE:
        return None
    found = np.rint(mask.grid.indices(grid.points_mm(index))).astype(int)
    if (found < 0).any() or (found >= np.array(mask.grid.shape)).any():
        return None
    same_pixels = np.isclose(sorted(mask.grid.spacing_mm[1:]), sorted(grid.spacing_mm[1:]), rtol=0.01).all() and mask.array.size >= np.prod(grid.shape)
    return Volume(mask.array[tuple(found.T)].reshape(grid.shape), grid) if same_pixels else None


def _corners(grid: Grid) -> Points:
    """(8, 3) indices of the outermost voxels, and the ends of every slice."""
    last = np.array(grid.shape) - 1
    slices = np.array([[k, r, c] for k in range(grid.shape[0]) for r in (0, last[1]) for c in (0, last[2])], dtype=float)
    return np.concatenate([_CORNERS * last, slices])
