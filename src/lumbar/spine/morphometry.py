"""Measurements of discs and bodies in the midplane, each defined as in the literature; the canal: `spine/canal.py`.

* Disc height, front, middle and back: between the endplates at 20, 50 and 80 % of the disc's depth, perpendicular to its long axis; their mean is the disc
  height (Tunset et al., BMC Med Imaging 2013;13:10). Where the endplates lie: `spine/endplates.py`.
* Disc height index: disc height / mean height of the adjacent bodies (Masuda et al., Spine 2005;30:5); at L5/S1 the body above alone.
* Disc signal ratio: mean of the disc's core / median of the CSF beside it, on T2-weighted images (Luoma et al., Spine 2001;26:1873).
* Slip: between the facing ends of the back walls of the two bodies, along the disc, in mm and as a share of the lower body's depth (Taillard, J Bone
  Joint Surg Am 1954;36:1227; at L5/S1 of the depth of L5, as the front of S1 is not labelled), against the usual step of the level; grade by quarters
  (Meyerding, Surg Gynecol Obstet 1932;54:371).
* Lordosis: Cobb angle between the upper endplate of the upper vertebra and the lower endplate of the lower one (S1: its upper endplate); total from L1
  to S1 (Vialle et al., J Bone Joint Surg Am 2005;87:260).
"""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.spine.canal import Canal
from lumbar.spine.endplates import SHARES
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline, Vector

# Even without a slip, the lower end of each back wall lies slightly behind the upper end of the next. Medians of the same measure on the reference
# masks of the 28 SPIDER T2 SPACE patients whose sacrum is in view (recipes/spine/norms.py).
# At L5/S1 of the network's masks in other SPIDER patients (recipes/spine/lumbosacral_slip.py): the masks of readers have no S1.
USUAL_STEP_MM = {Level.L1_L2: -1.1, Level.L2_L3: -1.7, Level.L3_L4: -1.5, Level.L4_L5: -1.7, Level.L5_S1: 0.1}

# Variation of the step between people, 1.96 robust standard deviations (1.4826 × the median absolute deviation) in the same people: 1.6, 1.8, 2.4 and 3.7 mm;
# with the error of the network's masks against the reader's, ± 2.5 mm (recipes/spine/measurements.py), as the root of the sum of squares. A smaller step is
# not called a slip, nor is one below 3 mm (White and Panjabi, Clinical Biomechanics of the Spine, 1990).
SLIP_ERROR_MM = {Level.L1_L2: 3.0, Level.L2_L3: 3.1, Level.L3_L4: 3.5, Level.L4_L5: 4.5, Level.L5_S1: 4.1}
_LEAST_AT_SACRUM_MM = -6.0  # no S1 lies further in front of L5: its back part was not labelled
_LEAST_SLIP_MM = 3.0


def mask_heights(disc: Outline) -> tuple[float, float, float]:
    """Front, middle and back height of the disc's mask in mm, without the endplates."""
    front, middle, back = (disc.height_at_mm(share) for share in SHARES)
    return front, middle, back


def body_heights(body: Outline) -> tuple[float, float, float]:
    """Front, middle and back height in mm, near the walls and half-way."""
    return body.height_at_mm(0.12), body.height_at_mm(0.5), body.height_at_mm(0.88)


def signal_ratio(midplane: Midplane, disc: Outline, mask: NDArray[np.bool_], canal: Canal | None) -> float | None:
    """Ratio of disc core to CSF signal; None where there is no CSF beside the disc."""
    if canal is None:
        return None
    points = np.argwhere(mask) * PIXEL_MM - disc.center
    u, v = points @ disc.across, points @ disc.down
    core = (np.abs(u) <= 0.25 * disc.depth_mm) & (np.abs(v) <= 0.25 * disc.height_at_mm(0.5))
    sac = np.argwhere(midplane.labels == SpineClass.CANAL)
    beside = sac[np.linalg.norm(sac * PIXEL_MM - canal.center, axis=1) <= 25.0]
    if not core.any() or len(beside) < 30:
        return None
    fluid = midplane.image[tuple(beside.T)]
    bright = float(np.median(fluid[fluid >= np.percentile(fluid, 70)]))  # nerve roots and the conus are darker than CSF
    return float(midplane.image[mask][core].mean()) / bright if bright > 0 else None


def slip(level: Level, upper: Outline, disc: Outline, lower: Outline) -> tuple[float, float] | None:
    """Slip of `upper` against `lower` in mm, positive forwards, and as a share of the lower one's depth in percent; None where it cannot be measured.

    It is the distance along the disc from the back wall of the upper body, near its lower endplate, to that of the lower body, near its upper endplate,
    less the usual step of that level.
    """
    ends = upper.back_wall(upper=False), lower.back_wall(upper=True)
    if ends[0] is None or ends[1] is None:
        return None
    moved = float((ends[1] - ends[0]) @ disc.across) - USUAL_STEP_MM[level]
    if level is not Level.L5_S1:
        return moved, 100 * moved / lower.depth_mm
    return (moved, 100 * moved / upper.depth_mm) if moved >= _LEAST_AT_SACRUM_MM else None


def meyerding(level: Level, slip_mm: float, slip_percent: float) -> int:
    """Meyerding grade: 0 below 3 mm or the error of the level, then one grade per quarter of the endplate, 5 beyond it. Retrolisthesis counts alike."""
    called = abs(slip_mm) >= max(_LEAST_SLIP_MM, SLIP_ERROR_MM[level])
    return min(5, int(abs(slip_percent) // 25) + 1) if called else 0


def cobb_degrees(upper: tuple[Vector, Vector], lower: tuple[Vector, Vector]) -> float:
    """Angle between two endplates given as (front, back) in mm; positive if they open to the front (lordosis)."""

    def tilt(line: tuple[Vector, Vector]) -> float:
        across = line[1] - line[0]
        return float(np.degrees(np.arctan2(-across[0], across[1])))

    return tilt(lower) - tilt(upper)
