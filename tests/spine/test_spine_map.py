"""Levels, names and measurements against synthetic spines with ground truth."""

import itertools

import numpy as np
import pytest
from cartoon import GREY, STEP, Drawing, Truth, draw, read

from lumbar.domain.anatomy import Level, SpineClass, Vertebra
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, InputError
from lumbar.spine.morphometry import USUAL_STEP_MM, meyerding
from lumbar.spine.spine_map import SpineMap, level_mask, map_spine, tissue_mask

pytestmark = pytest.mark.usefixtures("whole_images")

UPWARDS = list(reversed(Level))
BODIES = [Vertebra.L5, Vertebra.L4, Vertebra.L3, Vertebra.L2, Vertebra.L1]


def mapped(drawing: Drawing, weighting: Weighting = Weighting.T2) -> tuple[SpineMap, Truth, Volume]:
    volume, truth = draw(drawing)
    return map_spine(volume, Plane.SAGITTAL, weighting, read), truth, volume


@pytest.fixture(scope="module")
def plain() -> tuple[SpineMap, Truth, Volume]:
    return mapped(Drawing())


def by_level(spine: SpineMap):
    return {finding.level: finding for finding in spine.finding.levels}


def test_every_level_and_vertebra_is_named_at_its_true_position(plain):
    spine, truth, _ = plain
    levels = by_level(spine)
    assert spine.finding.numbering.confident
    for level, centre in zip(UPWARDS, truth.discs, strict=False):
        assert np.linalg.norm(np.array(levels[level].center_mm) - centre) < 2.0
    named = {v.vertebra: np.array(v.center_mm) for v in spine.finding.vertebrae}
    for vertebra, centre in zip(BODIES, truth.bodies, strict=False):
        assert np.linalg.norm(named[vertebra] - centre) < 2.0
    assert Vertebra.T12 in named  # the sixth body of the drawing


def test_measurements_equal_the_ground_truth(plain):
    levels = by_level(plain[0])
    for level in list(Level)[:-1]:
        assert levels[level].disc_height_mm == pytest.approx(9.0, abs=0.7)
        assert levels[level].canal_ap_mm == pytest.approx(14.0, abs=0.8)
        assert levels[level].slip_mm == pytest.approx(-USUAL_STEP_MM[level], abs=1.2)  # drawn back walls have no step
    assert levels[Level.L5_S1].slip_mm is None
    assert any("L5/S1: slip" in warning for warning in plain[0].warnings)
    assert levels[Level.L5_S1].disc_height_mm == pytest.approx(9.0, abs=0.7)
    assert levels[Level.L3_L4].disc_height_index == pytest.approx(9 / 26, abs=0.03)
    # Cobb angle of a level: the upper endplate of the body above lies on the disc above it, the lower one of the body below on the disc below.
    tilts = Drawing().tilts
    assert levels[Level.L3_L4].segmental_lordosis_degrees == pytest.approx(tilts[1] - tilts[3], abs=2.0)
    assert levels[Level.L5_S1].segmental_lordosis_degrees == pytest.approx(tilts[0] - tilts[1], abs=2.0)
    assert plain[0].finding.total_lordosis_degrees == pytest.approx(tilts[0] - tilts[5], abs=2.0)


def test_the_disc_signal_ratio_is_disc_over_canal(plain):
    assert by_level(plain[0])[Level.L2_L3].disc_signal_ratio == pytest.approx(GREY[SpineClass.DISC] / GREY[SpineClass.CANAL], abs=0.02)


def test_a_simulated_stenosis_is_measured_at_its_level():
    levels = by_level(mapped(Drawing(narrow={1: 6.0}))[0])
    assert levels[Level.L4_L5].canal_ap_mm == pytest.approx(6.0, abs=1.0)
    assert levels[Level.L3_L4].canal_ap_mm == pytest.approx(14.0, abs=1.0)


