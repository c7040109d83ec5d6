"""One axial slice as Dixon water and fat, of a person, a phantom or a drawing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
Labels = NDArray[np.uint8]

MUSCLE_GREY = 0.7  # median grey value of muscle water after scaling


@dataclass(frozen=True, eq=False)
class AxialSlice:
    """An image pair with its reference labels; rows run from front to back, columns from the patient's right to the left."""

    patient: str
    water: FloatImage  # (rows, columns), muscle near `MUSCLE_GREY`
    fat: FloatImage  # same scale as the water: a voxel of pure fat and one of pure water are about equally bright
    labels: Labels  # numbers of `muscle/labels.py`
    pixel_mm: float  # square pixels
