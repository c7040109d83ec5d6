"""Mirror test-time augmentation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lumbar.muscle.labels import MIRRORED

FloatImage = NDArray[np.float32]


def both_ways(image: FloatImage, look: Callable[[FloatImage], FloatImage]) -> FloatImage:
    """(2 × networks, classes, rows, columns) probabilities of `image` (rows, columns), and those of its mirror image with the sides changed back."""
    straight, mirrored = look(image), look(np.ascontiguousarray(image[:, ::-1]))
    order = list(MIRRORED[: straight.shape[1]])
    return np.concatenate([straight, mirrored[:, order][..., ::-1]])
