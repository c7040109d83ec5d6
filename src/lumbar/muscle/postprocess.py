"""Post-processing of raw labels: one component per muscle on the correct side."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Side
from lumbar.domain.geometry import Grid
from lumbar.muscle.implausible import cut_off, implausible
from lumbar.muscle.labels import LABELS, MIRRORED, PSOAS_LEFT, PSOAS_RIGHT, VERTEBRA

_ACROSS_MM = 6.0  # extent of a muscle across the midline above which it is relabelled to the other side
_MOVED_SHARE = 0.02  # of all muscle voxels: a larger relabelled share is reported
_RIVAL = 0.1  # a second component of at least this fraction of the largest may be the muscle
_NEAR_MM = 10.0  # weight of a component falls by e over this distance from the multifidus of its side
_PARTNER = {1: 2, 2: 0, 3: 0, 4: 3, VERTEBRA: 0, PSOAS_RIGHT: VERTEBRA, PSOAS_LEFT: VERTEBRA}  # the adjacent structure of each muscle; 0: none
_ORDER = (2, 3, 1, 4, VERTEBRA, PSOAS_RIGHT, PSOAS_LEFT)  # each after its partner


def clean(labels: NDArray[np.uint8], grid: Grid) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Labels (slices, rows, columns) on the axial `grid` with each muscle on its side, as one component without holes; and warnings."""
    window = _window(labels)
    inner, moved = _onto_their_sides(labels[window], grid)
    warnings = []
    if moved > _MOVED_SHARE:
        warnings.append(f"{100 * moved:.0f} % of the muscle voxels were on the wrong side of the midline and were relabelled; inspect the mask")
    whole = np.zeros_like(inner)
    for label in _ORDER:
        piece = _main_piece(inner == label, whole == _PARTNER[label], grid)
        for image in piece:
            _fill_holes(image)
        whole[piece & (whole == 0)] = label
    out = np.zeros_like(labels)
    out[window] = whole
    return out, (*warnings, *implausible(whole, grid), *cut_off(out, grid))


def _fill_holes(image: NDArray[np.bool_]) -> None:
    """Fill the holes of a mask (rows, columns) in place, within its bounding box, which is a small part of the image."""
    for box in ndimage.find_objects(image.astype(np.int8)):
        image[box] = ndimage.binary_fill_holes(image[box])


def _window(labels: NDArray[np.uint8]) -> tuple[slice, slice, slice]:
    """All slices, and the rows and columns with a label, as muscles cover a small part of the image."""
    seen = labels.any(axis=0)
    found = np.argwhere(seen) if seen.any() else np.array([[0, 0]])
    low, high = found.min(axis=0), found.max(axis=0) + 1
    return slice(None), slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _onto_their_sides(labels: NDArray[np.uint8], grid: Grid) -> tuple[NDArray[np.uint8], float]:
    """Labels with voxels far across the midline relabelled to the other side, and the relabelled share of muscle voxels."""
    muscle = np.isin(labels, tuple(LABELS))
    total = int(muscle.sum())
    slices = np.flatnonzero(muscle.any(axis=(1, 2)))
    if not total or len(slices) == 0:
        return labels, 0.0
    columns = np.arange(labels.shape[2])
    step = abs(float(grid.column_step_mm[0])) or 1.0
    # Columns run to the patient's left. The midline best separates right from left labels; it is smoothed across slices.
    middles = np.array([_parting(labels[k]) for k in slices])
    middles = ndimage.median_filter(middles, min(7, len(middles)), mode="nearest")
    out = labels.copy()
    for k, middle in zip(slices, middles, strict=True):
        over = (columns - middle) * step
        wrong = np.zeros(labels.shape[1:], bool)
        for label, (_, side) in LABELS.items():
            beyond = over > _ACROSS_MM if side is Side.RIGHT else over < -_ACROSS_MM
            wrong |= (labels[k] == label) & beyond
        out[k][wrong] = np.array(MIRRORED, np.uint8)[labels[k][wrong]]
    return out, float((out != labels).sum()) / total


def _parting(labels: NDArray[np.uint8]) -> float:
    """The column with most right labels before and most left labels behind it; the middle of all such columns."""
    right = np.isin(labels, [label for label, (_, side) in LABELS.items() if side is Side.RIGHT]).sum(axis=0)
    left = np.isin(labels, [label for label, (_, side) in LABELS.items() if side is Side.LEFT]).sum(axis=0)
    agreed = np.concatenate([[0], np.cumsum(right)]) + np.concatenate([np.cumsum(left[::-1])[::-1], [0]])
    best = np.flatnonzero(agreed == agreed.max())
    return float(best[0] + best[-1]) / 2 - 0.5


def _main_piece(mask: NDArray[np.bool_], partner: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """The largest component; of several large ones that adjacent to `partner`, as organs may be mistaken for the erector spinae."""
    box = next(iter(ndimage.find_objects(mask.astype(np.int8))), None)
    if box is None:
        return mask
    pieces = np.zeros(mask.shape, np.int32)
    pieces[box], count = ndimage.label(mask[box])
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel()).astype(np.float64)
    sizes[0] = 0
    rivals = np.flatnonzero(sizes >= _RIVAL * sizes.max())
    if len(rivals) > 1 and partner.any() and not partner.all():
        away_mm = ndimage.distance_transform_edt(~partner, sampling=[step or 1.0 for step in grid.spacing_mm])
        sizes[rivals] *= np.exp(-ndimage.minimum(away_mm, pieces, rivals) / _NEAR_MM)
        sizes[np.setdiff1d(np.arange(len(sizes)), rivals)] = 0
    return np.asarray(pieces == sizes.argmax())
