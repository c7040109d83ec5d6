"""The curved mid-sagittal plane: in each row it passes through the middle of the canal and, where the spine is turned against the slices, of the bodies.

One image therefore shows a scoliotic spine, and its bodies are measured in their own sagittal plane.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Points
from lumbar.errors import InputError
from lumbar.imaging.components import largest_component
from lumbar.spine.row_turns import RowTurns, row_turns
from lumbar.spine.segment import PIXEL_MM, Segmentation

_SPREAD_MM = 3.0  # standard deviation of the slice weights around the middle
_WIDEST_MM = 22.0  # a canal is no wider; wider regions (fat mislabelled as canal) must not outweigh it
_OFF_CENTRE_MM = 25.0  # standard deviation of the spine's distance from the middle of the stack
_CANAL_HALF_MM = 9.0  # half the transverse width of the canal, as a standard deviation
_BEND_MM = 14.0  # standard deviation of the rows around, over which the path is smoothed: scoliosis has no shorter bends
_BEHIND_CANAL_MM = 8.0  # depth of bodies and discs behind a canal pixel from which on it is a vessel in front of the column
_SAME_DEPTH_MM = 20.0  # from front to back, between parts of one canal in the same row
_LARGE_PART = 0.3  # of the largest part
_LEAST_SPREAD_MM = 3.0  # of rows along the canal (standard deviation) from which on they tell its slope
_ROUNDS = 8  # of following the canal: it is found slice by slice where it crosses many
_FEWEST_ROWS_MM = 60.0  # shorter segments are not taken for a spine


@dataclass(frozen=True, eq=False)
class Midplane:
    """Curved plane with the rows of the segmentation's grid, and its columns unless it is turned."""

    slice_of_row: NDArray[np.float64]  # (rows,) fractional slice index of the middle of the canal
    probabilities: NDArray[np.float32]  # (classes, rows, columns)
    labels: NDArray[np.uint8]  # (rows, columns)
    image: NDArray[np.float32]  # (rows, columns)
    segmentation: Segmentation
    turns: RowTurns | None = None  # None: each row lies within one slice, or between two
    s1: NDArray[np.float32] | None = None  # (rows, columns) probability of S1 below its strip; None: the network does not know it

    def points_mm(self, rows_columns: NDArray[np.float64]) -> Points:
        """LPS points (..., 3) of fractional (row, column) positions (..., 2) of this plane."""
        return self.segmentation.grid.points_mm(_places(self.slice_of_row, rows_columns, self.turns, self.segmentation))


def find_midplane(segmentation: Segmentation) -> Midplane:
    """The plane through the middle of the canal, or of the vertebral bodies where no canal was found.

    Raises:
        InputError: the volume shows no spine.
    """
    path = _middle_slices(segmentation)
    turns = row_turns(segmentation, path)
    rows, columns = segmentation.labels.shape[1:]
    places = _places(path, np.moveaxis(np.indices((rows, columns)), 0, -1).astype(float), turns, segmentation)

    def section(values: NDArray[np.float16]) -> NDArray[np.float32]:
        return _straight_section(path, values, segmentation) if turns is None else _turned_section(path, turns, places, values, segmentation)

    probabilities = section(segmentation.probabilities)
    s1 = None if segmentation.s1 is None else section(segmentation.s1[:, None])[0]
    image = ndimage.map_coordinates(segmentation.image.array, np.moveaxis(places, -1, 0), order=1, mode="nearest")
    return Midplane(path, probabilities, probabilities.argmax(axis=0).astype(np.uint8), image.astype(np.float32), segmentation, turns, s1)


def _places(path: NDArray[np.float64], rows_columns: NDArray[np.float64], turns: RowTurns | None, segmentation: Segmentation) -> NDArray[np.float64]:
    """(slice, row, column) in the volume (..., 3) of fractional (row, column) positions (..., 2) in the plane."""
    if turns is not None:
        return turns.places(path, rows_columns, segmentation.grid.spacing_mm[0] / PIXEL_MM)
    along = np.interp(rows_columns[..., 0], np.arange(len(path)), path)
    return np.concatenate([along[..., None], rows_columns], axis=-1)


def _middle_slices(segmentation: Segmentation) -> NDArray[np.float64]:
    """(rows,) fractional slice index of the middle of the canal.

    Lateral slices show vessels and fat that resemble a canal. The search therefore starts at the slice with most canal beside discs, weighted towards the
    middle of the stack, and is continued from there.
    """
    slices, rows, _ = segmentation.labels.shape
    if slices == 1:
        return np.zeros(rows)
    amount = _canal_amount(segmentation)
    used = np.flatnonzero(amount.sum(axis=0) > 0)
    if used.size * PIXEL_MM < _FEWEST_ROWS_MM:
        raise InputError(
            "no lumbar spine was found in the sagittal slices; check that the series shows the lumbar spine and that its header gives the correct orientation"
        )
    between = max(segmentation.grid.spacing_mm[0], 1e-6)
    place_mm = np.arange(slices) * between
    total = ndimage.gaussian_filter1d(amount.sum(axis=1), 5.0 / between, mode="constant")
    start = np.argmax(total * np.exp(-0.5 * ((place_mm - place_mm.mean()) / _OFF_CENTRE_MM) ** 2))
    path_mm = np.full(rows, place_mm[start])
    for _ in range(_ROUNDS):
        near = amount * np.exp(-0.5 * ((place_mm[:, None] - path_mm) / _CANAL_HALF_MM) ** 2)
        path_mm = np.interp(np.arange(rows), used, _local_lines(near.sum(axis=0), place_mm @ near)[used])
    return np.asarray(np.clip(path_mm / between, 0, slices - 1))


