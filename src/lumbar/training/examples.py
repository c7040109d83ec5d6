"""One labelled image: the common form of all segmentation data sets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORED = 255  # label of uncertain pixels, which the loss ignores


@dataclass(frozen=True)
class LabelledSlice:
    """A sagittal image with its reference classes, both as rows × columns on the same pixel grid.

    Rows run from head to foot and columns from front to back, whatever the source did.
    """

    patient: str  # data sets are split by patient, never by image
    image: NDArray[np.float32]  # (rows, columns), any intensity scale
    labels: NDArray[np.uint8]  # (rows, columns), classes or IGNORED
    pixel_mm: float  # square pixels
