"""Warnings about masks of hand-made bodies."""

import numpy as np
import pytest
from scene import axial_grid, axial_mask, boxes

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.muscle.implausible import cut_off, implausible
from lumbar.muscle.postprocess import clean
from lumbar.muscle.segment import MuscleNetwork, segment


def body(pixel_mm=1.0):
    """A back of one slice, 100 × 160 pixels: a body of 40 × 40 pixels in front of two multifidi, with erectors beside them."""
    labels = np.zeros((1, 100, 160), np.uint8)
    labels[0, 20:60, 60:100] = 7
    labels[0, 65:90, 20:50], labels[0, 65:90, 52:78], labels[0, 65:90, 82:108], labels[0, 65:90, 110:140] = 1, 2, 3, 4
    return labels, Grid(np.zeros((1, 3)), [0, pixel_mm, 0], [pixel_mm, 0, 0], 100, 160)


def test_a_plausible_body_is_not_warned_of():
    labels, grid = body()
    assert implausible(labels, grid) == []
    assert cut_off(labels, grid) == []


def test_muscles_in_front_of_the_body_are_reported():
    labels, grid = body()
    assert "in front of the vertebral body" in " ".join(implausible(np.ascontiguousarray(labels[:, ::-1]), grid))


@pytest.mark.parametrize(("pixel_mm", "area"), [(0.5, "400 mm²"), (2.0, "6400 mm²")])
def test_a_body_that_none_has_points_to_the_pixel_size(pixel_mm, area):
    labels, grid = body(pixel_mm)
    assert f"measures {area}" in " ".join(implausible(labels, grid))
    assert "pixel size" in " ".join(implausible(labels, grid))


def test_a_muscle_at_the_edge_of_the_image_is_reported():
    labels, _ = body()
    narrow = Grid(np.zeros((1, 3)), [0, 1.0, 0], [1.0, 0, 0], 100, 125)
    found = cut_off(labels[:, :, :125], narrow)
    assert len(found) == 1
    assert "left erector spinae is cut off" in found[0]
    assert any("is cut off" in warning for warning in clean(np.ascontiguousarray(labels[:, :, :125]), narrow)[1])


def test_an_image_of_one_value_is_refused():
    grid = axial_grid()
    with pytest.raises(InputError, match="every voxel of the image has the value 7"):
        segment(Volume(np.full(grid.shape, 7, np.int16), grid), MuscleNetwork(lambda images: images, 1.0))


def test_implausible_muscles_are_reported():
    grid = axial_grid()
    labels = axial_mask(grid).array.copy()
    labels[labels == 4] = 0
    labels[2][labels[2] == 1] = 0
    warnings = " ".join(clean(labels, grid)[1])
    assert "no left erector spinae" in warnings
    assert "right erector spinae jumps" in warnings
    assert "sides of the erector spinae differ" in warnings


def test_a_leak_is_reported():
    grid = Grid(np.arange(3)[:, None] * [0.0, 0, 4], [0, 1.0, 0], [1.0, 0, 0], 120, 220)
    labels = np.asarray(boxes(grid).array).copy()
    assert "leaked" not in " ".join(implausible(labels, grid))
    comb = labels.copy()
    comb[1, :, 10:50] = 0
    comb[1, 5:110:4, 10:50] = 1  # teeth of one pixel
    assert any("outline too long" in warning and "right erector spinae" in warning for warning in implausible(comb, grid))
    flood = labels.copy()
    flood[1, :, 60:130] = 2
    assert any("larger than such a muscle can be" in warning and "right multifidus" in warning for warning in implausible(flood, grid))
