"""Axial crops of a study at its disc levels, made like the training crops of the network.

Measured on the training crops: they are centred between the two recesses (0.50 ± 0.02 of the width and height), the recesses lie at 0.355 and 0.645 of
the width, the aspect ratio is 1.45, each of the three slices is scaled by its own maximum, and red and blue are the previous and next instance. In the
one study with known pixel size they are 43 to 56 mm wide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.findings import Evidence, LevelFinding, Point
from lumbar.domain.geometry import BACK, LEFT
from lumbar.domain.spine_axis import level_axes
from lumbar.domain.study import Role, Series, Stack, Study
from lumbar.imaging.rectangle import centred, rectangle
from lumbar.imaging.resample import sample
from lumbar.severity.axial.midline import HALF_WIDTH_MM, REACH_MM, midline_shift_mm
from lumbar.severity.axial.network_input import CropImage
from lumbar.spine.axial_slice import AxialSlice, slice_through

WIDTH_MM = 48.0
HEIGHT_MM = 33.0
FORAMEN_OFFSET_MM = 16.0  # from the middle of the canal to a foramen
RECESS_OFFSET_MM = 0.145 * WIDTH_MM  # from the middle of the canal to a recess
_STRIP_PIXEL_MM = 0.5
_LARGEST_STRAY_MM = 1.5


@dataclass(frozen=True, eq=False)
class LevelCrop:
    """The crop of one level, and its source."""

    level: LevelFinding
    image: CropImage
    series: Series
    stack: Stack
    slice_number: int  # in the stack
    center_mm: NDArray[np.float64]  # (3,) middle of the crop, in the plane of the slice

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width of the crop."""
        pixel_mm = self.stack.volume.grid.spacing_mm[1]
        return self.image.shape[0] * pixel_mm, self.image.shape[1] * pixel_mm

    def evidence(self, left_mm: float = 0.0, back_mm: float = 0.0) -> Evidence:
        """The point `left_mm` to the patient's left of the crop's middle and `back_mm` behind it, in pixels of its slice."""
        grid = self.stack.volume.grid
        return point_in_slice(self.series, self.stack, self.slice_number, self.center_mm + left_mm * grid.toward(LEFT) + back_mm * grid.toward(BACK))


def cut_crops(study: Study, levels: Sequence[LevelFinding]) -> dict[LevelFinding, LevelCrop]:
    """Crops of those `levels` that an axial T2 slice shows."""
    axes = level_axes(levels)
    series = study.with_role(Role.AXIAL_T2)
    found = [(level, slice_through(series, level, axes[level.level])) for level in levels]
    cuts = [(level, place) for level, place in found if place is not None]
    middles = _smooth([_middle(level, place) for level, place in cuts])
    return {level: _cut(level, place, middle) for (level, place), middle in zip(cuts, middles, strict=True)}


def point_in_slice(series: Series, stack: Stack, number: int, point_mm: Point | NDArray[np.float64]) -> Evidence:
    """`point_mm` as pixels (x along columns, y along rows) of slice `number`."""
    index = stack.volume.grid.indices(np.asarray(point_mm, dtype=np.float64))
    return Evidence(series.series_uid, stack.instance_numbers[number], float(index[2]), float(index[1]))


def _middle(level: LevelFinding, place: AxialSlice) -> NDArray[np.float64]:
    """(3,) the middle of the canal in the plane of the slice, laterally on the axis of greatest symmetry."""
    middle = place.foot_mm(level.canal_center_mm or level.center_mm)
    return np.asarray(middle + _beside(place.stack, middle) * place.stack.volume.grid.toward(LEFT))


def _smooth(middles: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Middles limited to `_LARGEST_STRAY_MM` of lateral distance from a straight line through all of them.

    Unilateral disease makes a slice asymmetric; the levels above and below correct the error. The line is a Theil-Sen fit, robust to single outliers.
    """
    if len(middles) < 3:
        return middles
    x, z = np.array([m[0] for m in middles]), np.array([m[2] for m in middles])
    first, second = np.triu_indices(len(x), 1)
    apart = np.abs(z[second] - z[first]) > 1.0
    if not apart.any():
        return middles
    slope = float(np.median((x[second] - x[first])[apart] / (z[second] - z[first])[apart]))
    line = slope * z + np.median(x - slope * z)
    stray = x - line
    kept = line + np.clip(stray, -_LARGEST_STRAY_MM, _LARGEST_STRAY_MM)
    return [np.add(m, (shift, 0.0, 0.0)) for m, shift in zip(middles, kept - x, strict=True)]


def _cut(level: LevelFinding, place: AxialSlice, middle: NDArray[np.float64]) -> LevelCrop:
    stack, number = place.stack, place.number
    grid = stack.volume.grid
    pixel_mm = grid.spacing_mm[1]
    rows, columns = (centred(round(size / pixel_mm), pixel_mm) for size in (HEIGHT_MM, WIDTH_MM))
    points = rectangle(middle, rows, grid.toward(BACK), columns, grid.toward(LEFT))
    layers = []
    for neighbour in _neighbours(stack, number):
        shifted = points + (grid.origins_mm[neighbour] - grid.origins_mm[number])
        values = sample(stack.volume, shifted)
        layers.append(np.clip(values / max(float(stack.volume.array[neighbour].max()), 1e-6), 0, 1) * 255)
    return LevelCrop(level, np.stack(layers, axis=-1).round().astype(np.uint8), place.series, stack, number, middle)


def _beside(stack: Stack, middle: NDArray[np.float64]) -> float:
    """Distance in mm from `middle` to the symmetry axis of the slice, positive to the patient's left."""
    grid = stack.volume.grid
    reach = REACH_MM + HALF_WIDTH_MM
    across, down = np.arange(-reach, reach + 0.25, _STRIP_PIXEL_MM), np.arange(-12.0, 12.25, _STRIP_PIXEL_MM)
    points = rectangle(middle, down, grid.toward(BACK), across, grid.toward(LEFT))
    return midline_shift_mm(sample(stack.volume, points), _STRIP_PIXEL_MM)


def _neighbours(stack: Stack, number: int) -> tuple[int, int, int]:
    """Slices for red, green and blue: previous, current and next by instance number; the current one again at the end of a stack."""
    last = len(stack.instance_numbers) - 1
    below, above = max(number - 1, 0), min(number + 1, last)
    if stack.instance_numbers[0] > stack.instance_numbers[last]:
        below, above = above, below
    return below, number, above
