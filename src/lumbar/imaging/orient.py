"""Volumes turned so that their axes run the usual way through the patient, whatever way they were stored."""

import itertools

import numpy as np

from lumbar.domain.volume import Volume

# What each axis of a standard sagittal volume runs along, in LPS: slices right to left, rows head to foot, columns front to back.
_SAGITTAL_AXES = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


def to_sagittal(volume: Volume) -> Volume:
    """The same voxels with slices from right to left, rows from head to foot and columns from front to back (nearest axes; nothing is resampled).

    Raises:
        GeometryError: the volume is unevenly spaced and its slices are not sagittal.
    """
    axes, flips = _order(volume, _SAGITTAL_AXES)
    return volume.rearranged(axes, flips)


def _order(volume: Volume, wanted: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    steps = np.stack([volume.grid.slice_step_mm, volume.grid.row_step_mm, volume.grid.column_step_mm])
    units = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    cosines = wanted @ units.T  # (wanted axis, own axis)
    best = max(itertools.permutations(range(3)), key=lambda p: sum(abs(cosines[k, axis]) for k, axis in enumerate(p)))
    flips = [bool(cosines[k, axis] < 0) for k, axis in enumerate(best)]
    return (best[0], best[1], best[2]), (flips[0], flips[1], flips[2])
