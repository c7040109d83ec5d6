"""The size of a foramen from a network that labels neural foramina, in the plane of the pedicles between the slices.

In a row of samples, space is free where a foramen is more likely than bone. A foramen is the connected space behind the disc: its height ends where the free
space between the column and the posterior elements is closed by a pedicle. Slices 4 mm apart seldom show the axis of the pedicles: the plane is
interpolated at their middle, which is estimated from the bone that they show in each slice.

The limits were chosen on 51 phantoms of all sites and on 800 slices of RSNA 2024 (`recipes/spine/foramina_grades.py --tuning`); docs/reference/measurements.md
has the figures on others.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.spine.foramen_window import COLUMN_MM, ROW_MM, ROWS_MM, Floats, Foramen, Samples, Window

ASIDE_MM = (3.0, 36.0)  # distance from the midplane: slices beside the pedicles are needed for the interpolation
_PEDICLES_MM = (8.0, 30.0)  # where the middle of a pedicle may lie
_ONE_PEDICLE_MM = 9.0  # from the slice that shows most of it: further off, bone is not of the same pedicle
_MEDIAL_MM = 0.9  # the upper pedicle, whose axis is meant, lies medial of the middle of both: pedicles move apart downwards
_SEAM_MM = 6.0  # behind the column: where a pedicle must bridge it
_LEAST_BONE = 0.15  # least probability of bone on this way in a pedicle
_LEAST_SHOWN_MM = 2.0  # height of a pedicle, weighted by that probability, in the slice that shows most of it
_NOT_THE_DISC_MM = 3.0  # pedicles lie above and below the middle of the disc by more than this
_FARTHEST_MM = 28.0  # and by no more than this
_LEAST_FORAMEN = 0.15  # probability of a foramen
_BEHIND_DISC_MM = 14.0  # above and below its middle: the foramen is the largest space there
_LEAST_MM2 = 10.0
_MARGIN_MM = 1.0  # background between the foramen and the bone on both sides, that counts as free
_CLOSED_MM = 1.5  # largest gap between column and posterior elements that counts as a pedicle
_TO_PEDICLE_MM = 4.0  # from the end of the foramen to the pedicle that bounds it
_PLAUSIBLE_HEIGHT_MM = (6.0, 32.0)
_SHARPNESS = 3.0  # of the soft border between foramen and bone: samples are partly free from one third to two thirds of bone
_NEITHER = 1e-3  # less foramen and bone than this is background, which is free


def foramen_between(aside_mm: Floats, windows: list[Window]) -> Foramen | None:
    """The foramen in the plane of its pedicles; None where the slices do not show both, or the plane shows no closed foramen.

    Args:
        aside_mm: (n,) distance of each slice from the midplane, ascending.
        windows: of these slices, with the foramina.
    """
    place = pedicles_mm(aside_mm, windows)
    if place is None:
        return None
    after = int(np.clip(np.searchsorted(aside_mm, place), 1, len(windows) - 1))
    share = float(np.clip((place - aside_mm[after - 1]) / (aside_mm[after] - aside_mm[after - 1]), 0, 1))
    return foramen_of(windows[after - 1].mixed(windows[after], share))


def pedicles_mm(aside_mm: Floats, windows: list[Window]) -> float | None:
    """Distance of the axis of the upper pedicle from the midplane; None where the slices do not show both pedicles."""
    if len(windows) < 2:
        return None
    bridges = np.array([_bridge(window) for window in windows])
    bridges[bridges <= _LEAST_BONE] = 0
    places = []
    for above in (True, False):
        away = -ROWS_MM if above else ROWS_MM
        shown = bridges[:, (away > _NOT_THE_DISC_MM) & (away <= _FARTHEST_MM)].sum(axis=1) * ROW_MM
        shown[(aside_mm < _PEDICLES_MM[0]) | (aside_mm > _PEDICLES_MM[1])] = 0
        if shown.max() < _LEAST_SHOWN_MM:
            return None
        shown[np.abs(aside_mm - aside_mm[shown.argmax()]) > _ONE_PEDICLE_MM] = 0
        places.append(float(shown @ aside_mm / shown.sum()))
    return float(np.mean(places)) - _MEDIAL_MM


def foramen_of(window: Window) -> Foramen | None:
    """The foramen in one plane; None where there is none, or no pedicle closes it above or below."""
    own = _space(window)
    if own is None:
        return None
    widths = _widths(window, own)
    runs, count = ndimage.label(widths > _CLOSED_MM)
    if not count:
        return None
    longest = 1 + int(np.argmax(ndimage.sum_labels(own.sum(axis=1), runs, np.arange(1, count + 1))))
    rows = np.flatnonzero(runs == longest)
    top, foot = int(rows[0]), int(rows[-1])
    if top == 0 or foot == len(widths) - 1 or not _bounded(window, top, foot):
        return None
    beyond = sum((widths[end] - _CLOSED_MM) / (widths[end] - widths[out]) for end, out in ((top, top - 1), (foot, foot + 1)))
    height = float(foot - top + beyond) * ROW_MM
    if not _PLAUSIBLE_HEIGHT_MM[0] <= height <= _PLAUSIBLE_HEIGHT_MM[1]:
        return None
    inside = widths[rows]
    edge = round(0.15 * len(inside))
    width = float(ndimage.median_filter(inside, 3, mode="nearest")[edge : len(inside) - edge].min())
    return Foramen(height, width, float(inside.sum() * ROW_MM))


def _space(window: Window) -> NDArray[np.bool_] | None:
    """Samples of the largest connected space behind the disc where a foramen is more likely than bone."""
    assert window.foramen is not None
    parts, count = ndimage.label((window.foramen > window.bone) & (window.foramen > _LEAST_FORAMEN))
    if not count:
        return None
    sizes = np.bincount(parts[np.abs(ROWS_MM) <= _BEHIND_DISC_MM].ravel(), minlength=count + 1)[1:]
    return np.asarray(parts == 1 + sizes.argmax()) if sizes.max() * ROW_MM * COLUMN_MM >= _LEAST_MM2 else None


def _widths(window: Window, own: NDArray[np.bool_]) -> Floats:
    """(rows,) free width: between column and posterior elements, but no more than the foramen itself with its margin; 0 beside it."""
    assert window.foramen is not None
    free = np.clip(0.5 + _SHARPNESS * (0.5 - _share_of_bone(window)), 0, 1)
    rim = ndimage.binary_dilation(own, iterations=3) & (window.foramen > _LEAST_FORAMEN / 3)
    foramen = np.where(rim, free, 0).sum(axis=1) * COLUMN_MM + _MARGIN_MM
    end, seen = window.end_of_column()
    columns = np.arange(own.shape[1])
    behind = (window.bone > window.foramen) & (window.posterior > window.column) & (columns >= end[:, None])
    start = behind.argmax(axis=1)
    between = np.where((columns > end[:, None]) & (columns <= start[:, None]), free, 0).sum(axis=1) * COLUMN_MM
    between[~(seen & behind.any(axis=1))] = np.inf
    return np.where(own.any(axis=1), np.minimum(between, foramen), 0)


def _share_of_bone(window: Window) -> Samples:
    """(rows, columns) bone as a share of bone and foramen."""
    assert window.foramen is not None
    return np.asarray(window.bone / np.maximum(window.bone + window.foramen, _NEITHER))


def _bridge(window: Window) -> Floats:
    """(rows,) least probability of bone on the way from the end of the column to behind the seam of a pedicle; 0 where there is no column."""
    end, seen = window.end_of_column()
    way = np.minimum(end[:, None] + np.arange(round(_SEAM_MM / COLUMN_MM)), window.column.shape[1] - 1)
    bone = ndimage.uniform_filter1d(np.take_along_axis(window.bone, way, axis=1), 5, axis=1)
    return np.where(seen, np.clip(bone.min(axis=1), 0, 1), 0)


def _bounded(window: Window, top: int, foot: int) -> bool:
    """Whether a pedicle lies above the first and below the last row of a foramen."""
    bridge, near = _bridge(window), round(_TO_PEDICLE_MM / ROW_MM)
    return bool(bridge[max(top - near, 0) : top + 1].max() >= _LEAST_BONE and bridge[foot : foot + near + 1].max() >= _LEAST_BONE)
