"""Which stacks of a role are measured: all of them, but no place twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid, Points
from lumbar.domain.study import Series, Stack

_COVERED = 0.8  # share of a stack's voxels that others show already, from which on it adds nothing
_SAMPLES = 9  # points along each axis of a stack


@dataclass(frozen=True, eq=False)
class PlacedStack:
    """One stack with the series that holds it."""

    series: Series
    number: int  # of the stack in its series, from 0

    @property
    def stack(self) -> Stack:
        """The stack itself."""
        return self.series.stacks[self.number]

    @property
    def grid(self) -> Grid:
        """Where the stack lies."""
        return self.stack.volume.grid


@dataclass(frozen=True, eq=False)
class StackChoice:
    """The stacks to use, and those that would count a place twice."""

    used: tuple[PlacedStack, ...]  # in the order of their series
    left_out: tuple[PlacedStack, ...]

    @property
    def note(self) -> str:
        """What was left out and why, or ""."""
        if not self.left_out:
            return ""
        uids = dict.fromkeys(one.series.series_uid for one in self.left_out)
        count = len(self.left_out)
        return f"{count} {'stack' if count == 1 else 'stacks'} of axial slices show the same place as others and were left out (series {', '.join(uids)})"


def choose_stacks(series: Sequence[Series]) -> StackChoice:
    """All stacks of `series` except those that lie in others: of two that show the same place, the one that covers more of the body is used."""
    placed = [PlacedStack(one, number) for one in series for number in range(len(one.stacks))]
    used: list[PlacedStack] = []
    left_out: list[PlacedStack] = []
    for one in sorted(placed, key=lambda p: -covered_ml(p.grid)):
        if used and within(sample_points(one.grid), [other.grid for other in used]).mean() >= _COVERED:
            left_out.append(one)
        else:
            used.append(one)
    return StackChoice(tuple(one for one in placed if one in used), tuple(one for one in placed if one in left_out))


def covered_ml(grid: Grid) -> float:
    """Volume of the body that a stack shows."""
    thick, row, column = grid.spacing_mm
    return grid.shape[0] * (thick or 1.0) * grid.rows * row * grid.columns * column / 1000


def sample_points(grid: Grid) -> Points:
    """(n, 3) points spread evenly over a stack."""
    axes = [np.linspace(0, size - 1, min(size, _SAMPLES)) for size in grid.shape]
    return grid.points_mm(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3))


def within(points_mm: Points, grids: Sequence[Grid]) -> NDArray[np.bool_]:
    """(n,) which of the points (n, 3) any of `grids` shows."""
    inside = np.zeros(len(points_mm), bool)
    if not len(points_mm):
        return inside
    low, high = points_mm.min(axis=0), points_mm.max(axis=0)
    for grid in grids:
        corners = grid.points_mm(np.array(list(product(*((-1, n) for n in grid.shape)))))  # one voxel beyond the outermost centres
        if (corners.max(axis=0) >= low).all() and (corners.min(axis=0) <= high).all():
            inside |= grid.contains(points_mm)
    return inside


def partner(grid: Grid, series: Sequence[Series]) -> PlacedStack | None:
    """The stack of `series` whose voxels lie where those of `grid` do (to half a voxel), or None."""
    for one in series:
        for number, stack in enumerate(one.stacks):
            other = stack.volume.grid
            if other.shape != grid.shape:
                continue
            corners = np.array([[0, 0, 0], [grid.shape[0] - 1, grid.rows - 1, grid.columns - 1]])
            if np.abs(grid.points_mm(corners) - other.points_mm(corners)).max() <= min(grid.spacing_mm[1:]) / 2:
                return PlacedStack(one, number)
    return None


def stack_showing(series: Sequence[Series], points_mm: Sequence[Sequence[float]]) -> Stack:
    """The stack that shows most of the points, among equals the one with most slices."""
    stacks = [stack for one in series for stack in one.stacks]
    points = np.asarray(points_mm, dtype=np.float64).reshape(-1, 3)
    return max(stacks, key=lambda stack: (int(stack.volume.grid.contains(points).sum()), stack.volume.grid.shape[0]))
