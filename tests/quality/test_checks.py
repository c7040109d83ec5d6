"""The quality gate: quiet where nothing is wrong, and loud in the right place where something is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumbar.domain.anatomy import Condition, Level, Muscle, Severity, Side, Vertebra
from lumbar.domain.findings import (
    Evidence,
    Findings,
    LevelFinding,
    MuscleFinding,
    MuscleLevel,
    MuscleSlice,
    Numbering,
    Probabilities,
    SeverityFinding,
    SpineFinding,
    VertebraFinding,
)
from lumbar.domain.geometry import Grid
from lumbar.domain.quality import Check, worst
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.quality.assess import assess, status_of


def series(uid="sag", offsets=None, plane=Plane.SAGITTAL, role=Role.SAGITTAL_T2, pixel_mm=1.0, origin=(-30.0, -100.0, 150.0)) -> Series:
    """Sagittal or axial slices of 250 × 200 pixels at `offsets` mm along x or z."""
    offsets = np.arange(15) * 4.0 if offsets is None else np.asarray(offsets, dtype=float)
    along = (1.0, 0, 0) if plane is Plane.SAGITTAL else (0, 0, 1.0)
    rows, columns = ((0, 0, -pixel_mm), (0, pixel_mm, 0)) if plane is Plane.SAGITTAL else ((0, pixel_mm, 0), (pixel_mm, 0, 0))
    grid = Grid(np.array(origin) + np.outer(offsets, along), np.array(rows), np.array(columns), 250, 200)
    stack = Stack(Volume(np.zeros(grid.shape, np.float32), grid), tuple(range(1, len(offsets) + 1)))
    return Series(uid, (stack,), plane, Weighting.T2, role, "drawn")


def study(*more: Series) -> Study:
    return Study("1.2", more or (series(),))


def spine(step_mm=33.0, **changes) -> SpineFinding:
    values = {"disc_height_mm": 9.0, "canal_ap_mm": 13.0, "slip_mm": 0.5} | changes
    levels = tuple(LevelFinding(level, (0.0, 0.0, 66.0 - step_mm * number), **values) for number, level in enumerate(Level))
    bodies = tuple(VertebraFinding(v, (0.0, 0.0, 0.0), 25.0, 24.0, 25.0) for v in (Vertebra.L1, Vertebra.L2))
    return SpineFinding(Numbering(True, "counted upwards from the sacrum"), bodies, levels)


def muscle(kind=Muscle.ERECTOR_SPINAE, side=Side.LEFT, levels=tuple(Level), **changes) -> MuscleFinding:
    values = {"volume_ml": 200.0, "csa_max_mm2": 1800.0, "volume_asymmetry": 0.1, "fat_infiltration": 0.2} | changes
    slices = tuple(MuscleSlice(z, 1500.0, None) for z in np.arange(-66.0, 70.0, 4.0))
    return MuscleFinding(
        kind, side, values["volume_ml"], values["csa_max_mm2"], None, None, values["fat_infiltration"], "drawn",
        tuple(MuscleLevel(level, 1500.0, None) for level in levels), slices, volume_asymmetry=values["volume_asymmetry"],
    )  # fmt: skip


def grade(condition: Condition, evidence: Evidence | None, p=(0.95, 0.04, 0.01), level=Level.L3_L4) -> SeverityFinding:
    probabilities = Probabilities(*p)
    severity = tuple(Severity)[int(np.argmax(p))]
    return SeverityFinding(condition, level, probabilities, probabilities, severity, 0.1, evidence)


def not_passed(found: Findings, what: Study | None = None, given=()) -> list[tuple[str, str, str | None]]:
    quality = assess(what or study(), found, given)
    assert quality.status == worst(check.status for check in quality.checks)
    return [(c.name, c.status, c.level.value if c.level else None) for c in quality.checks if c.status != "passed"]


def findings(**parts) -> Findings:
    return Findings("1.2", (), **({"spine": spine()} | parts))


def test_a_plain_study_passes_every_check():
    grades = tuple(grade(c, Evidence("sag", n, 100.0, 120.0)) for c, n in zip(Condition, (8, 12, 4, 10, 6), strict=True))
    quality = assess(study(), findings(severity=grades, muscles=(muscle(), muscle(side=Side.RIGHT))))
    assert quality.status == "passed"
    assert {check.name for check in quality.checks} == {
        "series_complete", "spacing_even", "positions_plausible", "numbering_certain", "sizes_plausible", "measurements_plausible", "left_right_consistent",
        "measurement_against_grade", "volumes_plausible",
    }  # fmt: skip


def test_metal_at_a_level_also_makes_muscle_volumes_doubtful():
    metal = Check("metal_artefacts", "doubtful", "", level=Level.L4_L5)
    assert not_passed(findings(muscles=(muscle(), muscle(side=Side.RIGHT))), given=(metal,)) == [
        ("metal_artefacts", "doubtful", "L4/L5"), ("volumes_plausible", "doubtful", None)
    ]  # fmt: skip
    assert not_passed(findings(), given=(metal,)) == [("metal_artefacts", "doubtful", "L4/L5")]


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        (np.delete(np.arange(15) * 4.0, 6), [("series_complete", "doubtful", None)]),
        (np.delete(np.arange(15) * 4.0, [6, 7, 8]), [("series_complete", "doubtful", None)]),
        (np.arange(15) * 4.0 + np.array([0, 1.2, 0] * 5), [("spacing_even", "doubtful", None)]),
        (np.arange(5) * 4.0, [("series_complete", "doubtful", None)]),  # too narrow for both sides
        (np.arange(15) * 40.0, [("positions_plausible", "doubtful", None)]),
    ],
)
def test_slices_that_are_missing_or_uneven(offsets, expected):
    assert not_passed(findings(), study(series(offsets=offsets))) == expected


@given(st.lists(st.integers(1, 13), max_size=3, unique=True), st.floats(1.0, 6.0))
def test_missing_slices_are_counted_at_any_spacing(gone, spacing):
    offsets = np.delete(np.arange(40) * spacing, gone)
    quality = assess(study(series(offsets=offsets)), findings())
    notes = [check.note for check in quality.checks if check.name == "series_complete"]
    assert (notes[0].split()[0] == str(len(gone))) if gone else (quality.status == "passed")


def test_a_series_without_a_use_is_not_checked():
    assert not_passed(findings(), study(series(), series("other", np.arange(15) * 40.0, role=Role.OTHER))) == []


@pytest.mark.parametrize("pixel_mm", [0.1, 5.0])
def test_images_of_an_impossible_size(pixel_mm):
    assert not_passed(findings(), study(series(pixel_mm=pixel_mm))) == [("positions_plausible", "doubtful", None)]


def test_positions_in_another_unit():
    assert not_passed(findings(), study(series(origin=(-30.0, -100.0, 1.5e5)))) == [("positions_plausible", "doubtful", None)]


def test_names_sizes_and_measurements_of_levels():
    unsure = replace(spine(), numbering=Numbering(False, "six vertebrae"))
    assert not_passed(findings(spine=unsure)) == [("numbering_certain", "doubtful", None)]
    assert not_passed(findings(spine=None)) == [("numbering_certain", "failed", None)]
    assert not_passed(findings(spine=spine(step_mm=66.0))) == [("sizes_plausible", "failed", None)]
    assert not_passed(findings(spine=spine(step_mm=14.0))) == [("sizes_plausible", "failed", None)]
    levels = spine().levels
    far = replace(spine(), levels=(*levels[:3], replace(levels[3], center_mm=(0.0, 0.0, -66.0)), replace(levels[4], center_mm=(0.0, 0.0, -99.0))))
    assert not_passed(findings(spine=far)) == [("sizes_plausible", "doubtful", "L4/L5")]
    thick = replace(spine(), levels=(*levels[:4], replace(levels[4], disc_height_mm=29.0)))
    assert not_passed(findings(spine=thick)) == [("measurements_plausible", "doubtful", "L5/S1")]


def test_left_and_right():
    left, right = Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS
    there, back = Evidence("sag", 12, 1.0, 1.0), Evidence("sag", 4, 1.0, 1.0)  # instance 12 lies further left
    assert not_passed(findings(severity=(grade(left, there), grade(right, back)))) == []
    assert not_passed(findings(severity=(grade(left, back), grade(right, there)))) == [("left_right_consistent", "failed", "L3/L4")]
    flipped = series(offsets=np.arange(15) * -4.0)
    assert not_passed(findings(severity=(grade(left, there), grade(right, back))), study(flipped)) == [("left_right_consistent", "failed", "L3/L4")]
    assert not_passed(findings(muscles=(muscle(volume_asymmetry=-0.9),))) == [("left_right_consistent", "doubtful", None)]


@pytest.mark.parametrize(
    ("width", "p", "level", "loud"),
    [
        (4.0, (0.95, 0.04, 0.01), Level.L3_L4, True),
        (4.0, (0.5, 0.4, 0.1), Level.L3_L4, False),
        (4.0, (0.95, 0.04, 0.01), Level.L5_S1, False),  # the sac tapers off there by nature
        (20.0, (0.01, 0.04, 0.95), Level.L3_L4, True),
        (13.0, (0.01, 0.04, 0.95), Level.L3_L4, False),
    ],
)
def test_a_canal_against_its_grade(width, p, level, loud):
    grades = (grade(Condition.SPINAL_CANAL_STENOSIS, Evidence("sag", 8, 1.0, 1.0), p, level),)
    expected = [("measurement_against_grade", "doubtful", level.value)] if loud else []
    assert not_passed(findings(spine=spine(canal_ap_mm=width), severity=grades)) == expected


@pytest.mark.parametrize(("dice", "loud"), [(0.79, True), (0.84, False), (None, False)])
def test_a_poor_mask_makes_volumes_doubtful(dice, loud):
    expected = [("volumes_plausible", "doubtful", None)] if loud else []
    assert not_passed(findings(muscles=(replace(muscle(), mask_expected_dice=dice, mask_doubtful=dice is not None and dice < 0.86),))) == expected


@pytest.mark.parametrize(("area", "loud"), [(150.0, True), (110.0, False), (None, False)])
def test_a_wide_dural_sac_against_a_severe_grade(area, loud):
    grades = (grade(Condition.SPINAL_CANAL_STENOSIS, Evidence("sag", 8, 1.0, 1.0), (0.01, 0.04, 0.95), Level.L3_L4),)
    expected = [("measurement_against_grade", "doubtful", "L3/L4")] if loud else []
    assert not_passed(findings(spine=spine(canal_ap_mm=None, dural_sac_mm2=area), severity=grades)) == expected


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"volume_ml": 400.0}, "failed"),  # 1800 mm² over 140 mm are 252 ml
        ({"csa_max_mm2": 9000.0}, "doubtful"),
        ({"csa_max_mm2": 100.0, "volume_ml": 9.0}, "doubtful"),
        ({"fat_infiltration": 0.99}, "doubtful"),
        ({"levels": (Level.L4_L5, Level.L5_S1)}, "doubtful"),
    ],
)
def test_volumes(changes, status):
    assert not_passed(findings(muscles=(muscle(**changes),))) == [("volumes_plausible", status, None)]


def test_what_was_found_while_reading_comes_along_and_the_worst_comes_first():
    given_checks = (Check("levels_consistent", "failed", "the axial slices lie 34 mm too high", "ax"), Check("pixels", "passed", "fine"))
    quality = assess(study(), findings(), given_checks)
    assert (quality.status, quality.checks[0].name) == ("failed", "levels_consistent")


def test_marks_stand_where_the_doubt_is():
    checks = (
        Check("measurement_against_grade", "doubtful", "", level=Level.L4_L5), Check("volumes_plausible", "failed", ""),
        Check("spacing_even", "doubtful", "", "ax"),
    )  # fmt: skip
    quality = assess(study(), findings(), checks)
    assert status_of(quality, "severity", Level.L4_L5, ["sag"]) == "doubtful"
    assert status_of(quality, "severity", Level.L3_L4, ["sag"]) == "passed"
    assert status_of(quality, "severity", Level.L3_L4, ["ax"]) == "doubtful"
    assert status_of(quality, "muscles", None, ["sag"]) == "failed"
    assert status_of(quality, "age", None, ["sag"]) == "passed"
    assert status_of(None, "age") == "passed"
