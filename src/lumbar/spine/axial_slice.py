"""The axial slice that shows a disc level."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Points
from lumbar.domain.study import Series, Stack

_MOST_OBLIQUE = 0.7  # cosine of the angle to the spine, or to the body, beyond which a stack is not axial
FARTHEST_MM = 6.0  # of the slice from the point halfway between disc and canal


@dataclass(frozen=True, eq=False)
class AxialSlice:
    """One slice of an axial stack."""

    series: Series
    stack: Stack
    number: int  # in the stack

    def foot_mm(self, point_mm: Sequence[float] | NDArray[np.float64]) -> Points:
        """(3,) the foot of the perpendicular from an LPS point to the slice."""
        grid = self.stack.volume.grid
        point = np.asarray(point_mm, dtype=np.float64)
        return np.asarray(point + ((grid.origins_mm[self.number] - point) @ grid.normal) * grid.normal)


def slice_through(series: Sequence[Series], level: LevelFinding, axis: NDArray[np.float64]) -> AxialSlice | None:
    """The slice through the middle of the disc; of several stacks, the one with the nearest slice, then with the best alignment.

    The distance is that of the point halfway between disc and canal, where the slice must cut the level whatever its tilt. `axis` (3,) is the direction of
    the spine at the level.
    """
    disc_mm, canal_mm = level.center_mm, level.canal_center_mm or level.center_mm
    point = (np.array(disc_mm) + np.array(canal_mm)) / 2
    best: tuple[float, AxialSlice] | None = None
    for one in series:
        for stack in one.stacks:
            grid = stack.volume.grid
            found = grid.nearest_slice(point)
            if max(abs(grid.normal @ axis), abs(grid.normal[2])) < _MOST_OBLIQUE or not found.inside:
                continue
            # The plane of a disc contains its centre and that of the canal: the best slice has the least distance from both.
            stray = max(abs(float((grid.origins_mm[found.number] - np.array(p)) @ grid.normal)) for p in (disc_mm, canal_mm))
            if found.distance_mm <= FARTHEST_MM and (best is None or stray < best[0]):
                best = (stray, AxialSlice(one, stack, found.number))
    return best[1] if best else None