def _local_lines(weights: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows,) value at each row of the line fitted to the places of the rows around it (local linear regression, Gaussian kernel).

    A mean of the rows around would lag behind at the ends, where all of them lie on one side: by up to 14 mm where the canal crosses the slices obliquely.

    Args:
        weights: (rows,) amount of canal in each row.
        moments: (rows,) sum of amount × place in mm.
    """
    at_mm = np.arange(len(weights)) * PIXEL_MM

    def around(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter1d(values, _BEND_MM / PIXEL_MM, mode="constant"))

    total, first, second = (around(weights * at_mm**k) for k in range(3))
    total = np.maximum(total, 1e-9)
    centre_mm, place_mm = first / total, around(moments) / total
    spread = np.maximum(second / total - centre_mm**2, 0)
    slope = (around(moments * at_mm) / total - centre_mm * place_mm) / (spread + _LEAST_SPREAD_MM**2)
    return np.asarray(place_mm + slope * (at_mm - centre_mm))


def _canal_amount(segmentation: Segmentation) -> NDArray[np.float64]:
    """(slices, rows) amount of canal behind the column in each row, counted near discs only; amount of column where hardly any canal was found.

    Large vessels in front of the column resemble a canal, and gut in front of them a column.
    """
    column = np.isin(segmentation.labels, (SpineClass.BODY, SpineClass.DISC))
    discs = ndimage.gaussian_filter1d((segmentation.labels == SpineClass.DISC).sum(axis=2).astype(float), 30 / PIXEL_MM, axis=1)
    behind_mm = np.cumsum(column[:, :, ::-1], axis=2)[:, :, ::-1] * PIXEL_MM
    canal = (segmentation.labels == SpineClass.CANAL) & (behind_mm < _BEHIND_CANAL_MM)
    canal = _without_vessels(canal, segmentation.grid.spacing_mm[0]).sum(axis=2).astype(float)
    amount = np.minimum(canal, _WIDEST_MM / PIXEL_MM) * discs
    amount[:, ~largest_component(column, np.ones((3, 3, 3))).any(axis=(0, 2))] = 0
    if np.count_nonzero(amount.sum(axis=0)) * PIXEL_MM < _FEWEST_ROWS_MM:
        amount = column.sum(axis=2).astype(float)
    return np.asarray(amount)


def _without_vessels(canal: NDArray[np.bool_], between_mm: float) -> NDArray[np.bool_]:
    """Pixels (slices, rows, columns) that lie as far back as the hindmost of the large connected parts, in the rows of that part.

    Where the network misses the column beside the middle, a vessel in front of it has no column behind it either.
    """
    parts, count = ndimage.label(canal, np.ones((3, 3, 3)))
    if not count:
        return canal
    away_mm = (np.arange(len(canal)) - (len(canal) - 1) / 2) * between_mm
    central = np.exp(-0.5 * (away_mm / _OFF_CENTRE_MM) ** 2)
    places = np.nonzero(parts)
    sizes = np.bincount(parts[places], central[places[0]])
    depths = np.bincount(parts[places], places[2]) / np.maximum(np.bincount(parts[places]), 1)
    main = parts == np.argmax(np.where(sizes >= _LARGE_PART * sizes.max(), depths, -1))
    per_row = main.sum(axis=(0, 2))
    columns = np.arange(canal.shape[2])
    middle = (main.sum(axis=0) @ columns) / np.maximum(per_row, 1)
    same = (np.abs(columns - middle[:, None]) * PIXEL_MM <= _SAME_DEPTH_MM) | (per_row == 0)[:, None]
    return np.asarray(canal & same)


def _straight_section(path: NDArray[np.float64], values: NDArray[np.float16], segmentation: Segmentation) -> NDArray[np.float32]:
    """(classes, rows, columns) mean of `values` (slices, classes, rows, columns) of the slices around the path."""
    return np.asarray(np.einsum("rs,scrk->crk", _weights(path, segmentation), values, dtype=np.float32, optimize=False))


def _turned_section(
    path: NDArray[np.float64], turns: RowTurns, places: NDArray[np.float64], values: NDArray[np.float16], segmentation: Segmentation
) -> NDArray[np.float32]:
    """The same around a turned section, at its `places` (rows, columns, 3) in the volume: first in the columns of the volume, then between them."""
    away_mm = (np.arange(segmentation.grid.columns) - turns.pivot[:, None]) * PIXEL_MM
    slices = path[:, None] + away_mm * np.tan(turns.radians)[:, None] / segmentation.grid.spacing_mm[0]
    mean = np.einsum("rks,scrk->crk", _weights(slices, segmentation), values, dtype=np.float32, optimize=False)
    at = np.moveaxis(places[..., 1:], -1, 0)
    return np.asarray([ndimage.map_coordinates(one, at, order=1, mode="nearest") for one in mean], dtype=np.float32)


def _weights(slices: NDArray[np.float64], segmentation: Segmentation) -> NDArray[np.float32]:
    """Weights (..., slices) around fractional slice indices (...); they sum to 1 for each."""
    between = max(segmentation.grid.spacing_mm[0], 1e-6)
    distance = (np.arange(segmentation.labels.shape[0]) - slices[..., None]) * between
    weights = np.exp(-0.5 * (distance / max(_SPREAD_MM, between / 2)) ** 2)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float32)
