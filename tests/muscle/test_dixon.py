"""Invalid pairs: other scales, other grids, swapped images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import axial_grid, axial_mask, dixon

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.muscle.fat.dixon import grey_step, pair, swapped

GRID = axial_grid()
MASK = axial_mask(GRID)
WATER, FAT = dixon(GRID, MASK, {1: 0.1, 2: 0.3, 3: 0.25, 4: 0.05})


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 40))
def test_step_of_scaled_whole_numbers_is_found(step):
    values = np.random.default_rng(0).integers(0, 2000, (4, 50, 50)) * step
    assert grey_step(values.astype(np.float32)) == pytest.approx(step, rel=1e-3)


def test_continuous_values_have_no_step():
    assert grey_step(np.random.default_rng(0).normal(500, 100, (4, 50, 50)).astype(np.float32)) is None


def test_a_valid_pair_has_no_warnings():
    assert pair(WATER, FAT).warnings == ()
    assert swapped(WATER.array, FAT.array, MASK.array > 0) == ()


def test_rescaling_of_one_image_is_reported():
    assert "rescaled" in pair(WATER, Volume(FAT.array * np.float32(1.549), GRID)).warnings[0]
    noise = np.random.default_rng(0).uniform(0.9, 1.1, GRID.shape).astype(np.float32)
    assert "times as bright" in pair(Volume(WATER.array * noise, GRID), Volume(FAT.array * noise * 20, GRID)).warnings[0]


@pytest.mark.parametrize(("scale", "loud"), [(1.0, False), (1.16, True), (0.86, True), (1.5, True), (1.03, False)])
@pytest.mark.parametrize("masked", [False, True])
def test_noise_in_air_tells_of_a_small_rescaling(scale, loud, masked):
    """A disc of tissue in air, with the noise of magnitude images; the noise of both images is equal before one is rescaled."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[-64:64, -64:64]
    body = np.hypot(rows, columns) < 45
    grid = axial_grid()
    grid = Grid(grid.origins_mm[:6], grid.row_step_mm, grid.column_step_mm, 128, 128)
    images = []
    for signal in (300.0, 900.0):
        noise = rng.normal(0, 8, (2, 6, 128, 128))
        image = np.hypot(signal * body * rng.uniform(0.2, 1, (6, 1, 1)) + noise[0], noise[1])
        images.append((image * body if masked else image).astype(np.float32))
    found = pair(Volume(images[0], grid), Volume(images[1] * np.float32(scale), grid))
    assert bool(found.doubt) == (loud and not masked)
    assert not found.mismatch


def test_another_origin_is_paired_and_reported():
    moved = Grid(GRID.origins_mm + np.array([100.0, 0, 0]), GRID.row_step_mm, GRID.column_step_mm, GRID.rows, GRID.columns)
    found = pair(WATER, Volume(FAT.array, moved))
    assert (found.array == FAT.array).all()
    assert "100.0 mm apart" in found.warnings[0]


def test_other_voxels_are_rejected():
    coarse = Grid(GRID.origins_mm, GRID.row_step_mm * 2, GRID.column_step_mm, GRID.rows, GRID.columns)
    with pytest.raises(GeometryError, match="one grid"):
        pair(WATER, Volume(FAT.array, coarse))
    short = Grid(GRID.origins_mm[1:], GRID.row_step_mm, GRID.column_step_mm, GRID.rows, GRID.columns)
    with pytest.raises(GeometryError, match="one grid"):
        pair(WATER, Volume(FAT.array[1:], short))


def test_swaps_are_reported():
    assert "exchange the two images" in swapped(FAT.array, WATER.array, MASK.array > 0)[0]
    water, fat = WATER.array.copy(), FAT.array.copy()
    water[2], fat[2] = FAT.array[2], WATER.array[2]
    assert "1 of 4 slices" in swapped(water, fat, MASK.array > 0)[0]


def test_a_fatty_muscle_is_not_a_swap():
    water, fat = dixon(GRID, MASK, {1: 0.6, 2: 0.7, 3: 0.65, 4: 0.6})
    assert swapped(water.array, fat.array, MASK.array > 0) == ()
