"""What a network says of an image looked at both ways round."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lumbar.muscle.labels import MIRRORED

FloatImage = NDArray[np.float32]


def both_ways(image: FloatImage, look: Callable[[FloatImage], FloatImage]) -> FloatImage:
    """Mean of the probabilities (5, rows, columns) of `image` (rows, columns) and of its mirror image, whose sides are changed back."""
    straight, mirrored = look(image), look(np.ascontiguousarray(image[:, ::-1]))
    return np.asarray((straight + mirrored[list(MIRRORED)][:, :, ::-1]) / 2, np.float32)
