"""Components and voxels of masks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def largest_component(mask: NDArray[np.bool_], structure: NDArray[Any] | None = None) -> NDArray[np.bool_]:
    """The largest connected component of `mask`; the mask itself where it has none or one.

    Args:
        mask: of any number of axes.
        structure: which neighbours are connected, as `scipy.ndimage.label` takes it; by default those that share a face.
    """
    parts, count = ndimage.label(mask, structure=structure)
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])) if count > 1 else mask


def voxels_by_label(labels: NDArray[Any]) -> dict[int, NDArray[np.int64]]:
    """Indices (n, axes) of the voxels of each label above 0 that occurs in the whole numbers `labels`, in the order of the array."""
    boxes = {value: box for value, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None}
    return {value: np.argwhere(labels[box] == value) + [part.start for part in box] for value, box in boxes.items()}
