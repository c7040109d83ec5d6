"""Connected components of masks."""

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
