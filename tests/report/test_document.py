"""findings.json: names, rounding, and values that were not measured."""

import json
import math
from dataclasses import replace

import jsonschema
import pytest

from lumbar.domain.anatomy import Condition, Level, Muscle, Severity, Side, Vertebra
from lumbar.domain.findings import (
    AgeFinding,
    Evidence,
    Findings,
    LevelFinding,
    ModelResult,
    ModelUse,
    MuscleFinding,
    MuscleLevel,
    MuscleSlice,
    Numbering,
    Probabilities,
    SeriesFacts,
    SeverityFinding,
    SpineFinding,
    VertebraFinding,
)
from lumbar.report.document import SCHEMA_VERSION, schema, to_document, to_json
from lumbar.report.reference_ranges import RANGES
from lumbar.report.schema import build_schema

LEVEL = LevelFinding(Level.L4_L5, (1.23456789, -2.0, 3.0), disc_height_mm=7.123456, slip_mm=-3.5, canal_ap_mm=9.0, meyerding_grade=1)
GRADE = SeverityFinding(
    Condition.LEFT_SUBARTICULAR_STENOSIS, Level.L4_L5, Probabilities(0.2, 0.3, 0.5), Probabilities(0.5, 0.3, 0.2), Severity.SEVERE, 0.71,
    Evidence("1.2.3", 17, 101.5, 88.25),
)  # fmt: skip
FINDINGS = Findings(
    study_uid="1.2",
    series=(SeriesFacts("1.2.3", "sagittal", "T2", "sagittal_t2_stir", 15, (4.4, 0.6, 0.6)),),
    spine=SpineFinding(Numbering(True, "sure"), (VertebraFinding(Vertebra.L4, (0.0, 0.0, 0.0)),), (LEVEL,), 44.4444444),
    severity=(GRADE,),
    muscles=(MuscleFinding(Muscle.MULTIFIDUS, Side.LEFT, 90.0, 800.0, 0.1, 0.12, None, "dixon", (MuscleLevel(Level.L4_L5, 700.0, None),)),),
    age=AgeFinding(61.0, (50.0, 72.0), 0.9, 4.0, None),
    warnings=("something",),
)


def test_the_document_fits_its_schema_and_uses_the_published_names():
    document = json.loads(to_json(to_document(FINDINGS)))
    jsonschema.validate(document, schema())
    assert document["spine"]["levels"][0]["level"] == "L4/L5"
    assert document["spine"]["vertebrae"][0] == {
        "vertebra": "L4", "center_mm": [0.0, 0.0, 0.0], "height_anterior_mm": None, "height_middle_mm": None, "height_posterior_mm": None,
            "wedge_degrees": None, "bony_canal_ap_mm": None,
    }  # fmt: skip
    assert document["severity"][0]["condition"] == "left_subarticular_stenosis"
    assert document["severity"][0]["evidence"] == {"series_uid": "1.2.3", "instance_number": 17, "x": 101.5, "y": 88.25}
    assert document["severity"][0]["severity"] == "severe"
    assert document["muscles"][0]["muscle"] == "multifidus" and document["muscles"][0]["side"] == "left"
    assert document["age"]["interval_years"] == [50.0, 72.0]
    assert "Research use only" in document["statement"]


def test_numbers_are_rounded_once_and_what_was_not_measured_is_null():
    document = to_document(FINDINGS)
    level = document["spine"]["levels"][0]
    assert level["center_mm"][0] == 1.23
    assert level["disc_height_mm"] == 7.12
    assert level["disc_signal_ratio"] is None
    odd = to_document(replace(FINDINGS, spine=replace(FINDINGS.spine, total_lordosis_degrees=math.nan)))
    assert odd["spine"]["total_lordosis_degrees"] is None
    json.loads(to_json(odd), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_a_document_with_a_wrong_level_does_not_fit_the_schema():
    document = to_document(FINDINGS)
    document["spine"]["levels"][0]["level"] = "L6/S1"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


def test_values_outside_the_usual_range_are_marked_and_others_are_not():
    marked = {r.field for r in RANGES if r.marked(LEVEL)}
    assert marked == {"canal_ap_mm", "slip_mm", "meyerding_grade"}
    assert not any(r.marked(LevelFinding(Level.L1_L2, (0.0, 0.0, 0.0))) for r in RANGES)


def test_z_scores_are_zero_in_the_middle_of_the_norm_and_two_at_its_limits():
    heights = next(r for r in RANGES if r.field == "disc_height_mm")
    found = [heights.z(LevelFinding(Level.L1_L2, (0.0, 0.0, 0.0), disc_height_mm=height)) for height in (6.25, 8.62, 10.99, None)]
    assert found[:3] == pytest.approx([-1.96, 0.0, 1.96], abs=1e-6) and found[3] is None
    assert all(r.z(LEVEL) is None for r in RANGES if not r.norms)


def test_the_published_schema_is_the_one_of_the_dataclasses():
    assert schema() == build_schema(SCHEMA_VERSION), "run python scripts/write_schema.py"


def test_the_schema_describes_fields_and_refuses_wrong_values():
    level = build_schema(SCHEMA_VERSION)["$defs"]["LevelFinding"]
    assert level["properties"]["level"]["enum"] == ["L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"]
    assert level["properties"]["disc_height_mm"]["anyOf"] == [{"type": "number"}, {"type": "null"}]
    assert "middle of the disc" in level["properties"]["center_mm"]["description"]


def test_short_parts_of_the_document_stand_on_one_line():
    document = {"levels": [{"level": "L4/L5", "center_mm": [1.0, 2.0, 3.0]}] * 100, "note": "x" * 3000}
    text = to_json(document)
    assert json.loads(text) == document
    assert '{"level":"L4/L5","center_mm":[1.0,2.0,3.0]}' in text
    assert max(len(line) for line in text.splitlines() if "note" not in line) <= 2000


def test_documents_contain_headline_figures_and_omit_empty_fields():
    results = (ModelResult("canal", "loss", 0.3, "unseen", (0.2, 0.4), headline=True), ModelResult("canal", "kappa", 0.8, "unseen"))
    document = to_document(replace(FINDINGS, models=(ModelUse("severity", "crops", "1", "ab", "data", results=results),)))
    assert document["models"][0]["results"] == [{"structure": "canal", "metric": "loss", "value": 0.3, "data": "unseen", "interval": [0.2, 0.4]}]
    assert {"note", "most_important"}.isdisjoint(document["severity"][0])
    assert to_document(replace(FINDINGS, severity=(replace(GRADE, note="far"),)))["severity"][0]["note"] == "far"
    jsonschema.validate(document, schema())


def test_slices_of_muscles_hold_place_area_and_fat():
    muscle = replace(FINDINGS.muscles[0], per_slice=(MuscleSlice(-12.347, 700.04, None, 650.0),))
    document = to_document(replace(FINDINGS, muscles=(muscle,)))
    assert document["muscles"][0]["per_slice"] == [{"z_mm": -12.3, "csa_mm2": 700.0, "fat_fraction_mean": None}]
    jsonschema.validate(document, schema())
