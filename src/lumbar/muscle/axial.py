"""Volumes reoriented to axial slices, whatever their storage order."""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, InputError
from lumbar.imaging.orient import AXIAL_AXES, turned, turned_back

_MAX_TILT = 0.45  # cosine to the body axis; in a flexed patient slices through L5/S1 are tilted by up to 60°
_STEEP = 0.8  # cosine below which slices remain slices, whatever their nearest axis


def to_axial(volume: Volume) -> Volume:
    """The same voxels with slices from foot to head, rows from front to back and columns from right to left (nearest axes; nothing is resampled).

    Raises:
        InputError: the acquired slices are not axial (the spacing is largest along their normal).
        GeometryError: the volume is unevenly spaced and its slices are not axial.
    """
    axial = turned(volume, _axes(volume.grid))
    if abs(axial.grid.normal[2]) < _MAX_TILT:
        raise InputError(f"slices are tilted by {np.degrees(np.arccos(abs(axial.grid.normal[2]))):.0f}° from axial; muscles need axial slices")
    thick, *pixel = axial.grid.spacing_mm
    if max(pixel) > max(thick, 2.5):
        raise InputError(f"the volume was not acquired in axial slices (axial pixels would be {pixel[0]:.1f} × {pixel[1]:.1f} mm); give an axial series")
    return axial


def restore(array: NDArray[np.uint8] | NDArray[np.float32], source: Volume) -> Volume:
    """Labels or fractions on the grid of `to_axial(source)`, moved back to the grid of `source`."""
    return turned_back(array, source.grid, _axes(source.grid))


def _axes(grid: Grid) -> NDArray[np.float64]:
    """(3, 3) directions for slices, rows and columns: the body axes, or those of steep thick slices."""
    up = grid.normal * np.sign(grid.normal[2] or 1.0)
    steep = _MAX_TILT <= up[2] < _STEEP and abs(up[0]) < 0.5 and grid.spacing_mm[0] > max(grid.spacing_mm[1:])
    if not steep:
        return AXIAL_AXES
    left = np.array([1.0, 0, 0]) - up[0] * up
    left /= np.linalg.norm(left)
    return np.stack([up, np.cross(up, left), left])


def slice_thickness_mm(grid: Grid) -> NDArray[np.float64]:
    """(slices,) thickness represented by each slice: half the distance to each neighbour, and twice the one half at the ends.

    Raises:
        GeometryError: the volume has only one slice, whose thickness is unknown.
    """
    along = grid.origins_mm @ grid.normal
    if len(along) < 2:
        raise GeometryError("the volume has only one slice, so muscle volumes cannot be computed; give at least two slices")
    gaps = np.abs(np.diff(along))
    return np.asarray((np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2)
