"""One labelled picture: what every segmentation data set is turned into before training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IGNORED = 255  # label of pixels that nobody is sure of: they count neither for nor against


@dataclass(frozen=True)
class LabelledSlice:
    """A sagittal picture with its reference classes, both as rows × columns on the same pixel grid.

    Rows run from head to foot and columns from front to back, whatever the source did.
    """

    patient: str  # splits are made by this, never by picture
    image: NDArray[np.float32]  # (rows, columns), any intensity scale
    labels: NDArray[np.uint8]  # (rows, columns), classes or IGNORED
    pixel_mm: float  # square pixels
