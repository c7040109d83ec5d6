"""The bony canal at the middle of a vertebra, in the midplane.

Its diameter is the distance from the middle of the back wall of the body to the nearest point of the posterior elements behind it, the base of the spinous
process (Eisenstein, J Bone Joint Surg Br 1977;59:173). It is small where the canal is narrow by development. Discs, joints and ligaments narrow it further at
the discs, where `canal_ap_mm` is measured.
"""

import numpy as np
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.midplane import Midplane
from lumbar.spine.shape import Outline, Vector, values_at

_STEP_MM = 0.25
_MIDDLE_MM = np.arange(-2.0, 2.5, 0.5)  # heights around the middle of the body at which its back wall is looked for
_BEYOND_MM = 6.0  # behind nearly all of the body
_DIRECTIONS_DEGREES = np.arange(-50.0, 51.0, 2.0)  # against the depth of the body
_PLAUSIBLE_MM = (8.0, 32.0)
_NEIGHBOURS = 2  # directions to either side that must see bone, too


def bony_canal_mm(midplane: Midplane, body: Outline) -> float | None:
    """Antero-posterior diameter of the bony canal behind a body; None where the posterior elements are not seen in the midplane."""
    wall = _middle_of_wall(midplane, body)
    if wall is None:
        return None
    angles = np.radians(_DIRECTIONS_DEGREES)
    rays = np.cos(angles)[:, None] * body.across + np.sin(angles)[:, None] * body.down
    distances = np.arange(_PLAUSIBLE_MM[0] / 2, _PLAUSIBLE_MM[1] + _STEP_MM, _STEP_MM)
    seen = values_at(midplane.probabilities[SpineClass.POSTERIOR], wall + distances[None, :, None] * rays[:, None, :]) > 0.5
    first = np.where(seen.any(axis=1), distances[seen.argmax(axis=1)], np.inf)
    # The largest of neighbouring directions: neither a spot nor the tip of a process above counts as the base of the spinous process.
    nearest = float(ndimage.maximum_filter1d(first, 2 * _NEIGHBOURS + 1, mode="nearest")[_NEIGHBOURS:-_NEIGHBOURS].min())
    return nearest if _PLAUSIBLE_MM[0] <= nearest <= _PLAUSIBLE_MM[1] else None


def _middle_of_wall(midplane: Midplane, body: Outline) -> Vector | None:
    """(2,) mm where the body ends behind at its middle height, as the median over some heights."""
    offsets = np.arange(0.0, body.offsets_mm[-1] + _BEYOND_MM, _STEP_MM)
    middle = float(np.median(body.top_mm + body.bottom_mm)) / 2
    places = body.center + offsets[None, :, None] * body.across + (middle + _MIDDLE_MM)[:, None, None] * body.down
    inside = values_at(midplane.probabilities[SpineClass.BODY], places) > 0.5
    inside = inside[inside.any(axis=1) & ~inside[:, -1]]
    if len(inside) < len(_MIDDLE_MM) / 2:
        return None
    ends = offsets[inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)] + _STEP_MM / 2
    return np.asarray(body.center + float(np.median(ends)) * body.across + middle * body.down)
