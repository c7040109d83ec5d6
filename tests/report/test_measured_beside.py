"""What is measured stands beside the grade of the same place and side, and nothing that was not measured."""

from dataclasses import replace

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.findings import ForamenFat, LevelFinding, Probabilities, SeverityFinding
from lumbar.report.numbers import measure, measure_in_mm
from lumbar.report.severity_section import measured_beside

EVEN = Probabilities(0.4, 0.3, 0.3)
LEFT = SeverityFinding(Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Level.L4_L5, EVEN, EVEN, Severity.MODERATE, 0.5, None)
LEVEL = LevelFinding(Level.L4_L5, (0.0, 0.0, 0.0), canal_ap_mm=11.0, foramen_height_left_mm=14.2, foramen_width_left_mm=5.1, foramen_height_right_mm=17.3)


def test_a_foramen_has_the_size_and_the_fat_of_its_own_side() -> None:
    text = measured_beside(replace(LEFT, foramen_fat=ForamenFat(21.4, 8.0, 3.6)), LEVEL)
    assert text.startswith("fat around the nerve root 21 mm² (8 mm high, 4 mm wide; median by grade: normal/mild 53, moderate 23, severe 5)")
    assert "foramen height 14.2 mm, narrowest width 5.1 mm;" in text
    right = measured_beside(replace(LEFT, condition=Condition.RIGHT_NEURAL_FORAMINAL_NARROWING), LEVEL)
    assert "foramen height 17.3 mm;" in right and "fat" not in right and "width" not in right


def test_other_places_have_no_foramen() -> None:
    assert "foramen" not in measured_beside(replace(LEFT, condition=Condition.LEFT_SUBARTICULAR_STENOSIS), LEVEL)
    unmeasured = replace(LEVEL, foramen_height_left_mm=None, foramen_width_left_mm=None)
    assert "foramen not measured (its height, width and area)" in measured_beside(LEFT, unmeasured)
    assert "not measured" not in measured_beside(replace(LEFT, condition=Condition.RIGHT_NEURAL_FORAMINAL_NARROWING), unmeasured)
    assert measured_beside(LEFT, None) == "–"


def test_a_canal_narrower_than_its_error_is_written_as_a_limit() -> None:
    """1.8 mm is known to ± 2.5 mm: up to 4.3 mm."""
    canal = replace(LEFT, condition=Condition.SPINAL_CANAL_STENOSIS)
    assert "canal AP diameter below 5 mm," in measured_beside(canal, replace(LEVEL, canal_ap_mm=1.8))
    assert "canal AP diameter 11.0 mm," in measured_beside(canal, LEVEL)


def test_the_table_writes_a_narrow_canal_like_the_text() -> None:
    assert measure("canal_ap_mm", 1.8, 1) == "below 5" and measure_in_mm("canal_ap_mm", 1.8) == "below 5 mm"
    assert measure("canal_ap_mm", 11.0, 1) == "11.0" and measure("canal_ap_mm", None, 1) == "–"
    assert measure("slip_mm", 1.8, 1) == "1.8"  # other measurements keep their values
