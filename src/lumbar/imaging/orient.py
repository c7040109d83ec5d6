"""Reorientation of volumes to standard axes, and of labels back to the original axes."""

import itertools

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume

# Direction of each axis of a standard volume, in LPS.
SAGITTAL_AXES = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])  # slices right to left, rows head to foot, columns front to back
AXIAL_AXES = np.array([[0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]])  # slices foot to head, rows front to back, columns right to left


def to_sagittal(volume: Volume) -> Volume:
    """The same voxels with slices from right to left, rows from head to foot and columns from front to back (nearest axes; nothing is resampled).

    Raises:
        GeometryError: the volume is unevenly spaced and its slices are not sagittal.
    """
    return turned(volume, SAGITTAL_AXES)


def turned(volume: Volume, wanted: NDArray[np.float64]) -> Volume:
    """The same voxels with axes as near as can be to the rows of `wanted` (3, 3): what slices, rows and columns shall run along.

    Raises:
        GeometryError: the volume is unevenly spaced and another axis than its slices would become the slices.
    """
    return volume.rearranged(*_order(volume.grid, wanted))


def turned_back(labels: NDArray[np.uint8] | NDArray[np.float32], source: Grid, wanted: NDArray[np.float64]) -> Volume:
    """Labels (or other values) on the grid that `turned` gives for a volume on `source`, back on `source`."""
    axes, flips = _order(source, wanted)
    labels = np.flip(labels, tuple(k for k, flip in enumerate(flips) if flip))
    return Volume(np.ascontiguousarray(np.transpose(labels, np.argsort(axes))), source)


def _order(grid: Grid, wanted: NDArray[np.float64]) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    steps = np.stack([grid.slice_step_mm, grid.row_step_mm, grid.column_step_mm])
    cosines = wanted @ (steps / np.linalg.norm(steps, axis=1, keepdims=True)).T  # (wanted axis, own axis)
    best = max(itertools.permutations(range(3)), key=lambda p: sum(abs(cosines[k, axis]) for k, axis in enumerate(p)))
    flips = [bool(cosines[k, axis] < 0) for k, axis in enumerate(best)]
    return (best[0], best[1], best[2]), (flips[0], flips[1], flips[2])
