"""Axial turn of the column against the slices in each row, from where the canal lies behind bodies and discs.

A sagittal section holds for the front-back axis of a vertebra. Where a spine is rotated, as in scoliosis, or a patient lies turned, the slices cross that axis
obliquely, and the section has to be turned with the spine (recipes/spine/scoliosis.py).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.segment import PIXEL_MM, Segmentation

_NEAR_MM = 6.0  # to either side of the section: where the canal is looked for
_DEPTH_MM = 45.0  # in front of the canal: no body or disc is deeper
_ASIDE_MM = 32.0  # to either side of the section: no body or disc is wider
_LEAST_DEPTH_MM = 15.0  # of bodies or discs in a row
_LEAST_BEHIND_MM = 8.0  # from the middle of a body to the canal
_WIDE_SHARE = 0.5  # of the largest depth in a slice of the row: slices with less lie beside the column
_FEWEST_SLICES = 6
_ROWS_MM = 3.0  # standard deviation of the rows over which masks are averaged
_BEND_MM = 15.0  # the same for turns: about half of a vertebra
_PIVOT_MM = 8.0  # the same for the middle of the canal
_LEAST_WEIGHT = 0.25  # share of the rows around whose turn is known; elsewhere that of the nearest such row is used
# Below 6° nothing is turned and from 10° on everything: single turns are off by 3° (standard deviation), and measurements by less than their error up to 8°.
_RAMP_DEGREES = (6.0, 10.0)


@dataclass(frozen=True, eq=False)
class RowTurns:
    """How a section is turned about the middle of the canal, row by row."""

    radians: NDArray[np.float64]  # (rows,) positive if the front lies in lower slices than the canal, on the patient's right
    pivot: NDArray[np.float64]  # (rows,) column of the middle of the canal

    def places(self, slice_of_row: NDArray[np.float64], rows_columns: NDArray[np.float64], pixels_per_slice: float) -> NDArray[np.float64]:
        """(slice, row, column) in the volume (..., 3) of fractional (row, column) places (..., 2) in the section, turned about the canal at `slice_of_row`."""
        rows, column = rows_columns[..., 0], rows_columns[..., 1]
        numbers = np.arange(len(slice_of_row))
        radians, pivot, middle = (np.interp(rows, numbers, values) for values in (self.radians, self.pivot, slice_of_row))
        away = column - pivot
        return np.stack([middle + away * np.sin(radians) / pixels_per_slice, rows, pivot + away * np.cos(radians)], axis=-1)


@dataclass(frozen=True, eq=False)
class _Column:
    """Bodies and discs in front of the canal, row by row."""

    sideways_mm: NDArray[np.float64]  # (rows,) from the canal to the middle of the column, towards higher slices
    behind_mm: NDArray[np.float64]  # (rows,) from the middle of the column back to the canal
    skew_mm2: NDArray[np.float64]  # (rows,) covariance of the places of its voxels, towards higher slices and to the front
    oblong_mm2: NDArray[np.float64]  # (rows,) by how much their variance from side to side exceeds that from front to back
    whole: NDArray[np.bool_]  # (rows,) where the slices show its whole width


def row_turns(segmentation: Segmentation, slice_of_row: NDArray[np.float64]) -> RowTurns | None:
    """How the section through the middle of the canal has to be turned to pass through the middle of bodies and discs; None where the slices do so already.

    Apart from that of a plane that is not turned (`_lean`), the turn is estimated twice: from where the canal lies behind the column, and from the
    principal axes of the column. Where both have the same direction the smaller one is taken, otherwise none, as each alone is off by 3 to 5°.
    """
    pivot = _canal_columns(segmentation, slice_of_row)
    if len(segmentation.labels) < _FEWEST_SLICES or pivot is None:
        return None
    column = _column(segmentation, slice_of_row, pivot)
    weight = _around(column.whole)
    sure = weight > _LEAST_WEIGHT
    if not sure.any():
        return None
    sideways, behind, skew, oblong = (
        _around(np.where(column.whole, v, 0))[sure] / weight[sure] for v in (column.sideways_mm, column.behind_mm, column.skew_mm2, column.oblong_mm2)
    )
    lean = _lean(segmentation, slice_of_row, pivot)
    by_canal = -sideways / np.maximum(behind, _LEAST_BEHIND_MM) - lean[sure]
    by_axes = np.tan(np.arctan2(2 * skew, np.maximum(oblong, 1e-6)) / 2)
    agreed = np.where(by_canal * by_axes > 0, np.sign(by_canal) * np.minimum(np.abs(by_canal), np.abs(by_axes)), 0)
    degrees = np.degrees(np.arctan(np.interp(np.arange(len(sure)), np.flatnonzero(sure), agreed) + lean))
    low, high = _RAMP_DEGREES
    turned = degrees * np.clip((np.abs(degrees) - low) / (high - low), 0, 1)
    return RowTurns(np.radians(turned), pivot) if turned.any() else None


def _lean(segmentation: Segmentation, slice_of_row: NDArray[np.float64], pivot: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows,) sideways millimetres per millimetre to the front, towards lower slices, in a plane that is not turned against the spine.

    Where the canal runs sideways and backwards, as at L5/S1 in a tilted stack, the front of a disc lies lower than the canal behind it, in rows in which the
    canal has moved on.
    """
    sideways, back = np.gradient(slice_of_row) * segmentation.grid.spacing_mm[0] / PIXEL_MM, np.gradient(pivot)
    return np.asarray(sideways * back / (1 + back**2))


