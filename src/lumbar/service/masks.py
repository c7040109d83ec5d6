"""Uploaded masks, compared with those of the result."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lumbar.errors import GeometryError, UnreadableInput
from lumbar.imaging.same_grid import on_grid
from lumbar.io.nifti import read_nifti_mask
from lumbar.muscle.labels import MASK_LABELS
from lumbar.spine.spine_map import MASK_CANAL, MASK_DISC, MASK_VERTEBRA

_SPINE = (0, MASK_VERTEBRA, MASK_DISC, MASK_CANAL)


def changed_voxels(path: Path, original: Path, mask: str) -> int:
    """Number of voxels of the mask at `path` that differ from those of the result's mask at `original`.

    Raises:
        UnreadableInput: it is not a mask, or holds values that `mask` does not have.
        GeometryError: it is on another grid.
    """
    load: Any = nib.load  # nibabel's type has no shape
    try:
        shape = load(path).shape  # before anything is unpacked
    except Exception as error:  # a damaged header raises nearly anything
        raise UnreadableInput(f"the mask is not a NIfTI file ({type(error).__name__})") from None
    before = read_nifti_mask(original)
    if tuple(shape) != tuple(load(original).shape):
        raise GeometryError(f"the mask has {' × '.join(map(str, shape))} voxels, unlike the mask of the result; download that mask and edit it")
    after = on_grid(read_nifti_mask(path), before.grid)
    if after is None:
        raise GeometryError("the mask is not on the grid of the mask of the result; download that mask and edit it")
    allowed = _SPINE if mask == "spine" else (0, *MASK_LABELS)
    odd = sorted(set(np.unique(after.array).tolist()) - set(allowed))
    if odd:
        raise UnreadableInput(f"the mask holds the value {odd[0]:g}; allowed are {', '.join(map(str, allowed))}")
    return int((after.array != before.array).sum())