def test_a_simulated_slip_is_measured_at_its_level():
    still, levels = by_level(mapped(Drawing())[0]), by_level(mapped(Drawing(slips={1: 7.0}))[0])
    assert levels[Level.L4_L5].slip_mm - still[Level.L4_L5].slip_mm == pytest.approx(7.0, abs=1.0)
    assert levels[Level.L3_L4].slip_mm - still[Level.L3_L4].slip_mm == pytest.approx(0.0, abs=1.0)


def test_retrolisthesis_has_the_opposite_sign():
    level = Level.L3_L4
    assert by_level(mapped(Drawing(slips={2: -5.0}))[0])[level].slip_mm == pytest.approx(-5.0 - USUAL_STEP_MM[level], abs=1.0)


@pytest.mark.parametrize(
    ("level", "slip_mm", "percent", "grade"),
    [
        (Level.L1_L2, 2.9, 8.0, 0),
        (Level.L1_L2, 3.1, 9.0, 1),
        (Level.L4_L5, 4.1, 12.0, 0),  # within the error of that level, 4.5 mm
        (Level.L4_L5, -5.0, -15.0, 1),
        (Level.L4_L5, 9.0, 26.0, 2),
        (Level.L3_L4, 18.0, 52.0, 3),
        (Level.L2_L3, 27.0, 80.0, 4),
        (Level.L4_L5, 40.0, 110.0, 5),
    ],
)
def test_meyerding_grades_by_quarters_beyond_the_error_of_the_level(level, slip_mm, percent, grade):
    assert meyerding(level, slip_mm, percent) == grade


def test_without_a_sacrum_the_names_are_not_certain():
    spine, _, _ = mapped(Drawing(sacrum=False, lowest_mm=(10.0, -100.0)))
    assert not spine.finding.numbering.confident
    assert "sacrum" in spine.finding.numbering.note
    assert any("not certain" in warning for warning in spine.warnings)


def test_the_user_can_name_the_lowest_disc():
    volume, truth = draw(Drawing(sacrum=False, tilts=(18.0, 6.0, -2.0, -8.0, -12.0)))
    spine = map_spine(volume, Plane.SAGITTAL, Weighting.T2, read, Level.L4_L5)
    assert spine.finding.numbering.confident
    assert np.linalg.norm(np.array(by_level(spine)[Level.L4_L5].center_mm) - truth.discs[0]) < 2.0
    assert any("L5/S1" in warning for warning in spine.warnings)  # not in view


def test_tilt_names_the_lowest_disc_where_the_sacrum_is_out_of_view():
    spine, truth, _ = mapped(Drawing(sacrum=False, tilts=(14.0, 1.0, -7.0, -11.0, -12.0)))
    assert np.linalg.norm(np.array(by_level(spine)[Level.L4_L5].center_mm) - truth.discs[0]) < 2.0
    assert not spine.finding.numbering.confident


def test_a_fused_level_is_counted_and_reported():
    spine, truth, _ = mapped(Drawing(fused=frozenset({2})))
    levels = by_level(spine)
    assert not spine.finding.numbering.confident
    assert "fused" in spine.finding.numbering.note
    assert np.linalg.norm(np.array(levels[Level.L2_L3].center_mm) - truth.discs[3]) < 2.0  # the levels above are named correctly
    assert levels[Level.L3_L4].disc_height_mm is None


def test_a_first_sacral_body_that_looks_lumbar_is_taken_for_s1_by_the_steep_disc_above_it():
    # The lowest disc is bone, so the body above it resembles another vertebra on the sacrum; the disc above that is as steep as L5/S1.
    spine, truth, _ = mapped(Drawing(fused=frozenset({0}), tilts=(40.0, 30.0, 14.0, 3.0, -6.0, -10.0)))
    levels = by_level(spine)
    assert np.linalg.norm(np.array(levels[Level.L5_S1].center_mm) - truth.discs[1]) < 2.0
    assert np.linalg.norm(np.array(levels[Level.L1_L2].center_mm) - truth.discs[5]) < 2.0
    assert not spine.finding.numbering.confident
    assert "transitional" in spine.finding.numbering.note


