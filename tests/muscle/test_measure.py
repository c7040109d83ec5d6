"""Sizes and fat against synthetic scenes with ground truth, and the published example."""

import numpy as np
import pytest
from scene import SPACING, axial_grid, axial_mask, dixon

from lumbar.domain.anatomy import Level, Muscle, Side
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.io.nifti import read_nifti, read_nifti_mask
from lumbar.muscle.agreement import DOUBTFUL, agreement_of
from lumbar.muscle.fat.partial_volume import mean_without_partial_volume
from lumbar.muscle.measure import measure
from lumbar.muscle.scene import MeasureOptions

FRACTIONS = {1: 0.1, 2: 0.3, 3: 0.25, 4: 0.05}


def scene():
    grid = axial_grid()
    mask = axial_mask(grid)
    return mask, *dixon(grid, mask, FRACTIONS)


def test_sizes_by_hand():
    mask, water, fat = scene()
    right_erector, right_multifidus, _, left_erector = measure(water, mask, fat).findings
    assert (right_erector.muscle, right_erector.side) == (Muscle.ERECTOR_SPINAE, Side.RIGHT)
    area = 20 * 30 * SPACING[1] * SPACING[2]
    assert right_erector.csa_max_mm2 == pytest.approx(area)
    assert right_erector.volume_ml == pytest.approx(area * 4 * SPACING[0] / 1000)
    assert [s.z_mm for s in right_erector.per_slice] == [-46, -42, -38, -34]
    assert right_multifidus.volume_asymmetry == 0
    assert left_erector.volume_asymmetry == pytest.approx((24 - 30) / 27)
    assert right_erector.volume_asymmetry == pytest.approx((30 - 24) / 27)


def test_dixon_fat_equals_the_simulated_fraction():
    mask, water, fat = scene()
    for label, finding in enumerate(measure(water, mask, fat).findings, start=1):
        assert finding.fat_fraction_mean == pytest.approx(FRACTIONS[label], abs=1e-3)
        assert finding.fat_fraction_ratio == pytest.approx(FRACTIONS[label], abs=1e-3)
        assert finding.lean_volume_ml == pytest.approx(finding.volume_ml * (1 - FRACTIONS[label]), rel=2e-3)
        assert finding.fat_infiltration is None


def test_mean_of_fractions_is_not_the_ratio_of_sums():
    grid = axial_grid()
    mask = axial_mask(grid)
    water, fat = np.full(grid.shape, 100.0, np.float32), np.zeros(grid.shape, np.float32)
    half = np.zeros(grid.shape, bool)
    half[:, :, 35:50] = True  # half of the right erector: bright, three quarters fat
    water[half], fat[half] = 100, 300
    found = measure(Volume(water, grid), mask, Volume(fat, grid)).findings[0]
    assert found.fat_fraction_mean == pytest.approx((0 + 0.75) / 2)
    assert found.fat_fraction_ratio == pytest.approx(300 / (300 + 200))


def test_voxels_without_signal_are_ignored():
    mask, water, fat = scene()
    dark_water, dark_fat = water.array.copy(), fat.array.copy()
    dark_water[2], dark_fat[2] = 0, 0
    found = measure(Volume(dark_water, water.grid), mask, Volume(dark_fat, fat.grid)).findings[0]
    assert found.fat_fraction_mean == pytest.approx(0.1, abs=1e-3)
    assert found.per_slice[1].fat_fraction_mean is None
    assert found.per_slice[1].csa_mm2 == found.per_slice[0].csa_mm2


@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (True, True, True)), ((2, 1, 0), (False, True, False)), ((1, 0, 2), (False, False, True))])
def test_results_are_independent_of_the_storage_order(axes, flips):
    mask, water, fat = scene()
    stored = measure(water.rearranged(axes, flips), mask, fat.rearranged(axes, flips))
    plain = measure(water, mask, fat)
    assert (stored.findings, stored.warnings) == (plain.findings, plain.warnings)


def test_the_fat_map_lies_on_the_grid_of_the_mask_with_the_simulated_fractions():
    mask, water, fat = scene()
    turned = mask.rearranged((1, 2, 0), (False, True, True))
    found = measure(water, turned, fat).fat
    assert found is not None and found.grid is turned.grid
    assert (np.asarray(found.array)[turned.array == 0] == 0).all()
    for finding, label in zip(measure(water, mask, fat).findings, (1, 2, 3, 4), strict=True):
        assert found.array[turned.array == label].mean() == pytest.approx(finding.fat_fraction_mean, abs=1e-5)


def test_uneven_slices_are_weighted_by_their_thickness():
    mask, water, fat = scene()
    origins = water.grid.origins_mm.copy()
    origins[3:, 2] += 6  # the gap between slices 2 and 3 is 10 mm instead of 4
    grid = Grid(origins, water.grid.row_step_mm, water.grid.column_step_mm, water.grid.rows, water.grid.columns)
    found = measure(Volume(water.array, grid), Volume(mask.array, grid), Volume(fat.array, grid)).findings[0]
    assert found.volume_ml == pytest.approx(found.csa_max_mm2 * (4 + 7 + 7 + 4) / 1000)


