"""A spine that runs out of its stack of slices is noticed; one within it, or a stack too thin to tell, is not."""

import numpy as np
import pytest

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM, Segmentation
from lumbar.spine.stack_edge import leaves_stack

ROWS = 200


def midplane(path: np.ndarray, slices: int) -> Midplane:
    grid = Grid(np.arange(slices)[:, None] * np.array([4.0, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, 8)
    empty = np.zeros((slices, ROWS, 8), np.uint8)
    segmentation = Segmentation(Volume(empty.astype(np.float32), grid), np.zeros((slices, len(SpineClass), ROWS, 8), np.float16), empty, grid)
    return Midplane(path, np.zeros((len(SpineClass), ROWS, 8), np.float32), empty[0], np.zeros((ROWS, 8), np.float32), segmentation)


@pytest.mark.parametrize("end", [-1, 9])
def test_a_canal_that_reaches_the_first_or_the_last_slice_leaves_the_stack(end: int) -> None:
    path = np.clip(np.linspace(4.5, end * 1.5, ROWS), 0, 9)

    assert leaves_stack(midplane(path, 10), (20.0, 180.0))


def test_a_curve_within_the_stack_does_not() -> None:
    path = 4.5 + 3.5 * np.sin(np.linspace(0, np.pi, ROWS))

    assert not leaves_stack(midplane(path, 10), (20.0, 180.0))


def test_rows_above_and_below_the_discs_do_not_count() -> None:
    path = np.full(ROWS, 4.5)
    path[:40] = 0

    assert not leaves_stack(midplane(path, 10), (50.0, 180.0))


def test_three_slices_do_not_tell() -> None:
    assert not leaves_stack(midplane(np.zeros(ROWS), 3), (20.0, 180.0))
