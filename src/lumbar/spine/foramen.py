"""Neural foramina beside the canal, measured in parasagittal slices.

* Height: from the lower border of the upper pedicle to the upper border of the lower pedicle, in the slice where it is smallest: beside the axis of the
  pedicles they are lower, and the foramen higher.
* Width: narrowest distance between the back of the disc and bodies and the posterior elements behind it, in the middle 70 % of the height.
* Area: between the two pedicles, the column in front and the posterior elements behind.

After Hasegawa et al., J Bone Joint Surg Am 1995;77:32 (height of 15 mm or less and a posterior disc height of 4 mm or less go with compression of the root) and
Cinotti et al., Spine 2002;27:223. At L5/S1 nothing is measured: the pedicle of S1 is not labelled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Side, SpineClass
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline

_ASIDE_MM = (10.0, 27.0)  # lateral distance of the pedicles from the midline
_STEP_MM = 0.5
_REACH_MM = 30.0  # search range above and below the middle of the disc; includes both pedicles
_BEHIND_MM = 32.0  # search range behind the disc, up to the most posterior position of a facet joint
_JOINED_MM = 1.5  # largest gap between column and posterior elements that counts as a pedicle
_LEAST_PEDICLE_MM = 3.0  # height
_PLAUSIBLE_HEIGHT_MM = (6.0, 32.0)
_OPEN_SHARE = 0.6  # largest share of rows without posterior elements: beside the joints, only fat lies behind the upper and lower part of a foramen
_COLUMN = (SpineClass.BODY, SpineClass.DISC, SpineClass.SACRUM)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Foramen:
    """Size of one foramen."""

    height_mm: float
    width_mm: float
    area_mm2: float


def foramen_at(midplane: Midplane, disc: Outline, side: Side) -> Foramen | None:
    """The foramen at a disc, in the slice nearest to the axis of its pedicles: the one where it is lowest. None where no slice shows both pedicles."""
    grid = midplane.segmentation.grid
    row = float(np.clip(disc.center[0] / PIXEL_MM, 0, len(midplane.slice_of_row) - 1))
    middle = float(np.interp(row, np.arange(len(midplane.slice_of_row)), midplane.slice_of_row))
    sign = 1.0 if side is Side.LEFT else -1.0  # slices run from the patient's right to the left
    aside = sign * (np.arange(grid.shape[0]) - middle) * grid.spacing_mm[0]
    numbers = np.flatnonzero((aside >= _ASIDE_MM[0]) & (aside <= _ASIDE_MM[1]))
    found = [size for k in numbers if (size := foramen_in(midplane.segmentation.probabilities[k], disc)) is not None]
    return min(found, key=lambda size: size.height_mm, default=None)


def foramen_in(probabilities: NDArray[np.float16], disc: Outline) -> Foramen | None:
    """The foramen behind a disc in the probabilities (classes, rows, columns) of one slice; None where it lacks a pedicle or the posterior elements."""
    widths = _widths(probabilities, disc)
    joined = widths <= _JOINED_MM
    middle = len(widths) // 2
    if joined[middle]:
        return None
    above, below = np.flatnonzero(joined[:middle]), np.flatnonzero(joined[middle:])
    if not len(above) or not len(below):
        return None
    top, foot = int(above[-1]) + 1, middle + int(below[0])
    least = round(_LEAST_PEDICLE_MM / _STEP_MM)
    if joined[max(top - least, 0) : top].mean() < 0.8 or joined[foot : foot + least].mean() < 0.8:
        return None
    height = (foot - top) * _STEP_MM
    inside = widths[top:foot]
    seen = np.isfinite(inside)
    if not _PLAUSIBLE_HEIGHT_MM[0] <= height <= _PLAUSIBLE_HEIGHT_MM[1] or 1 - seen.mean() > _OPEN_SHARE:
        return None
    inside = np.interp(np.arange(len(inside)), np.flatnonzero(seen), inside[seen])
    edge = round(0.15 * len(inside))
    width = float(ndimage.median_filter(inside, 3, mode="nearest")[edge : len(inside) - edge].min())
    return Foramen(height, width, float(inside.sum() * _STEP_MM))


def _widths(probabilities: NDArray[np.float16], disc: Outline) -> Floats:
    """(n,) free distance behind the column from above the disc to below it, in steps of `_STEP_MM`; infinite where there are no posterior elements."""
    back = float(disc.offsets_mm[-1])
    heights = np.arange(-_REACH_MM, _REACH_MM + _STEP_MM, _STEP_MM)
    offsets = np.arange(back - 14.0, back + _BEHIND_MM, _STEP_MM / 2)
    places = (disc.center + offsets[None, :, None] * disc.across + heights[:, None, None] * disc.down) / PIXEL_MM
    at = np.moveaxis(places, -1, 0)
    column, posterior = (
        ndimage.map_coordinates(np.sum([probabilities[kind] for kind in kinds], axis=0, dtype=np.float32), at, order=1, cval=0)
        for kinds in (_COLUMN, (SpineClass.POSTERIOR,))
    )
    return _free_mm(column, posterior, _STEP_MM / 2)


def _free_mm(column: NDArray[np.float32], posterior: NDArray[np.float32], step_mm: float) -> Floats:
    """(n,) distance from the end of the column to the first posterior element behind it, in each row of (n, m) samples of both probabilities.

    Where a pedicle joins the body, neither class may reach one half, but both together do: only samples without bone count.
    """
    count = column.shape[1]
    bone = column + posterior > 0.5
    end = count - 1 - (column > 0.5)[:, ::-1].argmax(axis=1)
    behind = bone & (posterior > column) & (np.arange(count)[None] >= end[:, None])
    empty = np.cumsum(~bone, axis=1)
    rows = np.arange(len(column))
    found = (column > 0.5).any(axis=1) & behind.any(axis=1)
    return np.where(found, (empty[rows, behind.argmax(axis=1)] - empty[rows, end]) * step_mm, np.inf)
