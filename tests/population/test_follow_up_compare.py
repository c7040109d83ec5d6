"""Changes between two examinations, against the limits of reliable change."""

from dataclasses import replace

import pytest
from follow_up_examinations import examination, findings, moved_names, severity

from lumbar.domain.anatomy import Level
from lumbar.errors import InputError
from lumbar.population.follow_up.compare import CHANGED, NOT_COMPARABLE, SEEN_ONCE, WITHIN_ERROR, compare
from lumbar.population.follow_up.measurement_error import Setting, error_of


def changes_of(later, earlier=None):
    comparison = compare(examination(earlier or findings("1.1")), examination(later))
    return {(change.level, change.side, change.structure, change.finding): change for change in comparison.changes}


def test_nothing_changed_in_an_unchanged_person():
    comparison = compare(examination(findings("1.1")), examination(findings("1.2")))
    assert not comparison.reliable and comparison.setting_spine == "same_protocol"
    assert len(comparison.changes) > 25


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("share", "verdict"), [(0.9, WITHIN_ERROR), (1.1, CHANGED)])
def test_a_change_counts_from_its_limit_on(sign, share, verdict):
    limit = error_of("disc", "disc_height_mm", Setting.SAME_PROTOCOL).limit(9.0, 9.0)
    change = changes_of(findings("1.2", height_mm=9.0 + sign * share * limit))["L4/L5", "", "disc", "disc_height_mm"]
    assert change.verdict == verdict
    assert change.change == pytest.approx(sign * share * limit, abs=0.01)
    assert change.least_reliable_change == pytest.approx(limit, rel=0.02)


def test_another_scanner_has_larger_limits():
    same = error_of("disc", "disc_height_mm", Setting.SAME_PROTOCOL)
    other = changes_of(findings("1.2", pixel_mm=0.9))["L4/L5", "", "disc", "disc_height_mm"]
    assert other.least_reliable_change >= same.limit(9.0, 9.0)


def test_coarse_pixels_are_doubted_where_they_stand():
    """Errors were measured at pixels of at most 0.9 mm; a pair at 1.4 mm has the same protocol, but larger errors."""
    coarse = compare(examination(findings("1.1", pixel_mm=1.4)), examination(findings("1.2", pixel_mm=1.4, height_mm=12.0)))
    fine = compare(examination(findings("1.1")), examination(findings("1.2", height_mm=12.0)))
    assert coarse.setting_spine == fine.setting_spine == "same_protocol"
    assert any("larger than 1 mm" in warning for warning in coarse.warnings) and not any("larger than" in warning for warning in fine.warnings)
    notes = {change.finding: change.note for change in coarse.changes if change.verdict == CHANGED}
    assert "measurement error is unknown" in notes["disc_height_mm"]
    assert not any(change.note for change in coarse.changes if change.structure == "multifidus")  # measured in the axial series, which is fine
    assert not any(change.note for change in fine.reliable)


def test_relative_errors_grow_with_the_value():
    error = error_of("multifidus", "volume_ml", Setting.OTHER_PROTOCOL)
    assert error.relative and error.limit(200.0, 200.0) == pytest.approx(2 * error.limit(100.0, 100.0))


def test_signals_and_grades_of_another_contrast_are_not_compared():
    found = changes_of(findings("1.2", weighting="T1"))
    assert found["L4/L5", "", "disc", "disc_signal_ratio"].verdict == NOT_COMPARABLE
    assert found["L4/L5", "", "disc", "pfirrmann_grade"].verdict == NOT_COMPARABLE
    assert found["L4/L5", "", "disc", "disc_height_mm"].verdict == WITHIN_ERROR


def test_fat_of_another_method_is_not_compared_but_size_is():
    found = changes_of(findings("1.2", method="mixture of 3 normal distributions"))
    assert found["", "left", "multifidus", "fat_fraction_mean"].verdict == NOT_COMPARABLE
    assert found["", "left", "multifidus", "volume_ml"].verdict == WITHIN_ERROR


def test_a_grade_changes_only_with_the_score_behind_it():
    near = changes_of(findings("1.2", score=0.335), findings("1.1", score=0.325))
    assert near["L4/L5", "", "canal", "spinal_canal_stenosis_grade_0_2"].verdict == WITHIN_ERROR
    far = changes_of(findings("1.2", score=0.9), findings("1.1", score=0.1))
    change = far["L4/L5", "", "canal", "spinal_canal_stenosis_grade_0_2"]
    assert change.verdict == CHANGED and (change.earlier, change.later, change.change) == (0, 2, 2)


def test_a_value_of_only_one_examination_is_listed():
    later = replace(findings("1.2"), severity=(replace(severity(0.1), level=Level.L3_L4),))
    found = changes_of(later)
    assert found["L4/L5", "", "canal", "spinal_canal_stenosis_score"].verdict == SEEN_ONCE
    assert found["L3/L4", "", "canal", "spinal_canal_stenosis_score"].earlier is None


def test_the_same_study_and_displaced_names_are_rejected():
    with pytest.raises(InputError, match="two different examinations"):
        compare(examination(findings("1.1")), examination(findings("1.1")))
    with pytest.raises(InputError, match="check the names"):
        compare(examination(findings("1.1")), examination(moved_names(findings("1.2"))))
    assert compare(examination(findings("1.1")), examination(moved_names(findings("1.2"))), force=True).fit.status == "failed"


def test_heights_of_an_earlier_version_are_not_compared():
    without_field = examination(findings("1.1"))
    spine = {name: value for name, value in without_field.document["spine"].items() if name != "disc_heights_between"}
    old = replace(without_field, document={**without_field.document, "spine": spine})
    found = {(change.level, change.structure, change.finding): change for change in compare(old, examination(findings("1.2"))).changes}

    assert found["L4/L5", "disc", "disc_height_mm"].verdict == NOT_COMPARABLE
    assert found["L4/L5", "canal", "canal_ap_mm"].verdict == WITHIN_ERROR
