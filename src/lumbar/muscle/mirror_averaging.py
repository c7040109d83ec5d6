"""Mirror test-time augmentation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lumbar.muscle.labels import MIRRORED

FloatImage = NDArray[np.float32]


def mirror_averaged(image: FloatImage, look: Callable[[FloatImage], FloatImage]) -> FloatImage:
    """Mean of the probabilities (5, rows, columns) of `image` (rows, columns) and of its mirror image, with sides swapped back."""
    straight, mirrored = look(image), look(np.ascontiguousarray(image[:, ::-1]))
    return np.asarray((straight + mirrored[list(MIRRORED)][:, :, ::-1]) / 2, np.float32)
