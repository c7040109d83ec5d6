"""Grades of a whole study: 25 of them, each saying where it comes from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lumbar.domain.anatomy import Condition, Level
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import ModelError
from lumbar.models import registry
from lumbar.models.card import Card
from lumbar.models.folder import Model, write_card
from lumbar.models.registry import find_folder, find_model
from lumbar.severity.axial.grader import CropGrader
from lumbar.severity.calibration import Calibration
from lumbar.severity.learn.calibrate import as_parameters
from lumbar.severity.predict import Predictor, load
from lumbar.severity.prior import TASK, Prior
from lumbar.severity.studies.grader import StudyGrader

CENTER = np.array([4.0, 30.0, -50.0])


def series(role: Role, plane: Plane) -> Series:
    """21 slices of 200 × 200 pixels of 0.5 mm around CENTER, with noise in them."""
    half = 0.5 * 199 / 2
    if plane is Plane.AXIAL:
        steps, normal, gap = ((0, 0.5, 0), (0.5, 0, 0)), np.array([0, 0, 1.0]), 4.0
    else:
        steps, normal, gap = ((0, 0, -0.5), (0, 0.5, 0)), np.array([1.0, 0, 0]), 4.0
    corner = CENTER - half * 2 * (np.array(steps[0]) + np.array(steps[1]))
    origins = corner + gap * (np.arange(21) - 10)[:, None] * normal
    array = np.random.default_rng(0).uniform(0, 100, (21, 200, 200)).astype(np.float32)
    stack = Stack(Volume(array, Grid(origins, np.array(steps[0]), np.array(steps[1]), 200, 200)), tuple(range(1, 22)))
    return Series(role.value, (stack,), plane, Weighting.T2, role, "made here")


STUDY = Study("1", (series(Role.AXIAL_T2, Plane.AXIAL), series(Role.SAGITTAL_T1, Plane.SAGITTAL), series(Role.SAGITTAL_T2, Plane.SAGITTAL)))
LEVELS = [LevelFinding(Level.L4_L5, tuple(CENTER + np.array([0, -20, 0])), tuple(CENTER))]


class SevereOnTheLeft:
    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits = np.zeros((len(inputs["crops"]), 5, 3), np.float32)
        logits[:, [1, 3], 2] = 9.0
        return {"logits": logits}


def a_grader() -> CropGrader:
    calibration = as_parameters(Calibration((1.0,) * 5, (1.0,) * 5, (0.4,) * 5))
    card = Card("made-here", "1", "severity_axial_crops", "", "", (), (), (), (), (), parameters={"calibration": calibration})
    return CropGrader(Model(Path("made-here"), card, (SevereOnTheLeft(),), "0" * 64))  # type: ignore[arg-type]


def a_prior() -> Prior:
    return Prior(find_model(TASK))


def test_25_findings_each_with_the_name_of_its_model() -> None:
    predictor = Predictor(a_prior(), a_grader())
    findings = predictor.predict(STUDY, LEVELS)
    assert [(f.condition, f.level) for f in findings] == [(c, v) for c in Condition for v in Level]
    assert {f.level for f in findings if f.model == "made-here"} == {Level.L4_L5}
    assert {f.level for f in findings if f.model == "severity-prior"} == set(Level) - {Level.L4_L5}
    for f in findings:
        assert sum(vars(f.probabilities).values()) == pytest.approx(1)
        assert sum(vars(f.clinical_probabilities).values()) == pytest.approx(1)
    graded = {f.condition: f for f in findings if f.level is Level.L4_L5}
    assert graded[Condition.LEFT_SUBARTICULAR_STENOSIS].severity.value == "severe"
    assert not graded[Condition.LEFT_SUBARTICULAR_STENOSIS].uncertain
    assert graded[Condition.RIGHT_SUBARTICULAR_STENOSIS].probabilities.severe == pytest.approx(1 / 3)
    warning, note = predictor.warnings(findings)
    assert note.endswith("left neural foraminal narrowing L4/L5, right neural foraminal narrowing L4/L5")
    assert "axial T2" in note
    assert "20 of 25 severity grades are population frequencies" in warning
    assert "L4/L5" not in warning


def test_evidence_lies_at_the_position_of_the_condition() -> None:
    findings = {f.condition: f for f in Predictor(a_prior(), a_grader()).predict(STUDY, LEVELS) if f.level is Level.L4_L5}
    by_uid = {s.series_uid: s for s in STUDY.series}

    def place(condition: Condition) -> tuple[Role, np.ndarray]:
        e = findings[condition].evidence
        assert e is not None
        stack = by_uid[e.series_uid].stacks[0]
        return by_uid[e.series_uid].role, stack.volume.grid.points_mm([stack.instance_numbers.index(e.instance_number), e.y, e.x])

    role, point = place(Condition.SPINAL_CANAL_STENOSIS)
    assert role is Role.SAGITTAL_T2
    assert np.linalg.norm(point[1:] - CENTER[1:]) < 3
    left, right = place(Condition.LEFT_SUBARTICULAR_STENOSIS), place(Condition.RIGHT_SUBARTICULAR_STENOSIS)
    assert (left[0], right[0]) == (Role.AXIAL_T2, Role.AXIAL_T2)
    assert left[1][0] - right[1][0] == pytest.approx(14, abs=1)  # the patient's left has the larger x
    left, right = place(Condition.LEFT_NEURAL_FORAMINAL_NARROWING), place(Condition.RIGHT_NEURAL_FORAMINAL_NARROWING)
    assert (left[0], right[0]) == (Role.SAGITTAL_T1, Role.SAGITTAL_T1)
    assert left[1][0] - right[1][0] == pytest.approx(32, abs=4)  # to the nearest slice of either side
    others = [f for f in Predictor(a_prior(), a_grader()).predict(STUDY, LEVELS) if f.level is not Level.L4_L5]
    assert all(f.evidence is None for f in others)  # levels that were not found


def test_without_the_research_model_all_grades_are_frequencies_with_a_warning() -> None:
    predictor = Predictor(a_prior(), None)
    findings = predictor.predict(STUDY, LEVELS)
    assert {f.model for f in findings} == {"severity-prior"}
    assert "no model for them is installed" in predictor.warnings(findings)[0]
    assert [use.name for use in predictor.uses] == ["severity-prior"]


class SevereLeftForamina:
    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits = np.zeros((len(inputs["present"]), 5, 5, 3), np.float32)
        logits[:, 1, :, 2] = 9.0
        return {"logits": logits}


def a_study_grader() -> StudyGrader:
    calibration = as_parameters(Calibration((1.0,) * 5, (1.0,) * 5, (0.4,) * 5))
    card = Card("whole", "1", "severity_studies", "", "", (), (), (), (), (), parameters={"calibration": calibration})
    return StudyGrader(Model(Path("whole"), card, (SevereLeftForamina(),), "0" * 64))  # type: ignore[arg-type]


def test_a_model_for_whole_studies_grades_only_levels_in_its_views() -> None:
    sagittal_only = Study("1", STUDY.series[1:])
    predictor = Predictor(a_prior(), a_study_grader())
    findings = predictor.predict(sagittal_only, LEVELS)
    graded = {f.condition: f for f in findings if f.model == "whole"}
    assert {f.level for f in graded.values()} == {Level.L4_L5}
    assert set(graded) == {Condition.SPINAL_CANAL_STENOSIS, Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Condition.RIGHT_NEURAL_FORAMINAL_NARROWING}
    assert graded[Condition.LEFT_NEURAL_FORAMINAL_NARROWING].severity.value == "severe"
    assert graded[Condition.RIGHT_NEURAL_FORAMINAL_NARROWING].probabilities.severe == pytest.approx(1 / 3)
    assert "22 of 25" in predictor.warnings(findings)[0]
    assert len({f.condition for f in predictor.predict(STUDY, LEVELS) if f.model == "whole"}) == 5  # an axial slice shows the recesses, too
    assert "synthetic" not in "".join(predictor.warnings(findings))
    card = replace(a_study_grader().model.card, parameters={**a_study_grader().model.card.parameters, "synthetic_only": True})
    synthetic = StudyGrader(replace(a_study_grader().model, card=card))
    assert "synthetic studies only" in Predictor(a_prior(), synthetic).warnings(findings)[1]
    explained = predictor.explain(sagittal_only, LEVELS)
    assert (explained.heat_maps, explained.crops) == ((), {})


def test_a_model_can_be_averaged_with_the_frequencies() -> None:
    plain = a_study_grader()
    card = replace(plain.model.card, parameters={**plain.model.card.parameters, "prior_share": 0.25})
    mixed = StudyGrader(replace(plain.model, card=card))
    cells = [{(f.condition, f.level): f for f in Predictor(a_prior(), grader).predict(STUDY, LEVELS)} for grader in (plain, mixed)]
    place = Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Level.L4_L5
    usual = a_prior().finding(*place)
    for kind in ("probabilities", "clinical_probabilities"):
        alone, together, frequencies = (np.array([*vars(getattr(f, kind)).values()]) for f in (cells[0][place], cells[1][place], usual))
        np.testing.assert_allclose(together, 0.75 * alone + 0.25 * frequencies, atol=1e-9)


def test_the_first_model_of_either_kind_takes_precedence(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes((find_folder("spine") / "model.onnx").read_bytes())
    write_card(tmp_path, a_study_grader().model.card)
    assert load(tmp_path).uses[0].name == "whole"
    assert load().uses[0].name == "severity-axial-crops"


def test_without_research_weights_the_synthetic_model_grades_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PLACES", registry.PLACES[1:])
    predictor = load(threads=1)
    assert [use.name for use in predictor.uses] == ["severity-phantom", "severity-prior"]
    findings = predictor.predict(STUDY, LEVELS)
    assert sum(f.model == "severity-phantom" for f in findings) == 5
    assert "was trained on synthetic studies only" in predictor.warnings(findings)[1]


def test_the_prior_gives_the_published_frequencies_and_their_weighted_form() -> None:
    finding = a_prior().finding(Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Level.L1_L2)
    shares = np.array([*vars(finding.clinical_probabilities).values()])
    assert shares[0] > 0.95
    weighted = shares * [1, 2, 4]
    np.testing.assert_allclose([*vars(finding.probabilities).values()], weighted / weighted.sum())
    model = find_model(TASK)
    broken = Model(model.folder, replace(model.card, parameters={"shares": {}}), (), model.sha256)
    with pytest.raises(ModelError, match="has no shares for"):
        Prior(broken)


def test_load_finds_the_packaged_models() -> None:
    assert load(threads=1).prior.name == "severity-prior"
