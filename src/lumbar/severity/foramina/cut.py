"""Crops of foramina from the sagittal slices of a study, made like the training crops of the network.

The training images were resized from the whole field of view to 250 × 250 pixels; slices are resized alike here, so that crops have the same sharpness.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.foramina import GRID_PIXELS
from lumbar.domain.anatomy import Level, Side
from lumbar.domain.findings import Evidence, LevelFinding
from lumbar.domain.geometry import BACK, HEAD, LEFT
from lumbar.domain.study import Plane, Role, Series, Stack, Study
from lumbar.imaging.resample import resize_image
from lumbar.severity.axial.cut import point_in_slice
from lumbar.severity.foramina.crops import LEVEL_PIXELS, STORED_SIZE, cut_stored
from lumbar.severity.foramina.midline import sideways_shift_mm
from lumbar.severity.foramina.points import Foramen, foramen_points, level_distance_mm

NEIGHBOURS = (-1, 0, 1)  # offsets of the graded slices from the nearest one
_SIDEWAYS_MM = 2.5  # standard deviation of the side-to-side error of a point: readers' slices spread by 1.7 mm, the middle of the canal adds its own
_FARTHEST_MM = 6.0  # of the nearest slice from the foramen
_GRID_PER_LEVEL = 20.0, 35.0  # distance between levels in pixels of the 250 × 250 grid: range of nearly all training images


@dataclass(frozen=True, eq=False)
class ForamenCrop:
    """The crops of one foramen, and their source."""

    level: Level
    side: Side
    series: Series
    stack: Stack
    slice_number: int  # in the stack, nearest to the foramen
    point_mm: NDArray[np.float64]  # (3,) the foramen, in the plane of that slice
    pixel_mm: float  # of the crop
    images: NDArray[np.uint8]  # (3, 96, 96): the slice before, that slice, the one after
    weights: NDArray[np.float64]  # (3,) weight of each slice; 0 for a missing slice

    def evidence(self, down_mm: float = 0.0, back_mm: float = 0.0) -> Evidence:
        """The point `down_mm` below the middle of the crop and `back_mm` behind it, in pixels of its slice."""
        grid = self.stack.volume.grid
        return point_in_slice(self.series, self.stack, self.slice_number, self.point_mm - down_mm * grid.toward(HEAD) + back_mm * grid.toward(BACK))


def cut_foramina(study: Study, levels: Sequence[LevelFinding], role: Role) -> dict[Foramen, ForamenCrop]:
    """Crops of all foramina of `levels` shown by sagittal series with `role`."""
    points = foramen_points(levels)
    distance = level_distance_mm(points)
    places = _stacks(study, levels, role)
    nearest = {foramen: _nearest_slice(places, point) for foramen, point in points.items()}
    resized: dict[tuple[int, int], NDArray[np.float32]] = {}
    return {
        foramen: slices_around(place.series, place.stack, *foramen, place.point_mm, distance, resized)
        for foramen, place in nearest.items()
        if place is not None
    }


def slices_around(
    series: Series,
    stack: Stack,
    level: Level,
    side: Side,
    point_mm: NDArray[np.float64],
    distance_mm: float,
    resized: dict[tuple[int, int], NDArray[np.float32]] | None = None,
) -> ForamenCrop:
    """The crop of one foramen at `point_mm` on the slice nearest to it and on its neighbours; `distance_mm` is that between levels.

    `resized` caches resized slices between calls, as resizing dominates the time.
    """
    kept = {} if resized is None else resized
    grid, slices = stack.volume.grid, _UprightSlices(stack)
    nearest = grid.nearest_slice(point_mm)
    number, foot = nearest.number, nearest.foot_mm
    weights = np.array([_weight(stack, number + by, point_mm) for by in NEIGHBOURS])
    images = np.zeros((len(NEIGHBOURS), STORED_SIZE, STORED_SIZE), np.uint8)
    for layer, by in enumerate(NEIGHBOURS):
        if weights[layer] > 0:
            key = id(stack), number + by
            if key not in kept:
                kept[key] = _resized(slices, number + by, distance_mm)
            images[layer] = _cut(slices, kept[key], foot, distance_mm)
    return ForamenCrop(level, side, series, stack, number, foot, distance_mm / LEVEL_PIXELS, images, weights / weights.sum())


@dataclass(frozen=True, eq=False)
class _Place:
    """Position of a foramen in a stack."""

    series: Series
    stack: Stack
    point_mm: NDArray[np.float64]  # (3,)


def _stacks(study: Study, levels: Sequence[LevelFinding], role: Role) -> list[tuple[Series, Stack, NDArray[np.float64]]]:
    """The sagittal stacks with `role`, and the lateral displacement of the patient in each (3,)."""
    middles = [np.array(found.canal_center_mm or found.center_mm, dtype=np.float64) for found in levels]
    stacks = [(series, stack) for series in study.with_role(role) if series.plane is Plane.SAGITTAL for stack in series.stacks]
    return [(series, stack, sideways_shift_mm(stack, middles) * np.array(LEFT)) for series, stack in stacks]


def _nearest_slice(places: Sequence[tuple[Series, Stack, NDArray[np.float64]]], expected: NDArray[np.float64]) -> _Place | None:
    """The stack with the slice nearest to a foramen, and its position there."""
    best: tuple[float, _Place] | None = None
    for series, stack, shift in places:
        point = expected + shift
        found = stack.volume.grid.nearest_slice(point)
        if found.inside and found.distance_mm <= _FARTHEST_MM and (best is None or found.distance_mm < best[0]):
            best = found.distance_mm, _Place(series, stack, point)
    return best[1] if best else None


def _weight(stack: Stack, number: int, point: NDArray[np.float64]) -> float:
    grid = stack.volume.grid
    if not 0 <= number < len(grid.origins_mm):
        return 0.0
    return float(np.exp(-0.5 * ((grid.origins_mm[number] - point) @ grid.normal / _SIDEWAYS_MM) ** 2))


@dataclass(frozen=True, eq=False)
class _UprightSlices:
    """The slices of a sagittal stack with rows from head to foot and columns from front to back, whatever their storage order."""

    stack: Stack

    @property
    def _turned(self) -> tuple[bool, bool, bool]:
        """Whether rows and columns must be swapped, and rows and columns then reversed."""
        grid = self.stack.volume.grid
        swapped = abs(float(grid.column_step_mm @ np.array(HEAD))) > abs(float(grid.row_step_mm @ np.array(HEAD)))
        down, across = (grid.column_step_mm, grid.row_step_mm) if swapped else (grid.row_step_mm, grid.column_step_mm)
        return swapped, bool(down @ np.array(HEAD) > 0), bool(across @ np.array(BACK) < 0)

    @property
    def size(self) -> NDArray[np.int64]:
        """(rows, columns)."""
        grid = self.stack.volume.grid
        return np.array([grid.columns, grid.rows] if self._turned[0] else [grid.rows, grid.columns])

    @property
    def field_mm(self) -> NDArray[np.float64]:
        """(height, width) of the field of view."""
        _, row_mm, column_mm = self.stack.volume.grid.spacing_mm
        return np.asarray(self.size * ([column_mm, row_mm] if self._turned[0] else [row_mm, column_mm]), np.float64)

    def array(self, number: int) -> NDArray[np.float32]:
        """(rows, columns) of one slice."""
        swapped, upside_down, reversed_columns = self._turned
        stored = np.asarray(self.stack.volume.array[number], np.float32)
        stored = stored.T if swapped else stored
        return np.ascontiguousarray(stored[:: -1 if upside_down else 1, :: -1 if reversed_columns else 1])

    def share(self, point_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(2,) relative position of a point, from 0 at the upper and anterior edges of the field of view to 1 at the lower and posterior ones."""
        grid = self.stack.volume.grid
        swapped, *reversed_axes = self._turned
        share = (grid.indices(point_mm)[1:] + 0.5) / np.array([grid.rows, grid.columns])
        share = share[::-1] if swapped else share
        return np.asarray(np.where(reversed_axes, 1 - share, share))


def _resized(slices: _UprightSlices, number: int, distance_mm: float) -> NDArray[np.float32]:
    """An upright slice on the grid of the training images, scaled to 0 … 255 by its maximum.

    The grid differs only where the field of view is far larger or smaller than in any training image.
    """
    array = slices.array(number)
    per_level = GRID_PIXELS * distance_mm / slices.field_mm.max()
    size = round(GRID_PIXELS * float(np.clip(per_level, *_GRID_PER_LEVEL)) / per_level)
    small = resize_image(array, (size, size))
    return np.asarray(np.clip(small / max(float(array.max()), 1e-6), 0, 1) * 255, np.float32)


def _cut(slices: _UprightSlices, image: NDArray[np.float32], point_mm: NDArray[np.float64], distance_mm: float) -> NDArray[np.uint8]:
    shape = np.array(image.shape)
    row, column = slices.share(point_mm) * shape - 0.5
    step_rows, step_columns = distance_mm / LEVEL_PIXELS * shape / slices.field_mm
    return cut_stored(image, float(row), float(column), float(step_rows), float(step_columns))
