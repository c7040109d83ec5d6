"""The cross-sectional area of the dural sac at each disc level, in the axial T2 slice through the disc.

After Schönström et al., Spine 1985;10:806, who measured it on CT: below 100 mm² is narrow, below 75 mm² is stenosis.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import BACK, LEFT
from lumbar.domain.spine_axis import level_axes
from lumbar.domain.study import Series
from lumbar.imaging.rectangle import centred, rectangle
from lumbar.imaging.resample import sample
from lumbar.spine.axial_slice import AxialSlice, slice_through
from lumbar.spine.sac.outline import PIXEL_MM, SIZE, Network, Sac, outline_sacs


@dataclass(frozen=True, eq=False)
class LevelSac:
    """The slice of one level, and the sac in it where one was found."""

    level: LevelFinding
    place: AxialSlice
    sac: Sac | None


def sacs_of(levels: Sequence[LevelFinding], series: Sequence[Series], network: Network) -> list[LevelSac]:
    """The sac at each level that a slice of `series` (axial T2) shows."""
    axes = level_axes(levels)
    found = [(level, place) for level in levels if (place := slice_through(series, level, axes[level.level])) is not None]
    patches = [patch(place, level.canal_center_mm or level.center_mm) for level, place in found]
    outlined = outline_sacs(np.array(patches, dtype=np.float32).reshape(-1, SIZE, SIZE), network)
    return [LevelSac(level, place, sac) for (level, place), sac in zip(found, outlined, strict=True)]


def areas_of(sacs: Sequence[LevelSac]) -> dict[Level, float]:
    """Areas in mm², in the plane of the slice, of the sacs whose outline is reliable."""
    return {one.level.level: one.sac.area_mm2 for one in sacs if one.sac is not None and one.sac.reliable}


def patch(place: AxialSlice, middle_mm: Sequence[float]) -> NDArray[np.float32]:
    """(rows, columns) around the foot of `middle_mm` on a slice; rows run to the back and columns to the patient's left."""
    grid = place.stack.volume.grid
    offsets = centred(SIZE, PIXEL_MM)
    points = rectangle(place.foot_mm(middle_mm), offsets, grid.toward(BACK), offsets, grid.toward(LEFT))
    return np.asarray(sample(place.stack.volume, points), dtype=np.float32)
