"""The parts of a volume that are passed to the network."""

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


def recording_network(rows: slice, columns: slice, shapes: list[tuple[int, ...]]):
    """A stand-in that finds a body at one position of whole images and records the shapes of its inputs."""

    def run(images):
        shapes.append(images.shape)
        logits = np.full((len(images), len(SpineClass), *images.shape[2:]), -9.0, np.float32)
        logits[:, SpineClass.BACKGROUND] = 0
        if images.shape[2:] == (ROWS, COLUMNS):
            logits[:, SpineClass.BODY, rows, columns] = 9
        return logits

    return run


def test_outer_slices_are_cropped_around_the_spine():
    shapes: list[tuple[int, ...]] = []
    found = segment(volume(), recording_network(slice(60, 260), slice(100, 190), shapes), Plane.SAGITTAL)
    assert sum(shape[0] for shape in shapes) == 9  # every slice once
    assert sum(shape[0] for shape in shapes if shape[2:] == (ROWS, COLUMNS)) == 3  # the middle ones whole
    rows, columns = shapes[-1][2:]
    margin = 2 * 24 / PIXEL_MM
    assert 200 + margin <= rows < 200 + margin + 48 and 90 + margin <= columns < 90 + margin + 48
    assert (found.labels[3:6, 60:260, 100:190] == SpineClass.BODY).all()
    assert not found.labels[0].any()  # what the frame leaves out is background
    assert np.allclose(found.probabilities.sum(axis=1), 1, atol=2e-3)


def test_all_slices_are_whole_if_the_middle_ones_show_little():
    shapes: list[tuple[int, ...]] = []
    segment(volume(), recording_network(slice(100, 130), slice(100, 130), shapes), Plane.SAGITTAL)
    assert {shape[2:] for shape in shapes} == {(ROWS, COLUMNS)}


def test_one_slice_is_enough():
    shapes: list[tuple[int, ...]] = []
    found = segment(volume(1), recording_network(slice(60, 260), slice(100, 190), shapes), Plane.SAGITTAL)
    assert shapes == [(1, 1, ROWS, COLUMNS)]
    assert found.labels.shape == (1, ROWS, COLUMNS)
