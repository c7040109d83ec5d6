"""Invalid pairs: other scales, other grids, swapped images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import axial_grid, axial_mask, dixon

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.muscle.fat.dixon import grey_step, pair, scale_in_sum, swapped

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
    assert found.checked == (not masked)
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


@settings(max_examples=20, deadline=None)
@given(st.floats(0.4, 2.5), st.floats(0.3, 3.0), st.integers(0, 99))
def test_the_in_phase_image_gives_the_scale_of_fat_against_water(scale, of_sum, seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 3, (3, *GRID.shape)).astype(np.float32)
    total = of_sum * (WATER.array + FAT.array) + noise[0]
    found = scale_in_sum(WATER.array + noise[1], np.float32(scale) * (FAT.array + noise[2]), total)
    assert found == pytest.approx(scale, rel=0.05)


def test_an_image_that_is_no_sum_of_water_and_fat_gives_no_scale():
    assert scale_in_sum(WATER.array, FAT.array, np.abs(WATER.array - FAT.array)) is None
    assert scale_in_sum(WATER.array, FAT.array, np.random.default_rng(0).normal(500, 100, GRID.shape).astype(np.float32)) is None
    assert scale_in_sum(WATER.array, 2 * WATER.array, 3 * WATER.array) is None


def test_slices_that_were_stretched_one_by_one_are_reported():
    rng = np.random.default_rng(2)
    grid = Grid(np.arange(8)[:, None] * np.array([0, 0, 4.0]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), 64, 64)
    gain = rng.uniform(0.5, 1.5, (8, 1, 1))
    water, fat = (gain * rng.normal(mean, 60, (8, 64, 64)).clip(1) for mean in (500, 400))
    assert not pair(Volume(water.astype(np.float32), grid), Volume(fat.astype(np.float32), grid)).mismatch
    stretched = fat / fat.max(axis=(1, 2), keepdims=True) * 4000
    assert "scaled on its own" in pair(Volume(water.astype(np.float32), grid), Volume(stretched.astype(np.float32), grid)).mismatch
    clipped = fat.clip(0, np.quantile(fat, 0.9))
    assert not pair(Volume(water.astype(np.float32), grid), Volume(clipped.astype(np.float32), grid)).mismatch