def test_a_leaning_spine_is_followed_to_the_side():
    spine, truth, _ = mapped(Drawing(sideways_mm=14.0))
    levels = by_level(spine)
    for level, centre in zip(UPWARDS, truth.discs, strict=False):
        assert abs(levels[level].center_mm[0] - centre[0]) < 3.0  # slices are 4 mm apart
    assert levels[Level.L1_L2].center_mm[0] - levels[Level.L5_S1].center_mm[0] > 6  # towards the patient's left


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (False, True, True), (True, True, True), (True, False, False)])
def test_any_order_of_axes_gives_the_same_positions(axes, flips):
    volume, truth = draw(Drawing(sideways_mm=10.0))
    turned = volume.rearranged(axes, flips)
    plane = Plane.SAGITTAL if axes[0] == 0 else (Plane.AXIAL if axes[0] == 1 else Plane.CORONAL)
    spine = map_spine(turned, plane, Weighting.T2, read)
    levels = by_level(spine)
    for level, centre in zip(UPWARDS, truth.discs, strict=False):
        assert np.linalg.norm(np.array(levels[level].center_mm) - centre) < 4.5  # slices are 4 mm apart
    mask = level_mask(spine)
    assert mask.array.shape == turned.array.shape
    inside = mask.grid.points_mm(np.argwhere(mask.array == 2))  # L2/L3
    assert np.linalg.norm(inside.mean(axis=0) - truth.discs[3]) < 3.0


def test_the_spine_is_localised_in_a_wide_stack_of_thin_slices():
    volume, truth = draw(Drawing(), slices=120, gap_mm=1.2)
    seen = []

    def counting(images):
        seen.append(len(images))
        return read(images)

    spine = map_spine(volume, Plane.SAGITTAL, Weighting.T2, counting)
    assert sum(seen) < 60  # not all 120
    for level, centre in zip(UPWARDS, truth.discs, strict=False):
        assert np.linalg.norm(np.array(by_level(spine)[level].center_mm) - centre) < 2.5
    mask = tissue_mask(spine)
    assert mask.array.shape == volume.array.shape
    assert (mask.array[50:70] == 2).any(axis=(1, 2)).all()  # discs on every slice near the middle
    assert not mask.array[:20].any()


def test_masks_lie_on_the_drawn_structures(plain):
    spine, _, volume = plain
    grey = np.rint(np.asarray(volume.array) / STEP)
    found = tissue_mask(spine).array
    for value, kind in ((1, SpineClass.BODY), (2, SpineClass.DISC), (3, SpineClass.CANAL)):
        drawn = grey == GREY[kind]
        drawn[:, :6, :6] = False
        overlap = 2 * np.count_nonzero(drawn & (found == value)) / (np.count_nonzero(drawn) + np.count_nonzero(found == value))
        assert overlap > 0.95, kind


def test_a_volume_without_a_spine_is_rejected():
    volume, _ = draw(Drawing())
    empty = Volume(np.random.default_rng(0).normal(0, 1, volume.array.shape).astype(np.float32), volume.grid)

    def blind(images):
        out = np.zeros((len(images), 6, *images.shape[2:]), dtype=np.float32)
        out[:, 0] = 9
        return out

    with pytest.raises(InputError, match="lumbar spine"):
        map_spine(empty, Plane.SAGITTAL, Weighting.T2, blind)


def test_a_volume_too_short_to_show_two_levels_is_rejected():
    volume, _ = draw(Drawing())
    short = Volume(volume.array[:, :80], type(volume.grid)(volume.grid.origins_mm, volume.grid.row_step_mm, volume.grid.column_step_mm, 80, 200))
    with pytest.raises(GeometryError, match="head to foot"):
        map_spine(short, Plane.SAGITTAL, Weighting.T2, read)


def test_a_canal_narrower_than_its_error_is_named(plain):
    narrow, _, _ = mapped(Drawing(narrow={1: 1.8}))
    assert any(warning.startswith("L4/L5: the canal measures") for warning in narrow.warnings)
    assert not any(warning.startswith("L4/L5: the canal") for warning in plain[0].warnings)
