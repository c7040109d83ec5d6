"""Surface distances against hand-worked cases and two independent libraries."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from lumbar.metrics.surface import compare_surfaces, surface_areas_mm2


def box(shape, z, y, x):
    mask = np.zeros(shape, bool)
    mask[slice(*z), slice(*y), slice(*x)] = True
    return mask


def test_one_corner_inside_is_one_small_triangle():
    # The triangle joins the middles of three edges at a right angle: with sides 2, 3, 4 mm its vertices are (1,0,0), (0,1.5,0), (0,0,2).
    expected = 0.5 * np.linalg.norm(np.cross([-1, 1.5, 0], [-1, 0, 2]))
    area = surface_areas_mm2((2.0, 3.0, 4.0))
    assert area[1] == pytest.approx(expected)
    assert area[254] == pytest.approx(expected)


def test_half_a_cube_inside_is_its_cross_section():
    area = surface_areas_mm2((2.0, 3.0, 4.0))
    assert area[0b00001111] == pytest.approx(3 * 4)  # the first slice inside
    assert area[0b00110011] == pytest.approx(2 * 4)  # the first row
    assert area[0b01010101] == pytest.approx(2 * 3)  # the first column
    assert area[0b10000001] == pytest.approx(2 * area[1])  # two opposite corners are cut off one by one


def test_equal_masks_agree_fully():
    mask = box((8, 20, 20), (2, 6), (5, 15), (5, 15))
    score = compare_surfaces(mask, mask, (3.0, 1.0, 1.0))
    assert (score.surface_dice_1mm, score.hd95_mm, score.assd_mm) == (1.0, 0.0, 0.0)


def test_a_shift_along_the_slices_costs_their_spacing():
    a, b = box((12, 30, 30), (2, 6), (5, 25), (5, 25)), box((12, 30, 30), (3, 7), (5, 25), (5, 25))
    score = compare_surfaces(a, b, (4.0, 1.0, 1.0))
    assert score.hd95_mm == pytest.approx(4.0)
    # Each box has two caps of 19 × 19 mm (its flat part), moved by 4 mm, and walls that lie on the other's walls but for one slice.
    assert 0.4 < score.surface_dice_1mm < 0.8
    assert compare_surfaces(a, b, (0.5, 1.0, 1.0)).surface_dice_1mm == 1.0


def test_one_slice_is_measured_in_its_plane():
    a, b = box((1, 40, 40), (0, 1), (10, 30), (10, 20)), box((1, 40, 40), (0, 1), (10, 30), (10, 24))
    score = compare_surfaces(a, b, (0.0, 0.5, 0.5))
    assert score.hd95_mm == pytest.approx(2.0)  # the right edge lies 4 pixels further
    same = compare_surfaces(np.repeat(a, 9, 0), np.repeat(b, 9, 0), (1e6, 0.5, 0.5))  # walls only: the caps are far too distant to be nearest
    assert same.hd95_mm == pytest.approx(2.0)


def test_missing_masks():
    full, empty = box((4, 9, 9), (1, 3), (2, 6), (2, 6)), np.zeros((4, 9, 9), bool)
    both = compare_surfaces(empty, empty, (1.0, 1.0, 1.0))
    assert (both.surface_dice_1mm, both.hd95_mm, both.assd_mm) == (None, None, None)
    for pair in ((full, empty), (empty, full)):
        one = compare_surfaces(*pair, (1.0, 1.0, 1.0))
        assert (one.surface_dice_1mm, one.surface_dice_2mm, one.hd95_mm, one.assd_mm) == (0.0, 0.0, None, None)


def blobs(seed, change):
    rng = np.random.default_rng(seed)
    noise = [ndimage.gaussian_filter(rng.normal(size=(14, 50, 50)), (1, 4, 4)) for _ in range(2)]
    return noise[0] > 0.02, noise[0] + change * noise[1] > 0.02


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 1.0, 1.0), (4.0, 0.5, 0.7)])
@pytest.mark.parametrize("change", [0.2, 0.8])
def test_agrees_with_the_surface_distance_library(spacing, change):
    library = pytest.importorskip("surface_distance", reason="the library of Nikolov et al. is not installed")
    a, b = blobs(3, change)
    score = compare_surfaces(a, b, spacing)
    found = library.compute_surface_distances(a, b, spacing)
    # The two tables differ only in how they span loops that are not flat, which is 1 % of the area.
    assert score.surface_dice_1mm == pytest.approx(library.compute_surface_dice_at_tolerance(found, 1), abs=3e-3)
    assert score.surface_dice_2mm == pytest.approx(library.compute_surface_dice_at_tolerance(found, 2), abs=3e-3)
    assert score.hd95_mm == pytest.approx(library.compute_robust_hausdorff(found, 95), rel=0.03)
    area = found["surfel_areas_gt"], found["surfel_areas_pred"]
    mean = (found["distances_gt_to_pred"] @ area[0] + found["distances_pred_to_gt"] @ area[1]) / (area[0].sum() + area[1].sum())
    assert score.assd_mm == pytest.approx(mean, rel=0.01)


def test_shifted_balls_have_the_geometric_distance():
    # The gap between a ball's surface and its copy moved by d is close to d·|cos θ|, and cos θ is evenly spread: mean d/2, 95th percentile 0.95 d.
    z, y, x = np.mgrid[-30:31, -30:31, -40:41]
    a, b = z**2 + y**2 + x**2 <= 22**2, z**2 + y**2 + (x - 8) ** 2 <= 22**2
    score = compare_surfaces(a, b, (1.0, 1.0, 1.0))
    assert score.assd_mm == pytest.approx(4.0, abs=0.5)  # cubes beside each other blur the surface by half a voxel
    assert score.hd95_mm == pytest.approx(7.6, abs=0.5)
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*(sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)))
    assert score.hd95_mm <= hausdorff.GetHausdorffDistance() == pytest.approx(8.0)
