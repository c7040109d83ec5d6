"""Instance labels of vertebrae and discs: assigned in the midplane and propagated outwards slice by slice.

Instances are numbered from head to foot in the order of the chain: disc `i` is `1 + i`, the body above it is `101 + i`, and the body below the last
disc, or the upper strip of the sacrum, is `101 + n`.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.chain import Chain
from lumbar.spine.column import Column
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM

FIRST_BODY = 101
_DISC_REACH_MM = 13.0  # along the column from a disc's peak to its farthest pixels: a wedge-shaped disc is tilted against the centre line
_STEP_REACH_MM = 3.0  # largest growth of an outline from one slice to the next: bodies and discs do not widen towards the side
_HALF_WIDTH_MM = 28.0  # no lumbar body or disc reaches further to the side
_FEWEST_PIXELS = 12

Labels = NDArray[np.uint8]


def midplane_instances(midplane: Midplane, column: Column, chain: Chain) -> Labels:
    """(rows, columns) instance numbers of the midplane's pixels; 0 elsewhere."""
    out = np.zeros(midplane.labels.shape, dtype=np.uint8)
    if not chain.discs:
        return out
    peaks = np.array([disc.along_mm for disc in chain.discs])
    along = column.along_mm
    disc = column.mask & (midplane.labels == SpineClass.DISC)
    nearest = np.abs(along[disc][:, None] - peaks).argmin(axis=1)
    reached = np.abs(along[disc] - peaks[nearest]) <= _DISC_REACH_MM
    out[disc] = np.where(reached, 1 + nearest, 0)
    body = column.mask & (midplane.labels == SpineClass.BODY)
    out[body] = FIRST_BODY + np.searchsorted(peaks, along[body])
    out = _by_majority(out, body)
    if chain.sacrum_mm is not None:  # body labels below the lowest disc belong to the sacrum, but not to its upper strip
        out[out == FIRST_BODY + len(peaks)] = 0
        out[column.mask & (midplane.labels == SpineClass.SACRUM) & (along > peaks[-1])] = FIRST_BODY + len(peaks)
    return out


def _by_majority(instances: Labels, body: NDArray[np.bool_]) -> Labels:
    """Assign a connected body to one instance if nearly all its pixels have it; corners of a tilted body reach past the middle of a disc."""
    parts, count = ndimage.label(body)
    for part, place in enumerate(ndimage.find_objects(parts), start=1):
        inside = parts[place] == part
        numbers = np.bincount(instances[place][inside])
        if count and numbers.max() >= 0.85 * inside.sum():
            instances[place][inside] = numbers.argmax()
        elif inside.sum() < _FEWEST_PIXELS:
            instances[place][inside] = 0
    return instances


def volume_instances(midplane: Midplane, flat: Labels) -> Labels:
    """(slices, rows, columns) instance numbers on the segmentation's grid."""
    labels = midplane.segmentation.labels
    aside_mm = np.abs(np.arange(len(labels))[:, None] - midplane.slice_of_row) * midplane.segmentation.grid.spacing_mm[0]
    labels = np.where(aside_mm[:, :, None] <= _HALF_WIDTH_MM, labels, SpineClass.BACKGROUND)
    rows, columns = _frame(flat, midplane.labels.shape)
    out = np.zeros(labels.shape, dtype=np.uint8)
    for kind in (SpineClass.DISC, SpineClass.BODY, SpineClass.SACRUM):
        seeds = np.where(midplane.labels == kind, flat, 0)
        out[:, rows, columns] += _propagated(labels[:, rows, columns] == kind, seeds[rows, columns], midplane.slice_of_row[rows])
    return out


def _frame(flat: Labels, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns around the column, with a margin for structures that bulge beside the midplane."""
    found = np.argwhere(flat > 0)
    if not len(found):
        return slice(0, shape[0]), slice(0, shape[1])
    margin = round(25 / PIXEL_MM)
    low, high = found.min(axis=0) - margin, found.max(axis=0) + margin
    return slice(max(int(low[0]), 0), int(high[0])), slice(max(int(low[1]), 0), int(high[1]))


def _propagated(mask: NDArray[np.bool_], seeds: Labels, path: NDArray[np.float64]) -> Labels:
    """Each voxel of `mask` with the nearest instance in the previous slice, starting from the midplane."""
    own = np.abs(np.arange(len(mask))[:, None] - path[None]) <= 0.75
    out = np.where(mask & own[:, :, None], seeds[None], 0).astype(np.uint8)
    for order in (range(1, len(mask)), range(len(mask) - 2, -1, -1)):
        step = order.step
        for k in order:
            todo = mask[k] & (out[k] == 0)
            before = np.where(out[k] > 0, out[k], out[k - step])
            if todo.any() and before.any():
                distance, nearest = ndimage.distance_transform_edt(before == 0, return_indices=True)
                found = todo & (distance * PIXEL_MM <= _STEP_REACH_MM)
                out[k][found] = before[nearest[0][found], nearest[1][found]]
    return out
