"""Volumes turned so that their slices are axial, whatever way they were stored."""

import itertools

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, InputError

# What each axis of a standard axial volume runs along, in LPS: slices foot to head, rows front to back, columns from the patient's right to the left.
_AXIAL_AXES = np.array([[0, 0, 1.0], [0, 1.0, 0], [1.0, 0, 0]])
_MAX_TILT = 0.75  # cosine to the body's axis; slices through L5/S1 are tilted by up to 35°


def to_axial(volume: Volume) -> Volume:
    """The same voxels with slices from foot to head, rows from front to back and columns from right to left (nearest axes; nothing is resampled).

    Raises:
        InputError: the slices as they were acquired are not axial (told by their spacing, which is the largest along the slices' normal).
        GeometryError: the volume is unevenly spaced and its slices are not axial.
    """
    axes, flips = _order(volume.grid)
    turned = volume.rearranged(axes, flips)
    if abs(turned.grid.normal[2]) < _MAX_TILT:
        raise InputError(f"slices are tilted by {np.degrees(np.arccos(abs(turned.grid.normal[2]))):.0f}° from axial; muscles need axial slices")
    thick, *pixel = turned.grid.spacing_mm
    if max(pixel) > max(thick, 2.5):
        raise InputError(f"the volume was not acquired in axial slices (axial pixels would be {pixel[0]:.1f} × {pixel[1]:.1f} mm); give an axial series")
    return turned


def restore(array: NDArray[np.uint8], source: Volume) -> Volume:
    """Labels on the grid of `to_axial(source)`, back on the grid of `source`."""
    axes, flips = _order(source.grid)
    labels = np.flip(array, tuple(k for k, flip in enumerate(flips) if flip))
    return Volume(np.ascontiguousarray(np.transpose(labels, np.argsort(axes))), source.grid)


def slice_thickness_mm(grid: Grid) -> NDArray[np.float64]:
    """(slices,) how much of the body each slice stands for: half the way to each neighbour, at the ends twice the one half.

    Raises:
        GeometryError: there is one slice only, so that nothing says how thick it is.
    """
    along = grid.origins_mm @ grid.normal
    if len(along) < 2:
        raise GeometryError("the volume has one slice, so a muscle's volume cannot be told; give at least two slices")
    gaps = np.abs(np.diff(along))
    return np.asarray((np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2)


def _order(grid: Grid) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    steps = np.stack([grid.slice_step_mm, grid.row_step_mm, grid.column_step_mm])
    cosines = _AXIAL_AXES @ (steps / np.linalg.norm(steps, axis=1, keepdims=True)).T  # (wanted axis, own axis)
    best = max(itertools.permutations(range(3)), key=lambda p: sum(abs(cosines[k, axis]) for k, axis in enumerate(p)))
    flips = [bool(cosines[k, axis] < 0) for k, axis in enumerate(best)]
    return (best[0], best[1], best[2]), (flips[0], flips[1], flips[2])
