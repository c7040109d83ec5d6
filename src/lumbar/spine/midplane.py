"""The curved mid-sagittal plane: in every row the slice that runs through the middle of the canal, so that a scoliotic spine lies in one picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Points
from lumbar.errors import InputError
from lumbar.spine.segment import PIXEL_MM, Segmentation

_SPREAD_MM = 3.0  # standard deviation of the weights of slices beside the middle
_WIDEST_MM = 22.0  # a canal is no wider; what is (fat in the wrong contrast) must not outweigh it
_FEWEST_ROWS_MM = 60.0  # a shorter piece of spine is none


@dataclass(frozen=True, eq=False)
class Midplane:
    """Rows and columns are those of the segmentation's grid; only the slice changes from row to row."""

    slice_of_row: NDArray[np.float64]  # (rows,) fractional slice index
    probabilities: NDArray[np.float32]  # (classes, rows, columns)
    labels: NDArray[np.uint8]  # (rows, columns)
    picture: NDArray[np.float32]  # (rows, columns)
    segmentation: Segmentation

    def points_mm(self, rows_columns: NDArray[np.float64]) -> Points:
        """LPS points (..., 3) of fractional (row, column) positions (..., 2) of this plane."""
        rows = np.arange(len(self.slice_of_row))
        along = np.interp(rows_columns[..., 0], rows, self.slice_of_row)
        return self.segmentation.grid.points_mm(np.concatenate([along[..., None], rows_columns], axis=-1))


def find_midplane(segmentation: Segmentation) -> Midplane:
    """The plane through the middle of the canal, or of the vertebral bodies where no canal was found.

    Raises:
        InputError: there is no piece of spine in the volume.
    """
    path = _middle_slices(segmentation)
    weights = _weights(path, segmentation)
    probabilities = np.einsum("rs,scrk->crk", weights, segmentation.probabilities, dtype=np.float32, optimize=False)
    picture = np.stack([ndimage.map_coordinates(segmentation.picture.array[:, r], [[s] * segmentation.grid.columns, range(segmentation.grid.columns)],
                                                order=1, mode="nearest") for r, s in enumerate(path)])  # fmt: skip
    return Midplane(path, probabilities, probabilities.argmax(axis=0).astype(np.uint8), picture.astype(np.float32), segmentation)


def _middle_slices(segmentation: Segmentation) -> NDArray[np.float64]:
    slices, rows, _ = segmentation.labels.shape
    if slices == 1:
        return np.zeros(rows)
    column = np.isin(segmentation.labels, (SpineClass.BODY, SpineClass.DISC))
    column = _largest(column)
    # Discs in front of it tell the canal from other bright tubes: a slice without discs nearby is not near the middle.
    discs = ndimage.gaussian_filter1d((segmentation.labels == SpineClass.DISC).sum(axis=2).astype(float), 30 / PIXEL_MM, axis=1)
    canal = (segmentation.labels == SpineClass.CANAL).sum(axis=2).astype(float)
    amount = np.minimum(canal, _WIDEST_MM / PIXEL_MM) * discs
    amount[:, ~column.any(axis=(0, 2))] = 0
    if np.count_nonzero(amount.sum(axis=0)) * PIXEL_MM < _FEWEST_ROWS_MM:
        amount = column.sum(axis=2).astype(float)
    used = np.flatnonzero(amount.sum(axis=0) > 0)
    if used.size * PIXEL_MM < _FEWEST_ROWS_MM:
        raise InputError("no lumbar spine was found in the sagittal slices; is this series of the lumbar spine, and is its orientation header right?")
    sharp = amount[:, used] ** 2
    middle = (np.arange(slices)[:, None] * sharp).sum(axis=0) / sharp.sum(axis=0)
    return np.asarray(np.clip(_smooth_curve(used, middle, sharp.sum(axis=0), rows), 0, slices - 1))


def _smooth_curve(rows: NDArray[np.intp], values: NDArray[np.float64], weights: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """A cubic through `values`, refitted once without the rows that lie far from it; held constant beyond the rows used."""
    centre, scale = rows.mean(), max(float(np.ptp(rows)) / 2, 1.0)
    keep = np.ones(rows.size, dtype=bool)
    for _ in range(2):
        fit = np.polynomial.Polynomial.fit((rows[keep] - centre) / scale, values[keep], 3, w=np.sqrt(weights[keep]), domain=[-1, 1])
        residual = np.abs(fit((rows - centre) / scale) - values)
        keep = residual <= max(1.0, 2.5 * float(np.median(residual)))
    every = np.clip(np.arange(count), rows[0], rows[-1])
    return np.asarray(fit((every - centre) / scale))


def _weights(path: NDArray[np.float64], segmentation: Segmentation) -> NDArray[np.float32]:
    """(rows, slices) weights that sum to 1 in every row."""
    between = max(segmentation.grid.spacing_mm[0], 1e-6)
    distance = (np.arange(segmentation.labels.shape[0])[None] - path[:, None]) * between
    weights = np.exp(-0.5 * (distance / max(_SPREAD_MM, between / 2)) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return mask
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))
