"""What the network gets to see of a volume."""

import numpy as np

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane
from lumbar.domain.volume import Volume
from lumbar.spine.segment import PIXEL_MM, segment

ROWS, COLUMNS = 320, 288


def volume(slices: int = 9) -> Volume:
    grid = Grid(np.arange(slices)[:, None] * np.array([4.0, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    return Volume(np.random.default_rng(0).normal(100, 10, grid.shape).astype(np.float32), grid)


def network_that_sees(rows: slice, columns: slice, shapes: list[tuple[int, ...]]):
    """Finds a body at one place of whole images and notes how large the images are that it is shown."""

    def run(images):
        shapes.append(images.shape)
        logits = np.full((len(images), len(SpineClass), *images.shape[2:]), -9.0, np.float32)
        logits[:, SpineClass.BACKGROUND] = 0
        if images.shape[2:] == (ROWS, COLUMNS):
            logits[:, SpineClass.BODY, rows, columns] = 9
        return logits

    return run


def test_only_the_frame_around_the_spine_is_shown_of_the_outer_slices():
    shapes: list[tuple[int, ...]] = []
    found = segment(volume(), network_that_sees(slice(60, 260), slice(100, 190), shapes), Plane.SAGITTAL)
    assert sum(shape[0] for shape in shapes) == 9  # every slice once
    assert sum(shape[0] for shape in shapes if shape[2:] == (ROWS, COLUMNS)) == 3  # the middle ones whole
    rows, columns = shapes[-1][2:]
    margin = 2 * 24 / PIXEL_MM
    assert 200 + margin <= rows < 200 + margin + 48 and 90 + margin <= columns < 90 + margin + 48
    assert (found.labels[3:6, 60:260, 100:190] == SpineClass.BODY).all()
    assert not found.labels[0].any()  # what the frame leaves out is background
    assert np.allclose(found.probabilities.sum(axis=1), 1, atol=2e-3)


def test_where_the_middle_shows_little_every_slice_is_shown_whole():
    shapes: list[tuple[int, ...]] = []
    segment(volume(), network_that_sees(slice(100, 130), slice(100, 130), shapes), Plane.SAGITTAL)
    assert {shape[2:] for shape in shapes} == {(ROWS, COLUMNS)}


def test_one_slice_is_enough():
    shapes: list[tuple[int, ...]] = []
    found = segment(volume(1), network_that_sees(slice(60, 260), slice(100, 190), shapes), Plane.SAGITTAL)
    assert shapes == [(1, 1, ROWS, COLUMNS)]
    assert found.labels.shape == (1, ROWS, COLUMNS)
