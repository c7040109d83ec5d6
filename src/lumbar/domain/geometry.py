"""Positions of voxels in the patient: LPS millimetres (DICOM's patient space: x to the left, y to the back, z to the head).

Axes of every volume are (slice, row, column). A grid keeps the position of every slice on its own, so that gaps, doubled spacing and sheared stacks
(gantry tilt) are carried as they are instead of being forced into one matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumbar.errors import GeometryError

Points = NDArray[np.float64]

LEFT, BACK, HEAD = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)  # directions of the patient in LPS

_UNEVEN_TOLERANCE = 0.02  # share of the spacing by which even slices may deviate: positions are stored with few digits


@dataclass(frozen=True, eq=False)
class Grid:
    """Parallel slices of equal pixels; index (slice, row, column) names a voxel's centre."""

    origins_mm: Points  # (slices, 3): the centre of pixel (0, 0) of each slice, in order along the normal
    row_step_mm: Points  # (3,): from one row to the next
    column_step_mm: Points  # (3,): from one column to the next
    rows: int
    columns: int

    def __post_init__(self) -> None:
        for name in ("origins_mm", "row_step_mm", "column_step_mm"):
            value = np.array(getattr(self, name), dtype=np.float64)
            if not np.isfinite(value).all():
                raise GeometryError(f"a position or direction of the volume is not a number ({name} = {value.tolist()})")
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        if np.linalg.norm(np.cross(self.row_step_mm, self.column_step_mm)) < 1e-9:
            raise GeometryError(f"rows and columns run the same way or have no size: {self.row_step_mm.tolist()}, {self.column_step_mm.tolist()}")
        if self.origins_mm.ndim != 2 or self.origins_mm.shape[1:] != (3,) or not len(self.origins_mm):
            raise GeometryError(f"a volume needs at least one slice, each with a position of three numbers, not an array of {self.origins_mm.shape}")
        if abs(np.sign(np.diff(self.origins_mm @ self.normal)).sum()) != len(self.origins_mm) - 1:
            raise GeometryError("slices must be ordered by their position along the normal, each position once")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return len(self.origins_mm), self.rows, self.columns

    @cached_property
    def normal(self) -> Points:
        """(3,) unit normal of the slices: along a row × down a column, as DICOM has it."""
        normal = np.cross(self.column_step_mm, self.row_step_mm)
        return np.asarray(normal / np.linalg.norm(normal))

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(between slices, between rows, between columns); the first is the median gap along the normal, 0 for one slice."""
        gaps = np.abs(np.diff(self.origins_mm @ self.normal))
        between = float(np.median(gaps)) if gaps.size else 0.0
        return between, float(np.linalg.norm(self.row_step_mm)), float(np.linalg.norm(self.column_step_mm))

    def toward(self, direction: Sequence[float]) -> Points:
        """(3,) unit vector along the rows or the columns, whichever runs most along `direction` (3,) in LPS, towards where it points."""
        units = [step / np.linalg.norm(step) for step in (self.row_step_mm, self.column_step_mm)]
        along = [float(unit @ np.asarray(direction)) for unit in units]
        best = int(np.argmax(np.abs(along)))
        return np.asarray(units[best] * np.sign(along[best]))

    @cached_property
    def even(self) -> bool:
        """Whether one matrix describes all slices."""
        steps = np.diff(self.origins_mm, axis=0)
        return len(steps) < 2 or bool(np.abs(steps - steps.mean(axis=0)).max() <= _UNEVEN_TOLERANCE * self.spacing_mm[0])

    @cached_property
    def slice_step_mm(self) -> Points:
        """(3,) mean step from one slice to the next; along the normal by 1 mm if there is only one slice."""
        if len(self.origins_mm) == 1:
            return self.normal
        return np.asarray((self.origins_mm[-1] - self.origins_mm[0]) / (len(self.origins_mm) - 1))

    @cached_property
    def matrix(self) -> Points:
        """(4, 4) from (slice, row, column, 1) to LPS mm.

        Raises:
            GeometryError: the slices are not evenly spaced; see `even`.
        """
        if not self.even:
            raise GeometryError("the slices are not evenly spaced, so no single matrix describes them")
        matrix = np.eye(4)
        matrix[:3] = np.column_stack([self.slice_step_mm, self.row_step_mm, self.column_step_mm, self.origins_mm[0]])
        return matrix

    @property
    def center_mm(self) -> Points:
        """(3,) the middle of the volume."""
        return self.points_mm((np.array(self.shape) - 1) / 2)

    def points_mm(self, indices: ArrayLike) -> Points:
        """LPS points (..., 3) of fractional indices (..., 3); between slices and beyond the last ones they are placed linearly."""
        index = np.asarray(indices, dtype=np.float64)
        origin = _at(self.origins_mm, index[..., 0], self.slice_step_mm)
        return np.asarray(origin + index[..., 1:2] * self.row_step_mm + index[..., 2:3] * self.column_step_mm)

    def indices(self, points_mm: ArrayLike) -> Points:
        """Fractional indices (..., 3) of LPS points (..., 3): the inverse of `points_mm`."""
        index = np.asarray(points_mm, dtype=np.float64) @ self._axes
        origins = self.origins_mm @ self._axes
        along = _interpolate(index[..., 0], origins[:, 0], float(self.slice_step_mm @ self.normal))
        index[..., 0] = along
        index[..., 1:] -= _at(origins[:, 1:], along, self.slice_step_mm @ self._axes[:, 1:])
        return np.asarray(index)

    def nearest_slice(self, point_mm: ArrayLike) -> "SlicePoint":
        """The slice nearest to the LPS point (3,), and the foot of the perpendicular from the point to it."""
        point = np.asarray(point_mm, dtype=np.float64)
        away = (self.origins_mm - point) @ self.normal
        number = int(np.abs(away).argmin())
        foot = np.asarray(point + away[number] * self.normal)
        _, row, column = self.indices(foot)
        return SlicePoint(number, foot, float(abs(away[number])), bool(0 <= row <= self.rows - 1 and 0 <= column <= self.columns - 1))

    def contains(self, points_mm: ArrayLike, margin_mm: float = 0.0) -> NDArray[np.bool_]:
        """Whether points (..., 3) lie inside the voxels of the volume, or outside by no more than `margin_mm`."""
        return self.holds(self.indices(points_mm), margin_mm)

    def holds(self, index: Points, margin_mm: float = 0.0) -> NDArray[np.bool_]:
        """Whether fractional indices (..., 3) lie inside the voxels of the volume, or outside by no more than `margin_mm`."""
        spacing = np.array([self.spacing_mm[0] or 1.0, *self.spacing_mm[1:]])  # a single slice steps by 1 mm
        slack = 0.5 + margin_mm / spacing
        return np.asarray(((index >= -slack) & (index <= np.array(self.shape) - 1 + slack)).all(axis=-1))

    @cached_property
    def _axes(self) -> Points:
        """(3, 3) a point times this matrix: mm along the normal, rows and columns, from the origin of the patient's coordinates."""
        steps = np.column_stack([self.row_step_mm, self.column_step_mm])
        return np.column_stack([self.normal, np.linalg.pinv(steps).T])


