"""Slices with their neighbours, the input of spine networks that see three slices at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FARTHEST_MM = 8.0  # a slice further away is no neighbour


def neighbour_step(apart_mm: float, between_mm: float) -> int:
    """Number of slices from a slice to its neighbour, about `apart_mm` away, in a stack with slices `between_mm` apart; 0 if the next slice is too far away."""
    step = max(1, round(apart_mm / max(between_mm, 1e-6)))
    return step if step * between_mm <= FARTHEST_MM else 0


def in_context(image_of: Callable[[int], NDArray[np.float32]], number: int, count: int, step: int) -> NDArray[np.float32]:
    """(3, rows, columns) slice `number` of a stack of `count` between its neighbours, zeros where there is none.

    Args:
        image_of: the standardized image of a slice.
        number: the slice.
        count: number of slices of the stack.
        step: as `neighbour_step` gives it.
    """
    own = image_of(number)
    channels = np.zeros((3, *own.shape), dtype=np.float32)
    channels[1] = own
    for channel, other in ((0, number - step), (2, number + step)):
        if step and 0 <= other < count:
            channels[channel] = image_of(other)
    return channels
