"""Neural foramina beside the canal, measured in parasagittal planes.

* Height: from the lower border of the upper pedicle to the upper border of the lower pedicle.
* Width: narrowest distance between the back of the disc and bodies and the posterior elements behind it, in the middle 70 % of the height.
* Area: between the two pedicles, the column in front and the posterior elements behind.

With networks that label foramina, they are measured in the plane of the pedicles (`spine/foramen_class.py`). With others, and in masks of readers, it is the
slice where the foramen is lowest, which is the nearest to the axis of the pedicles: beside it they are lower, and the foramen higher.

After Hasegawa et al., J Bone Joint Surg Am 1995;77:32 (height of 15 mm or less and a posterior disc height of 4 mm or less go with compression of the root) and
Cinotti et al., Spine 2002;27:223. At L5/S1 nothing is measured: the pedicle of S1 is not labelled.
"""

import numpy as np
from scipy import ndimage

from lumbar.domain.anatomy import Side
from lumbar.spine.foramen_class import ASIDE_MM, foramen_between, foramen_of
from lumbar.spine.foramen_window import COLUMN_MM, ROW_MM, Floats, Foramen, Window, windows_beside
from lumbar.spine.midplane import Midplane
from lumbar.spine.shape import Outline

_PEDICLES_MM = (10.0, 27.0)  # lateral distance of the pedicles from the midline
_JOINED_MM = 1.5  # largest gap between column and posterior elements that counts as a pedicle
_LEAST_PEDICLE_MM = 3.0  # height
_PLAUSIBLE_HEIGHT_MM = (6.0, 32.0)
_OPEN_SHARE = 0.6  # largest share of rows without posterior elements: beside the joints, only fat lies behind the upper and lower part of a foramen


def foramen_at(midplane: Midplane, disc: Outline, side: Side) -> Foramen | None:
    """The foramen at a disc, in the plane of its pedicles. None where they are not seen, or do not close it."""
    if midplane.segmentation.foramen is not None:
        return foramen_between(*windows_beside(midplane, disc, side, ASIDE_MM))
    _, windows = windows_beside(midplane, disc, side, _PEDICLES_MM)
    found = [size for window in windows if (size := _from_bone(window)) is not None]
    return min(found, key=lambda size: size.height_mm, default=None)


def foramen_in(window: Window) -> Foramen | None:
    """The foramen in a single slice; None where it lacks a pedicle or the posterior elements."""
    return _from_bone(window) if window.foramen is None else foramen_of(window)


def _from_bone(window: Window) -> Foramen | None:
    """The foramen that the outlines of bone leave open."""
    widths = _free_mm(window)
    joined = widths <= _JOINED_MM
    middle = len(widths) // 2
    if joined[middle]:
        return None
    above, below = np.flatnonzero(joined[:middle]), np.flatnonzero(joined[middle:])
    if not len(above) or not len(below):
        return None
    top, foot = int(above[-1]) + 1, middle + int(below[0])
    least = round(_LEAST_PEDICLE_MM / ROW_MM)
    if joined[max(top - least, 0) : top].mean() < 0.8 or joined[foot : foot + least].mean() < 0.8:
        return None
    height = (foot - top) * ROW_MM
    inside = widths[top:foot]
    seen = np.isfinite(inside)
    if not _PLAUSIBLE_HEIGHT_MM[0] <= height <= _PLAUSIBLE_HEIGHT_MM[1] or 1 - seen.mean() > _OPEN_SHARE:
        return None
    inside = np.interp(np.arange(len(inside)), np.flatnonzero(seen), inside[seen])
    edge = round(0.15 * len(inside))
    width = float(ndimage.median_filter(inside, 3, mode="nearest")[edge : len(inside) - edge].min())
    return Foramen(height, width, float(inside.sum() * ROW_MM))


def _free_mm(window: Window) -> Floats:
    """(rows,) distance from the end of the column to the first posterior element behind it; infinite where there is none."""
    bone = window.bone > 0.5
    end, seen = window.end_of_column()
    behind = bone & (window.posterior > window.column) & (np.arange(bone.shape[1])[None] >= end[:, None])
    empty = np.cumsum(~bone, axis=1)
    rows = np.arange(len(bone))
    found = seen & behind.any(axis=1)
    return np.where(found, (empty[rows, behind.argmax(axis=1)] - empty[rows, end]) * COLUMN_MM, np.inf)