def test_levels_take_the_nearest_slice():
    mask, water, fat = scene()
    levels = (LevelFinding(Level.L4_L5, (0.0, 0.0, -41.0)), LevelFinding(Level.L1_L2, (0.0, 0.0, 60.0)))
    discs = np.zeros(water.grid.shape, np.uint8)
    discs[1:4, 0:10, 60:100] = 4
    found = measure(water, mask, fat, MeasureOptions(levels, Volume(discs, water.grid))).findings[0]
    assert [at.level for at in found.per_level] == [Level.L4_L5]  # L1/L2 lies outside the stack
    assert found.per_level[0].csa_mm2 == found.csa_max_mm2
    assert found.per_level[0].muscle_disc_ratio == pytest.approx(20 * 30 / (10 * 40))


def test_missing_and_mirrored_labels_are_reported():
    mask, water, fat = scene()
    without = Volume(np.where(mask.array == 3, 0, mask.array).astype(np.uint8), mask.grid)
    found = measure(water, without, fat)
    assert len(found.findings) == 3
    assert "left multifidus" in found.warnings[0]
    assert found.findings[1].volume_asymmetry is None
    mirrored = Volume(np.array([0, 4, 3, 2, 1], np.uint8)[mask.array], mask.grid)
    assert any("mirrored" in warning for warning in measure(water, mirrored, fat).warnings)
    assert not measure(water, mask, fat).warnings


def test_a_mask_at_the_border_counts():
    grid = axial_grid()
    mask = np.zeros(grid.shape, np.uint8)
    mask[:, -10:, :20] = 1
    found = measure(Volume(np.ones(grid.shape, np.float32), grid), Volume(mask, grid)).findings[0]
    assert found.volume_ml == pytest.approx(6 * 4 * 10 * 10 / 1000)


def one_slice(volume, k):
    grid = volume.grid
    return Volume(volume.array[k : k + 1], Grid(grid.origins_mm[k : k + 1], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns))


def test_a_single_slice_has_areas_and_fat_but_no_volume():
    mask, water, fat = scene()
    found = measure(one_slice(water, 2), one_slice(mask, 2), one_slice(fat, 2))
    whole = measure(water, mask, fat)
    assert any("single slice" in warning for warning in found.warnings)
    for one, all_slices in zip(found.findings, whole.findings, strict=True):
        assert (one.volume_ml, one.lean_volume_ml, one.volume_asymmetry) == (None, None, None)
        assert one.csa_max_mm2 == all_slices.per_slice[1].csa_mm2
        assert one.per_slice[0].fat_fraction_mean == pytest.approx(all_slices.per_slice[1].fat_fraction_mean)


def test_sides_and_body_are_compared_slice_by_slice():
    mask, water, fat = scene()
    labels = np.asarray(mask.array).copy()
    labels[2, 2:12, 60:100] = 7  # a body of 400 pixels on one slice
    labels[1:5, 2:12, 20:40], labels[1:5, 2:12, 120:150] = 5, 6  # right psoas 200 pixels, left 300
    found = {(f.muscle, f.side): f for f in measure(water, Volume(labels, mask.grid), fat).findings}
    right, left = found[Muscle.PSOAS, Side.RIGHT], found[Muscle.PSOAS, Side.LEFT]
    assert [s.muscle_body_ratio for s in right.per_slice] == [None, pytest.approx(200 / 400), None, None]
    assert [s.csa_asymmetry for s in left.per_slice] == [pytest.approx((300 - 200) / 250)] * 4
    erector = found[Muscle.ERECTOR_SPINAE, Side.RIGHT]
    assert erector.per_slice[1].muscle_body_ratio == pytest.approx(600 / 400)
    assert right.volume_asymmetry == pytest.approx(-(300 - 200) / 250)


def test_grey_values_tell_no_fat_of_the_psoas():
    mask, water, fat = scene()
    labels = np.asarray(mask.array).copy()
    labels[1:5, 2:12, 20:40], labels[1:5, 2:12, 120:150] = 5, 6
    mixed = Volume(0.3 * np.asarray(water.array) + np.asarray(fat.array), water.grid)
    found = {(f.muscle, f.side): f for f in measure(mixed, Volume(labels, mask.grid)).findings}
    assert found[Muscle.PSOAS, Side.LEFT].fat_infiltration is None and found[Muscle.PSOAS, Side.LEFT].lean_volume_ml is None
    alone = measure(mixed, mask).findings
    assert [found[f.muscle, f.side].fat_infiltration for f in alone] == [f.fat_infiltration for f in alone]  # the psoas does not change the others


