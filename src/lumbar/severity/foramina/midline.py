"""The midline of the patient in a sagittal stack: the position of greatest symmetry between slices on both sides.

Patients move between series. In the one real study with images, the canal on T1 lies 5 mm beside its position on T2, more than a slice, so that the
slice of a foramen cannot be chosen from the levels of another series alone.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.geometry import BACK, HEAD, LEFT
from lumbar.domain.study import Stack
from lumbar.imaging.rectangle import rectangle

_REACH_MM = 10.0  # search range to either side
_HALF_WIDTH_MM = 32.0  # of the region compared with its mirror image
_FEWEST_PAIRS = 3  # of slices
_PIXEL_MM = 1.5
_DOWN_MM, _AHEAD_MM, _BEHIND_MM = 30.0, 45.0, 30.0  # around the middle of the canal
_CAUTION = 0.0005  # penalty on the distance from the given position, per square millimetre


def sideways_shift_mm(stack: Stack, middles_mm: Sequence[NDArray[np.float64]]) -> float:
    """Distance in mm, positive to the patient's left, from `middles_mm` (points (3,) in the canal at several levels) to the midline in `stack`.

    0 where too few slices show both sides.
    """
    shifts = np.arange(-_REACH_MM, _REACH_MM + 0.5, 0.5)
    likeness = [_likeness(stack, middle, shifts) for middle in middles_mm]
    known = [values for values in likeness if values is not None]
    if not known:
        return 0.0
    return float(shifts[int((np.mean(known, axis=0) - _CAUTION * shifts**2).argmax())])


def _likeness(stack: Stack, middle: NDArray[np.float64], shifts: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Mean correlation of slices with their mirror images, for each of `shifts`; None where too few slices lie on both sides."""
    grid = stack.volume.grid
    sign = float(np.sign(grid.normal @ np.array(LEFT)))
    aside = (grid.origins_mm - middle) @ grid.normal * sign  # lateral position of each slice, to the patient's left
    near = np.flatnonzero(np.abs(aside) <= _REACH_MM + _HALF_WIDTH_MM)
    images = np.stack([_surroundings(stack, int(number), middle) for number in near]) if len(near) else np.zeros((0, 1))
    spread = np.maximum(images.std(axis=1, keepdims=True), 1e-6) if len(near) else 1.0
    scaled = (images - images.mean(axis=1, keepdims=True)) / spread if len(near) else images
    alike = scaled @ scaled.T / max(images.shape[1], 1)
    first, second = np.triu_indices(len(near), 1)
    axis, half = (aside[near[first]] + aside[near[second]]) / 2, np.abs(aside[near[first]] - aside[near[second]]) / 2
    axes = np.unique(np.round(axis, 1))
    found = []
    for place in axes:
        pair = (np.abs(axis - place) < 0.3) & (half <= _HALF_WIDTH_MM)
        if pair.sum() >= _FEWEST_PAIRS:
            found.append((place, alike[first[pair], second[pair]].mean()))
    if len(found) < 2:
        return None
    places, values = np.array(found).T
    return np.interp(shifts, places, values, left=-1.0, right=-1.0)


def _surroundings(stack: Stack, number: int, middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smoothed grey values around the canal on one slice, as one row."""
    grid = stack.volume.grid
    foot = middle + ((grid.origins_mm[number] - middle) @ grid.normal) * grid.normal
    down, back = np.arange(-_DOWN_MM, _DOWN_MM + 0.1, _PIXEL_MM), np.arange(-_AHEAD_MM, _BEHIND_MM + 0.1, _PIXEL_MM)
    points = rectangle(foot, down, -grid.toward(HEAD), back, grid.toward(BACK))
    index = np.moveaxis(grid.indices(points)[..., 1:], -1, 0)
    values = ndimage.map_coordinates(np.asarray(stack.volume.array[number], np.float32), index, order=1)
    return np.asarray(ndimage.gaussian_filter(values, 1.0).ravel(), np.float64)
