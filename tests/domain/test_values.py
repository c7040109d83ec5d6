"""Findings as one row per value, from a document worked out by hand."""

from lumbar.domain.values import ValueRow, value_rows

PROBABILITIES = {"normal_mild": 0.1, "moderate": 0.2, "severe": 0.7}
DOCUMENT = {
    "spine": {
        "numbering": {"confident": True, "note": ""},
        "vertebrae": [{"vertebra": "L4", "center_mm": [1, 2, 3], "height_anterior_mm": 25.5, "height_middle_mm": None}],
        "levels": [{"level": "L4/L5", "center_mm": [1, 2, 3], "disc_height_mm": 7.5, "disc_height_mm_error": 0.4, "canal_ap_mm": 12.0, "meyerding_grade": 1,
                    "quality": "failed"}],
        "total_lordosis_degrees": 41.0,
    },
    "severity": [
        {
            "condition": "left_subarticular_stenosis", "level": "L4/L5", "quality": "failed", "severity": "severe", "severity_score": 0.9,
            "probabilities": PROBABILITIES, "clinical_probabilities": {**PROBABILITIES, "severe": 0.5},
        }
    ],
    "disc_grades": [{"level": "L4/L5", "quality": "passed", "pfirrmann_grade": 4, "probabilities": {"4": 0.9}, "bulging": 0.25, "modic": None}],
    "muscles": [
        {"muscle": "multifidus", "side": "right", "volume_ml": 30.0, "fat_fraction_mean": None, "per_level": [{"level": "L4/L5", "csa_mm2": 900.0}]}
    ],
    "age": {"predicted_age_years": 60.0, "interval_years": [50.0, 68.0], "coverage": 0.9, "level_ages": [{"level": "L4/L5", "predicted_age_years": 66.0}]},
    "quality": {"status": "doubtful", "checks": []},
}  # fmt: skip


def test_every_value_has_its_row_and_what_was_not_measured_has_none():
    bad, good, rest = "failed", "passed", "doubtful"  # the whole study's where an entry has none of its own
    assert value_rows("s1", DOCUMENT) == [
        ValueRow("s1", "", "", "spine", "total_lordosis_degrees", 41.0, "°", None, rest),
        ValueRow("s1", "L4", "", "vertebra", "height_anterior_mm", 25.5, "mm", None, rest),
        ValueRow("s1", "L4/L5", "", "disc", "disc_height_mm", 7.5, "mm", 0.4, bad),
        ValueRow("s1", "L4/L5", "", "canal", "canal_ap_mm", 12.0, "mm", None, bad),
        ValueRow("s1", "L4/L5", "", "segment", "meyerding_grade", 1.0, "", None, bad),
        ValueRow("s1", "L4/L5", "left", "recess", "subarticular_stenosis_grade_0_2", 2.0, "grade 0-2", None, bad),
        ValueRow("s1", "L4/L5", "left", "recess", "subarticular_stenosis_score", 0.9, "", None, bad),
        ValueRow("s1", "L4/L5", "left", "recess", "subarticular_stenosis_p_severe", 0.5, "", None, bad),
        ValueRow("s1", "L4/L5", "", "disc", "pfirrmann_grade", 4.0, "", None, good),
        ValueRow("s1", "L4/L5", "", "disc", "disc_bulging_p", 0.25, "", None, good),
        ValueRow("s1", "", "right", "multifidus", "volume_ml", 30.0, "ml", None, rest),
        ValueRow("s1", "L4/L5", "right", "multifidus", "csa_mm2", 900.0, "mm²", None, rest),
        ValueRow("s1", "", "", "spine", "predicted_age_years", 60.0, "years", 9.0, rest),
        ValueRow("s1", "L4/L5", "", "segment", "predicted_age_years", 66.0, "years", None, rest),
    ]


def test_a_document_of_an_older_version_without_quality_has_blank_quality():
    (row,) = value_rows("s1", {"spine": {"total_lordosis_degrees": 3.0}})
    assert row.quality == ""
    assert value_rows("s1", {}) == []