@dataclass(frozen=True, eq=False)
class SlicePoint:
    """A point projected onto the slice nearest to it."""

    number: int  # of the slice
    foot_mm: Points  # (3,) the projection
    distance_mm: float  # of the point from the slice
    inside: bool  # whether the projection lies within the image


def _at(knots: Points, along: Points, step: Points) -> Points:
    """(..., axes) vectors at the fractional indices `along` of the `knots` (slices, axes), linear between them and beyond; one knot goes on by `step`."""
    if len(knots) == 1:
        return np.asarray(knots[0] + along[..., None] * step)
    low = np.clip(np.floor(along).astype(int), 0, len(knots) - 2)
    return np.asarray(knots[low] + (along - low)[..., None] * np.diff(knots, axis=0)[low])


def _interpolate(value: Points, knots: Points, step: float) -> Points:
    """Fractional position of `value` among monotone `knots`, carried on linearly beyond both ends."""
    if len(knots) == 1:
        return np.asarray((value - knots[0]) / step)
    sign = 1.0 if knots[-1] > knots[0] else -1.0
    low = np.clip(np.searchsorted(sign * knots, sign * value, side="right") - 1, 0, len(knots) - 2)
    return np.asarray(low + (value - knots[low]) / (knots[low + 1] - knots[low]))


def grid_from_matrix(matrix: ArrayLike, shape: tuple[int, int, int]) -> Grid:
    """The grid of `shape` (slices, rows, columns) whose (4, 4) matrix takes (slice, row, column, 1) to LPS mm."""
    m = np.asarray(matrix, dtype=np.float64)
    origins = m[:3, 3] + np.arange(shape[0])[:, None] * m[:3, 0]
    return Grid(origins, m[:3, 1], m[:3, 2], shape[1], shape[2])
