"""The straightened spinal column: each pixel of the midplane is assigned a position along the column's centre line.

Discs and bodies alternate along that line, so they are detected in one-dimensional profiles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from lumbar.domain.anatomy import SpineClass
from lumbar.errors import InputError
from lumbar.spine.midplane import Midplane
from lumbar.spine.peaks import find_peaks
from lumbar.spine.segment import PIXEL_MM

_STEP_MM = 0.5  # of the profiles along the column
_HALF_WIDTH_MM = 11.0  # of the strip around the centre line over which profiles are averaged
_LEAST_SACRUM_MM2 = 60.0
_COLUMN_CLASSES = (SpineClass.BODY, SpineClass.DISC, SpineClass.SACRUM)


@dataclass(frozen=True, eq=False)
class Column:
    """Profiles along the spinal column, from head to foot, in steps of half a millimetre."""

    line: NDArray[np.float64]  # (n, 2) row, column of the centre line at each step
    along_mm: NDArray[np.float32]  # (rows, columns) position of every pixel along the line
    mask: NDArray[np.bool_]  # (rows, columns) pixels of the column
    profiles: NDArray[np.float64]  # (classes, n) mean probabilities around the line

    def point(self, along_mm: float) -> NDArray[np.float64]:
        """(row, column) of the centre line at a position along it."""
        return self.line[int(np.clip(round(along_mm / _STEP_MM), 0, len(self.line) - 1))]


@dataclass(frozen=True)
class DiscPeak:
    """A position along the column where disc is more probable than bone."""

    along_mm: float
    strength: float  # height of the disc profile, 0 to 1


def straighten(midplane: Midplane) -> Column:
    """The straightened column of the midplane.

    Raises:
        InputError: the midplane shows no column of vertebrae and discs.
    """
    mask = _column_mask(midplane)
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size * PIXEL_MM < 60:
        raise InputError(
            "fewer than 60 mm of spinal column were found; check that the series shows the lumbar spine and that its header gives the correct orientation"
        )
    line = _centre_line(mask, rows)
    distance, nearest = cKDTree(line).query(np.indices(mask.shape).reshape(2, -1).T, distance_upper_bound=60 / PIXEL_MM)
    nearest = np.minimum(nearest, len(line) - 1)
    along = (nearest * _STEP_MM).reshape(mask.shape).astype(np.float32)
    near = (distance.reshape(mask.shape) * PIXEL_MM <= _HALF_WIDTH_MM) & _beside(nearest.reshape(mask.shape), len(line))
    index = nearest.reshape(mask.shape)[near]
    count = np.maximum(np.bincount(index, minlength=len(line)), 1)
    profiles = np.stack([np.bincount(index, weights=p[near], minlength=len(line)) / count for p in midplane.probabilities])
    return Column(line, along, mask, ndimage.gaussian_filter1d(profiles, 1.0 / _STEP_MM, axis=1, mode="nearest"))


def _beside(nearest: NDArray[np.intp], count: int) -> NDArray[np.bool_]:
    """Pixels beside the line; pixels beyond its ends are nearest to an end point."""
    return (nearest > 0) & (nearest < count - 1)


def _column_mask(midplane: Midplane) -> NDArray[np.bool_]:
    """The connected component of bodies, discs and sacrum with the largest area just in front of the canal."""
    mask = np.isin(midplane.labels, _COLUMN_CLASSES)
    joined = ndimage.binary_dilation(mask, iterations=round(2.0 / PIXEL_MM))
    parts, count = ndimage.label(joined)
    if count == 0:
        return mask
    canal = midplane.labels == SpineClass.CANAL
    to_canal = ndimage.distance_transform_edt(~canal) * PIXEL_MM if canal.any() else np.zeros(mask.shape)
    score = np.bincount(parts.ravel(), weights=(mask & (to_canal < 40)).ravel())
    score[0] = 0
    return np.asarray(mask & (parts == np.argmax(score)))


def _centre_line(mask: NDArray[np.bool_], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Centre of the mask in every row, smoothed over about one vertebra and resampled to equal steps."""
    every = np.arange(rows[0], rows[-1] + 1)
    middle = np.array([np.median(np.flatnonzero(mask[r])) if mask[r].any() else np.nan for r in every])
    seen = np.isfinite(middle)
    middle = np.interp(every, every[seen], middle[seen])
    width = 12.0 / PIXEL_MM
    padded = np.pad(middle, int(3 * width), mode="reflect", reflect_type="odd")
    smooth = ndimage.gaussian_filter1d(padded, width)[int(3 * width) : -int(3 * width)]
    points = np.stack([every, smooth], axis=1).astype(float)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]) * PIXEL_MM
    steps = np.arange(0, length[-1], _STEP_MM)
    return np.stack([np.interp(steps, length, points[:, k]) for k in range(2)], axis=1)


def disc_peaks(column: Column) -> list[DiscPeak]:
    """Candidate discs from head to foot."""
    profile = column.profiles[SpineClass.DISC]
    peaks = find_peaks(profile, height=0.25, distance=10 / _STEP_MM, prominence=0.2)
    return [DiscPeak(float(p) * _STEP_MM, float(profile[p])) for p in peaks]


def sacrum_start_mm(column: Column, midplane: Midplane) -> float | None:
    """Upper end of the sacrum along the column, or None if it is out of view; a corner of it at the image border suffices."""
    seen = column.mask & (midplane.labels == SpineClass.SACRUM)
    parts, count = ndimage.label(seen)
    if not count:
        return None
    areas = np.bincount(parts.ravel())[1:] * PIXEL_MM**2
    if areas.max() < _LEAST_SACRUM_MM2:
        return None
    return float(np.percentile(column.along_mm[parts == 1 + np.argmax(areas)], 5))
