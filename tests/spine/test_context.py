"""Networks that see a slice between its neighbours, and networks with more classes than the product uses."""

import numpy as np
import pytest

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane
from lumbar.domain.volume import Volume
from lumbar.spine.context import in_context, neighbour_step
from lumbar.spine.network import SpineNetwork
from lumbar.spine.segment import PIXEL_MM, segment

ROWS, COLUMNS = 160, 128


def stack(between_mm: float, count: int) -> Volume:
    """Slices that differ in their pattern: slice k has a bright bar in rows 8 k to 8 k + 7."""
    grid = Grid(np.arange(count)[:, None] * np.array([between_mm, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    array = np.zeros(grid.shape, np.float32)
    for k in range(count):
        array[k, 8 * k : 8 * k + 8] = 100
    return Volume(array, grid)


def bars_seen(volume: Volume) -> list[tuple[int | None, ...]]:
    """For each call of the network: the slice in each channel by the place of its bar, None for a channel of zeros."""
    seen = []

    def run(images):
        for image in images:
            seen.append(tuple(int(channel.mean(axis=1).argmax()) // 8 if channel.any() else None for channel in image))
        logits = np.zeros((len(images), len(SpineClass), *images.shape[2:]), np.float32)
        logits[:, SpineClass.BACKGROUND] = 9
        return logits

    segment(volume, SpineNetwork(run, 4.0), Plane.SAGITTAL)
    return sorted(seen, key=lambda channels: channels[1] or 0)


def test_every_slice_is_seen_between_its_neighbours():
    assert bars_seen(stack(4.4, 4)) == [(None, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, None)]


def test_in_a_fine_stack_the_neighbour_is_the_slice_nearest_to_4_mm():
    assert bars_seen(stack(2.0, 6)) == [(None, 0, 2), (None, 1, 3), (0, 2, 4), (1, 3, 5), (2, 4, None), (3, 5, None)]


def test_a_single_slice_and_slices_far_apart_have_no_neighbours():
    assert bars_seen(stack(4.0, 1)) == [(None, 0, None)]
    assert bars_seen(stack(9.0, 3)) == [(None, 0, None), (None, 1, None), (None, 2, None)]


@pytest.mark.parametrize(("between", "step"), [(1.0, 4), (2.0, 2), (3.0, 1), (4.4, 1), (6.0, 1), (8.1, 0), (np.inf, 0)])
def test_step_to_the_neighbour(between, step):
    assert neighbour_step(4.0, between) == step


def test_channels_are_in_the_order_of_the_slices():
    channels = in_context(lambda n: np.full((2, 3), n + 1.0, np.float32), 1, 3, 1)
    assert channels[:, 0, 0].tolist() == [1.0, 2.0, 3.0]


def test_classes_beyond_those_of_the_product_count_as_background():
    extra = len(SpineClass)

    def run(images):
        logits = np.full((len(images), extra + 2, *images.shape[2:]), -9.0, np.float32)
        logits[:, SpineClass.BODY] = 0.5
        logits[:, extra, :, :40] = 0.4  # these two together outweigh the body, each alone does not
        logits[:, extra + 1, :, :40] = 0.4
        return logits

    found = segment(stack(4.0, 1), run, Plane.SAGITTAL)
    assert found.probabilities.shape[1] == extra
    assert np.allclose(found.probabilities.sum(axis=1), 1, atol=2e-3)
    assert (found.labels[0, :, :40] == SpineClass.BACKGROUND).all()
    assert (found.labels[0, :, 40:] == SpineClass.BODY).all()
