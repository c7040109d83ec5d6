"""Measurements on the midplane, each as it is defined in the literature.

* Disc height, front, middle and back: between the disc's borders at 20, 50 and 80 % of its depth, perpendicular to its long axis; their mean is the disc
  height (Tunset et al., BMC Med Imaging 2013;13:10, measure between endplates in the same three places).
* Disc height index: disc height / mean height of the adjacent bodies (Masuda et al., Spine 2005;30:5); at L5/S1 the body above alone.
* Disc signal ratio: mean of the disc's core / median of the CSF beside it, on T2-weighted pictures (Luoma et al., Spine 2001;26:1873).
* Canal antero-posterior diameter: narrowest width of the canal at the height of the disc, perpendicular to the canal (after Verbiest, J Bone Joint Surg
  Br 1954;36:230, who measured bone; here it is the canal as the masks have it, close to the dural sac).
* Slip: from the back lower corner of the upper body to the back upper corner of the lower one, along the lower one's endplate (Taillard 1954), in mm and
  as a share of that endplate; grade by quarters (Meyerding, Surg Gynecol Obstet 1932;54:371).
* Lordosis: Cobb angle between the upper endplate of the upper vertebra and the lower endplate of the lower one (S1: its upper endplate); total from L1
  to S1 (Vialle et al., J Bone Joint Surg Am 2005;87:260).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline, Vector, width_mm

_CANAL_REACH_MM = 16.0


@dataclass(frozen=True)
class Canal:
    """The canal at one disc level."""

    center: Vector  # (2,) mm in the midplane
    ap_mm: float
    area_mm2: float


def disc_heights(disc: Outline) -> tuple[float, float, float]:
    """Front, middle and back height in mm."""
    return disc.height_at_mm(0.2), disc.height_at_mm(0.5), disc.height_at_mm(0.8)


def body_heights(body: Outline) -> tuple[float, float, float]:
    """Front, middle and back height in mm, near the walls and half-way."""
    return body.height_at_mm(0.12), body.height_at_mm(0.5), body.height_at_mm(0.88)


def canal_at(midplane: Midplane, disc: Outline) -> Canal | None:
    """The canal behind a disc, or None where none was seen."""
    probability = midplane.probabilities[SpineClass.CANAL]
    back = disc.center + (disc.offsets_mm[-1] + 2.0) * disc.across
    pixels = np.argwhere(midplane.labels == SpineClass.CANAL) * PIXEL_MM
    near = pixels[np.linalg.norm(pixels - (back + 6.0 * disc.across), axis=1) < 18.0]
    if len(near) < 30:
        return None
    _, _, axes = np.linalg.svd(near - near.mean(axis=0), full_matrices=False)
    along = axes[0] * (1 if axes[0][0] > 0 else -1)
    across = np.array([-along[1], along[0]])
    across = across if across[1] > 0 else -across
    half = max(2.0, 0.5 * disc.height_at_mm(0.8))
    start = back + 6.0 * disc.across
    found = [width_mm(probability, start + shift * along, across, _CANAL_REACH_MM) for shift in np.arange(-half, half + 0.25, 0.5)]
    seen = [f for f in found if f is not None]
    if len(seen) < len(found) / 2:
        return None
    widths = ndimage.median_filter(np.array([width for width, _ in seen]), 3, mode="nearest")
    at = int(np.argmin(widths))
    return Canal(seen[at][1], float(widths[at]), float(np.sum(widths) * 0.5))


def signal_ratio(midplane: Midplane, disc: Outline, mask: NDArray[np.bool_], canal: Canal | None) -> float | None:
    """Disc core over CSF; None where no CSF is beside the disc."""
    if canal is None:
        return None
    points = np.argwhere(mask) * PIXEL_MM - disc.center
    u, v = points @ disc.across, points @ disc.down
    core = (np.abs(u) <= 0.25 * disc.depth_mm) & (np.abs(v) <= 0.25 * disc.height_at_mm(0.5))
    sac = np.argwhere(midplane.labels == SpineClass.CANAL)
    beside = sac[np.linalg.norm(sac * PIXEL_MM - canal.center, axis=1) <= 25.0]
    if not core.any() or len(beside) < 30:
        return None
    fluid = midplane.picture[tuple(beside.T)]
    bright = float(np.median(fluid[fluid >= np.percentile(fluid, 70)]))  # nerve roots and the conus are darker than CSF
    return float(midplane.picture[mask][core].mean()) / bright if bright > 0 else None


def slip(upper: Outline, lower_endplate: tuple[Vector, Vector]) -> tuple[float, float]:
    """Slip of `upper` in mm, positive forwards, and its share of the lower endplate in percent."""
    front, back = lower_endplate
    length = float(np.linalg.norm(front - back))
    forward = (front - back) / length
    corner = upper.border(upper=False)[1]
    moved = float((corner - back) @ forward)
    return moved, 100 * moved / length


def meyerding(slip_percent: float) -> int:
    """0 for less than the error of the method (5 %), then one grade a quarter; 5 (spondyloptosis) beyond the whole endplate. Backward slips count alike."""
    share = abs(slip_percent)
    return 0 if share < 5 else min(5, int(share // 25) + 1)


def cobb_degrees(upper: tuple[Vector, Vector], lower: tuple[Vector, Vector]) -> float:
    """Angle between two endplates given as (front, back) in mm; positive if they open to the front (lordosis)."""

    def tilt(line: tuple[Vector, Vector]) -> float:
        across = line[1] - line[0]
        return float(np.degrees(np.arctan2(-across[0], across[1])))

    return tilt(lower) - tilt(upper)
