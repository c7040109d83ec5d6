"""Fits of series of known displacement, and the correlation against one that is computed shift by shift."""

import numpy as np
import pytest
from scipy import ndimage

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.imaging.fit import Comparison, fit
from lumbar.imaging.raster import PIXEL_MM, Placed, Raster

FIELD_MM = 2.0  # voxels of the made-up anatomy
FIELD = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(70, 110, 110)), 3.0)
FIELD = ((FIELD - FIELD.min()) / np.ptp(FIELD) * 1000).astype(np.float32)


def image_of(grid: Grid, moved_mm: tuple[float, float, float] = (0, 0, 0)) -> Volume:
    """The image on `grid` after the patient, whose field begins at (-70, -110, -110) mm, moved by `moved_mm`."""
    points = grid.points_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - np.array(moved_mm)
    at = (points + np.array([70.0, 110.0, 110.0])) / FIELD_MM
    return Volume(ndimage.map_coordinates(FIELD, np.moveaxis(at, -1, 0), order=1, mode="nearest"), grid)


def sagittal(pixel_mm: float = 1.0, size: int = 160) -> Grid:
    origins = np.array([[x, -80.0, 80.0] for x in np.arange(-28, 29, 4.0)])
    return Grid(origins, np.array([0.0, 0, -pixel_mm]), np.array([0.0, pixel_mm, 0]), size, size)


def axial(pixel_mm: float = 1.0, size: int = 120) -> Grid:
    origins = np.array([[-60.0, -60.0, z] for z in np.arange(-50, 51, 4.0)])
    return Grid(origins, np.array([0.0, pixel_mm, 0]), np.array([pixel_mm, 0.0, 0]), size, size)


@pytest.mark.parametrize("moved", [(0.0, 0.0, 0.0), (6.0, -9.0, 18.0), (-7.5, 13.0, -31.0)])
def test_displacement_between_planes_is_found(moved):
    found = Comparison(Placed([image_of(sagittal())]).raster(), [image_of(axial(), moved)]).fit
    assert found is not None
    np.testing.assert_allclose(found.offset_mm, moved, atol=1.0)
    assert found.best > 0.8
    assert found.best - found.second > 0.2


def test_other_contrast_fits_by_its_edges():
    inverted = image_of(axial(), (0.0, 6.0, 12.0))
    found = Comparison(Placed([image_of(sagittal())]).raster(), [Volume(1000 - inverted.array, inverted.grid)]).fit
    assert found is not None
    np.testing.assert_allclose(found.offset_mm, (0.0, 6.0, 12.0), atol=1.5)


def test_fine_pixels_are_binned_to_the_same_raster():
    coarse, fine = Placed([image_of(axial())]).raster(), Placed([image_of(axial(0.3, 400))]).raster()
    assert coarse is not None
    assert fine is not None
    inside = (coarse.mask > 0) & (fine.mask > 0)
    assert np.abs(coarse.values - fine.values)[inside].max() < 0.03 * np.ptp(coarse.values[inside])


def test_series_of_different_places_have_no_fit():
    far = sagittal()
    assert Comparison(Placed([image_of(axial())]).raster(), [image_of(Grid(far.origins_mm + 500, far.row_step_mm, far.column_step_mm, 160, 160))]).fit is None


def test_correlation_is_the_one_computed_shift_by_shift():
    rng = np.random.default_rng(1)
    first, second = raster(rng, (9, 14, 12), (0, 0, 0)), raster(rng, (7, 8, 10), (2, 3, 1))
    found = fit(first, second)
    assert found is not None
    size = second.mask.sum()
    zero_count, here = by_hand(first, second, (0, 0, 0))
    assert found.overlap == pytest.approx(zero_count / size, abs=1e-5)
    assert found.here == pytest.approx(here, abs=1e-4)
    best = max(
        value
        for shift in np.ndindex(17, 31, 57)  # ± 24, 45 and 84 mm
        for count, value in [by_hand(first, second, tuple(np.array(shift) - (8, 15, 28)))]
        if count >= 0.4 * max(zero_count, 0.25 * size)
    )
    assert found.best == pytest.approx(best, abs=1e-4)


def raster(rng: np.random.Generator, shape: tuple[int, int, int], at: tuple[int, int, int]) -> Raster:
    mask = (rng.uniform(size=shape) < 0.9).astype(np.float32)
    return Raster((rng.normal(size=shape) * mask).astype(np.float32), mask, PIXEL_MM * np.array(at, float))


def by_hand(first: Raster, second: Raster, shift: tuple[int, ...]) -> tuple[float, float]:
    """Number of common voxels and correlation with `first` moved by `shift` voxels."""
    start = np.rint((second.corner_mm - first.corner_mm) / PIXEL_MM).astype(int) - np.array(shift)  # of the second, in voxels of the first
    low, high = np.maximum(start, 0), np.minimum(start + second.mask.shape, first.mask.shape)
    if (high <= low).any():
        return 0, 0.0
    a = tuple(slice(x, y) for x, y in zip(low, high, strict=True))
    b = tuple(slice(x, y) for x, y in zip(low - start, high - start, strict=True))
    both = (first.mask[a] > 0) & (second.mask[b] > 0)
    if both.sum() < 2:
        return int(both.sum()), 0.0
    return int(both.sum()), float(np.corrcoef(first.values[a][both], second.values[b][both])[0, 1])


def test_a_flipped_fit_is_the_fit_of_flipped_images():
    fixed, moving = Placed([image_of(sagittal())]).raster(), image_of(axial(), (3.0, 6.0, -9.0))
    compared = Comparison(fixed, [moving])
    for axis in range(3):
        by_images = Comparison(fixed, [Volume(np.flip(moving.array, axis), moving.grid)]).fit
        flipped = compared.flipped(axis)
        assert by_images is not None
        assert flipped is not None
        assert flipped.best == pytest.approx(by_images.best, abs=1e-3)
        np.testing.assert_allclose(flipped.offset_mm, by_images.offset_mm, atol=0.1)


def test_the_coarse_grid_tells_a_straight_series_from_a_flipped_one():
    fixed, straight = Placed([image_of(sagittal())]).raster(), image_of(axial())
    assert Comparison(fixed, [straight]).loses_by_flipping(2)
    assert not Comparison(fixed, [Volume(np.flip(straight.array, 2), straight.grid)]).loses_by_flipping(2)


def test_blocks_of_voxels_keep_their_places_on_the_coarse_grid():
    ramp = image_of(axial())
    points = ramp.grid.points_mm(np.moveaxis(np.indices(ramp.grid.shape), 0, -1))
    coarse = Placed([Volume(points.sum(axis=-1).astype(np.float32) + 500, ramp.grid)]).raster().coarse  # brightness x + y + z
    index = np.argwhere(coarse.mask > 0)
    inner = index[((index > 1) & (index < np.array(coarse.mask.shape) - 2)).all(axis=1)]
    places = coarse.corner_mm + coarse.pixel_mm * inner
    np.testing.assert_allclose(coarse.values[tuple(inner.T)], places.sum(axis=1) + 500, atol=1.0)
