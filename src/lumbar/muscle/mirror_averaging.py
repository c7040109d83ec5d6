"""What a network says of a picture looked at both ways round."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lumbar.muscle.labels import MIRRORED

Picture = NDArray[np.float32]


def both_ways(picture: Picture, look: Callable[[Picture], Picture]) -> Picture:
    """Mean of the probabilities (5, rows, columns) of `picture` (rows, columns) and of its mirror image, whose sides are changed back."""
    straight, mirrored = look(picture), look(np.ascontiguousarray(picture[:, ::-1]))
    return np.asarray((straight + mirrored[list(MIRRORED)][:, :, ::-1]) / 2, np.float32)