def test_agreement_and_certainty_of_networks_mark_a_doubtful_mask():
    mask, water, fat = scene()
    labels = np.asarray(mask.array)
    other = labels.copy()
    other[3, 20:40, 110:134] = 0  # one network misses a quarter of the left erector
    other[1:5, 20:35, 85:105] = 0  # and, but for one slice, the left multifidus
    other[1, 20:35, 85:105] = 3
    chances = np.stack([labels == n for n in range(8)], axis=1).astype(np.float32)
    chances[2, 4] *= 0.5  # no more than half certain on one slice
    agreement = agreement_of([labels, other], chances, np.arange(6), 6)
    found = measure(water, mask, fat, MeasureOptions(agreement=agreement)).findings
    assert [f.mask_agreement for f in found] == [1, 1, pytest.approx(2 * 1 / (4 + 1)), pytest.approx(2 * 3 / (4 + 3))]
    assert agreement.certainty(4, 2) == pytest.approx(0.5 / 0.75, abs=0.01)  # probability 0.5 on the whole mask
    assert agreement.certainty(1) == 1
    assert [s.mask_agreement for s in found[3].per_slice] == [1, 1, 0, 1]
    expected = [f.mask_expected_dice for f in found]
    assert expected[2] == min(expected) and expected[3] < min(expected[:2])
    assert [f.mask_doubtful for f in found] == [value < DOUBTFUL for value in expected]
    assert found[2].mask_doubtful and not found[0].mask_doubtful
    assert measure(water, mask, fat).findings[0].mask_doubtful is None


def test_refuses_what_is_not_axial():
    mask, water, _ = scene()
    sagittal = Grid(np.arange(6)[:, None] * [4.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0], 60, 160)
    with pytest.raises(InputError, match="axial"):
        measure(Volume(water.array, sagittal), Volume(mask.array, sagittal))


@pytest.mark.real
def test_published_example(shared_data):
    folder = shared_data / "dixon"
    found = measure(*(f(folder / f"TUM01_{n}.nii.gz") for f, n in ((read_nifti, "water"), (read_nifti_mask, "mask_water"), (read_nifti, "fat"))))
    assert round(found.findings[0].fat_fraction_mean, 3) == 0.132
    assert round(found.findings[0].fat_fraction_ratio, 3) == 0.146
    assert any("steps of 1.55" in warning for warning in found.warnings)
    assert any("voxel by voxel" in warning for warning in found.warnings)


def test_inner_voxels_exclude_the_partial_volume_border():
    grid = axial_grid()
    mask = axial_mask(grid)
    fat = np.full(grid.shape, 100.0, np.float32)
    water = np.full(grid.shape, 900.0, np.float32)
    rim = (mask.array == 1).copy()
    rim[1:5, 22:38, 24:46] = False  # 2 voxels of 1 mm down, 4 of 0.5 mm across
    fat[rim], water[rim] = 500, 500
    whole = measure(Volume(water, grid), mask, Volume(fat, grid)).findings[0]
    inner = measure(Volume(water, grid), mask, Volume(fat, grid), MeasureOptions(inner_mm=2.0)).findings[0]
    core = 16 * 22 / (20 * 30)
    assert whole.fat_fraction_mean == pytest.approx(0.1 * core + 0.5 * (1 - core))
    assert inner.fat_fraction_mean == pytest.approx(0.1)
    assert inner.fat_fraction_ratio == pytest.approx(0.1)
    assert inner.volume_ml == whole.volume_ml
    assert whole.fat_fraction_corrected == pytest.approx(inner.fat_fraction_corrected)
    assert "2 mm within" in inner.method and "within" not in whole.method


def test_the_corrected_fraction_excludes_the_surrounding_fat():
    grid = axial_grid()
    mask = axial_mask(grid)
    # By hand: a muscle of 10 % fat in its right half and 30 % in its left one, whose outermost voxels show half of the pure fat outside.
    share = np.full(grid.shape, 0.1)
    share[:, :, 35:] = 0.3
    inside = mask.array == 1
    deep = inside.copy()
    deep[:, [20, 39]] = deep[:, :, [20, 21, 48, 49]] = False
    share[inside & ~deep] = (share[inside & ~deep] + 1) / 2
    fat, water = (Volume((1000 * part).astype(np.float32), grid) for part in (share, 1 - share))
    found = measure(water, mask, fat).findings[0]
    assert found.fat_fraction_mean > 0.27
    assert found.fat_fraction_corrected == pytest.approx(0.2, abs=0.003)


def test_the_correction_ignores_unknown_voxels():
    inside = np.zeros((1, 9, 9), bool)
    inside[0, 2:7, 2:7] = True
    shares = np.where(inside, 0.2, np.nan).astype(np.float32)
    assert mean_without_partial_volume(shares, inside, (4.0, 1.0, 1.0)) == pytest.approx(0.2)
    assert mean_without_partial_volume(shares, inside, (4.0, 4.0, 4.0)) == pytest.approx(0.2)
    thin = np.zeros_like(inside)
    thin[0, 4] = True
    assert mean_without_partial_volume(np.full(inside.shape, 0.2, np.float32), thin, (4.0, 1.0, 1.0)) is None
    assert mean_without_partial_volume(np.full(inside.shape, np.nan, np.float32), inside, (4.0, 1.0, 1.0)) is None


def test_a_muscle_thinner_than_the_border_has_no_inner_fat():
    mask, water, fat = scene()
    found = measure(water, mask, fat, MeasureOptions(inner_mm=30.0)).findings[0]
    assert found.fat_fraction_mean is None
    assert found.fat_fraction_ratio is None
    assert found.volume_ml > 0
