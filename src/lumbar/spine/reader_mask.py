"""A segmentation with the outlines corrected by a reader: changed voxels take the reader's labels, all others keep the network's probabilities."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, UnreadableInput
from lumbar.imaging.same_grid import on_grid
from lumbar.spine.segment import Segmentation
from lumbar.spine.spine_map import MASK_CANAL, MASK_DISC, MASK_VERTEBRA, SpineMap, map_segmentation, tissue_mask

_VERTEBRAL = (SpineClass.BODY, SpineClass.POSTERIOR, SpineClass.SACRUM)  # one value in the mask
_TOUCHED = 0.02  # share of changed voxels, interpolated at a voxel of the network's grid, above which the reader's labels replace the network's


def redrawn(spine: SpineMap, given: Volume, weighting: Weighting, lowest_level: Level | None = None) -> tuple[SpineMap, int]:
    """The spine measured again on the reader's outlines, and the number of voxels that the reader changed.

    Args:
        spine: as the network segmented it.
        given: values of `masks/spine.nii.gz` on the grid of the series.
        weighting: of the series.
        lowest_level: name of the lowest disc, if a reader gave it.

    Raises:
        GeometryError: the mask lies on another grid.
        UnreadableInput: it holds other values.
        InputError: it shows fewer than two discs.
    """
    before = tissue_mask(spine)
    after = on_grid(given, before.grid)
    if after is None:
        raise GeometryError("the mask of the spine lies on another grid than the series in which the spine was found; change the mask of the result itself")
    check_values(after, (MASK_VERTEBRA, MASK_DISC, MASK_CANAL), "spine")
    changed = after.array != before.array
    if not changed.any():
        return spine, 0
    segmentation = _with_changes(spine.segmentation, after, changed)
    return map_segmentation(segmentation, spine.plane, weighting, lowest_level), int(changed.sum())


def check_values(mask: Volume, allowed: tuple[int, ...], name: str) -> None:
    """Refuse masks with other values.

    Raises:
        UnreadableInput: there are some.
    """
    odd = sorted(set(np.unique(mask.array).tolist()) - {0, *allowed})
    if odd:
        raise UnreadableInput(f"the mask of the {name} holds the value {odd[0]:g}; allowed are 0, {', '.join(map(str, allowed))}")


def _with_changes(network: Segmentation, after: Volume, changed: NDArray[np.bool_]) -> Segmentation:
    grid = network.grid
    touched = _sampled(changed, after.grid, grid) > _TOUCHED
    drawn = np.zeros(network.probabilities.shape, dtype=np.float32)
    kind = _vertebral_kind(network.labels, grid)
    vertebra = _sampled(after.array == MASK_VERTEBRA, after.grid, grid)
    for one in _VERTEBRAL:
        drawn[:, one] = np.where(kind == one, vertebra, 0)
    drawn[:, SpineClass.DISC] = _sampled(after.array == MASK_DISC, after.grid, grid)
    drawn[:, SpineClass.CANAL] = _sampled(after.array == MASK_CANAL, after.grid, grid)
    drawn[:, SpineClass.BACKGROUND] = np.clip(1 - drawn.sum(axis=1), 0, 1)
    probabilities = np.where(touched[:, None], drawn, network.probabilities).astype(np.float16)
    labels = probabilities.argmax(axis=1).astype(np.uint8)
    added = None if network.added is None else np.where(touched | (labels != SpineClass.BACKGROUND), 0, network.added).astype(np.uint8)
    foramen = None if network.foramen is None else np.where(touched, 0, network.foramen).astype(np.float16)
    s1 = None if network.s1 is None else np.where(touched, 0, network.s1).astype(np.float16)
    return replace(network, probabilities=probabilities, labels=labels, added=added, foramen=foramen, s1=s1)


def _vertebral_kind(labels: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    """Vertebral class nearest to each voxel in the network's labels."""
    known = np.isin(labels, _VERTEBRAL)
    if not known.any():
        return np.full(labels.shape, SpineClass.BODY, dtype=np.uint8)
    nearest = ndimage.distance_transform_edt(~known, sampling=[max(value, 1e-3) for value in grid.spacing_mm], return_distances=False, return_indices=True)
    return np.asarray(labels[tuple(nearest)])


def _sampled(mask: NDArray[np.bool_], source: Grid, target: Grid) -> NDArray[np.float32]:
    """Shares of `mask` (on `source`) on the grid `target`, by linear interpolation."""
    out = np.empty(target.shape, dtype=np.float32)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in target.shape), indexing="ij"), axis=-1)
    shares = mask.astype(np.float32)
    for k in range(target.shape[0]):
        points = source.indices(target.points_mm(index[k]))
        out[k] = ndimage.map_coordinates(shares, np.moveaxis(points, -1, 0), order=1, mode="nearest")
    return out
