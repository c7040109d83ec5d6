"""Alignment of the spine: sacral slope and coronal Cobb angle relative to the axes of the patient, not of the images.

* Sacral slope: upper endplate of S1 (here the lower border of L5/S1) against the horizontal plane of the patient, lying (Legaye et al., Eur Spine J
  1998;7:99, who measured it standing).
* Coronal Cobb angle: between the two discs that are tilted most to either side (Cobb, AAOS Instr Course Lect 1948;5:261, between endplates, standing).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid
from lumbar.imaging.components import voxels_by_label
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline

_LEAST_WIDTH_MM = 20.0  # least lateral width of a disc whose tilt can be measured
_FEWEST_SLICES = 4


@dataclass(frozen=True)
class CoronalCurve:
    """The coronal Cobb angle and the discs between which it is measured, as numbers in the chain from head to foot."""

    degrees: float
    upper: int
    lower: int


def sacral_slope_degrees(midplane: Midplane, lowest: Outline) -> float:
    """Angle of the lower border of `lowest` against the horizontal plane; positive when the front is lower."""
    front, back = (midplane.points_mm(end / PIXEL_MM) for end in lowest.border(upper=False))
    away = back - front
    return float(np.degrees(np.arctan2(away[2], np.hypot(away[0], away[1]))))


def coronal_curve(instances: NDArray[np.uint8], grid: Grid, discs: int) -> CoronalCurve | None:
    """The largest angle between two of the first `discs` instances, the discs; None where fewer than three are wide enough."""
    found = voxels_by_label(instances)
    tilts = {k: tilt for k in range(discs) if 1 + k in found and (tilt := _coronal_tilt(found[1 + k], grid)) is not None}
    if len(tilts) < 3:
        return None
    high, low = max(tilts, key=lambda k: tilts[k]), min(tilts, key=lambda k: tilts[k])
    return CoronalCurve(tilts[high] - tilts[low], min(high, low), max(high, low))


def _coronal_tilt(voxels: NDArray[np.int64], grid: Grid) -> float | None:
    """Tilt in degrees, positive when the patient's left is higher, of the plane that fits the voxels (n, 3) best."""
    if len(np.unique(voxels[:, 0])) < _FEWEST_SLICES:
        return None
    points = grid.points_mm(voxels.astype(float))
    low, high = np.percentile(points[:, 0], (2, 98))
    if high - low < _LEAST_WIDTH_MM:
        return None
    away = points - points.mean(axis=0)
    slope, *_ = np.linalg.lstsq(np.column_stack([away[:, 0], away[:, 1]]), away[:, 2], rcond=None)
    return float(np.degrees(np.arctan(slope[0])))