def _around(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """(rows,) sum of values over the rows around, with weights that sum to 1."""
    return np.asarray(ndimage.gaussian_filter1d(values.astype(np.float64), _BEND_MM / PIXEL_MM, mode="constant"))


def _canal_columns(segmentation: Segmentation, slice_of_row: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(rows,) column of the middle of the canal near the section; None where there is no canal."""
    rows, columns = segmentation.labels.shape[1:]
    near = _aside_mm(segmentation, slice_of_row) <= _NEAR_MM
    canal = ((segmentation.labels == SpineClass.CANAL) & near[:, :, None]).sum(axis=0)
    seen = canal.any(axis=1)
    if not seen.any():
        return None
    middle = (canal @ np.arange(columns))[seen] / canal.sum(axis=1)[seen]
    every = np.interp(np.arange(rows), np.flatnonzero(seen), middle)
    return np.asarray(ndimage.gaussian_filter1d(every, _PIVOT_MM / PIXEL_MM, mode="nearest"))


def _column(segmentation: Segmentation, slice_of_row: NDArray[np.float64], pivot: NDArray[np.float64]) -> _Column:
    """The column of bodies and discs in front of the canal, whose columns are `pivot`."""
    gap = segmentation.grid.spacing_mm[0]
    count, rows, columns = segmentation.labels.shape
    front_mm = (pivot[:, None] - np.arange(columns)) * PIXEL_MM
    mask = np.isin(segmentation.labels, (SpineClass.BODY, SpineClass.DISC)) & ((front_mm > 0) & (front_mm < _DEPTH_MM))
    mask &= (_aside_mm(segmentation, slice_of_row) <= _ASIDE_MM)[:, :, None]
    per_slice, per_column = mask.sum(axis=2).astype(float), mask.sum(axis=0).astype(float)
    pixels = np.maximum(per_slice.sum(axis=0), 1)
    place_mm = (np.arange(count)[:, None] - slice_of_row) * gap
    aside, forward = (place_mm * per_slice).sum(axis=0) / pixels, (front_mm * per_column).sum(axis=1) / pixels
    forward_sum = np.stack([(image * front_mm).sum(axis=1) for image in mask])
    skew = (place_mm * forward_sum).sum(axis=0) / pixels - aside * forward
    wide_mm2 = (place_mm**2 * per_slice).sum(axis=0) / pixels - aside**2 + gap**2 / 12
    deep_mm2 = (front_mm**2 * per_column).sum(axis=1) / pixels - forward**2
    depths = ndimage.gaussian_filter1d(per_slice, _ROWS_MM / PIXEL_MM, axis=1)
    largest, number = depths.max(axis=0), np.arange(rows)
    wide = depths > _WIDE_SHARE * largest
    first, last = wide.argmax(axis=0), count - 1 - wide[::-1].argmax(axis=0)
    whole = (first > 0) & (last < count - 1) & (last - first + 1 >= _FEWEST_SLICES) & (largest * PIXEL_MM > _LEAST_DEPTH_MM) & (forward > _LEAST_BEHIND_MM)
    middle_mm = (place_mm[first, number] + place_mm[last, number]) / 2
    return _Column(middle_mm, forward, skew, wide_mm2 - deep_mm2, whole)


def _aside_mm(segmentation: Segmentation, slice_of_row: NDArray[np.float64]) -> NDArray[np.float64]:
    """(slices, rows) distance from the section."""
    return np.abs(np.arange(len(segmentation.labels))[:, None] - slice_of_row) * segmentation.grid.spacing_mm[0]
