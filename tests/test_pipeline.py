"""The age as a task of the pipeline, and its section in the report; the network is made here."""

from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cartoon import Drawing, draw, spine_task

from lumbar.age.calibration import Calibration, HeldOut, fit_calibration
from lumbar.age.crops import CropOptions, SliceSet
from lumbar.age.features.measure import Contrast
from lumbar.age.features.predict import FeatureAge
from lumbar.age.predict import AgeResult
from lumbar.age.segments import SEGMENTS, WHOLE
from lumbar.age.task import AgeTask
from lumbar.cli.main import main
from lumbar.domain.findings import AgeFinding, Importance, LevelAge, LevelFinding, ModelUse, Selta
from lumbar.domain.part import Part
from lumbar.domain.study import Patient, Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.io.nifti import write_nifti
from lumbar.models.folder import load_folder
from lumbar.models.registry import find_folder
from lumbar.pipeline import TABLE, Analysis, Models, Request, TaskEntry, analyze
from lumbar.report.age_section import age_section
from lumbar.report.document import schema, to_document
from lumbar.report.html import render
from lumbar.report.images import draw_images
from lumbar.spine.find import FoundSpine

pytestmark = pytest.mark.usefixtures("whole_images")


def a_calibration() -> Calibration:
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 90, 400)
    years = {name: 20 + 0.7 * age + rng.normal(0, 5, 400) for name in SEGMENTS}
    return fit_calibration(HeldOut(age, years, rng.normal(size=(400, 4)), np.ones(400, bool)), rng.normal(size=(300, 4)), (20.0, 90.0))


class AgePredictor:
    """Predicts 61 years for all studies, and records its arguments."""

    use = ModelUse("age", "made-here", "1", "0" * 64, "synthetic people")
    calibration = a_calibration()

    def __init__(self, levels_needed: int = 0) -> None:
        self.levels_needed = levels_needed
        self.calls: list[tuple[float | None, str | None]] = []

    def predict(self, volume: Volume, levels: tuple[LevelFinding, ...], known: float | None, sex: str | None) -> AgeResult:
        if len(levels) < self.levels_needed:
            raise InputError("too few levels")
        self.calls.append((known, sex))
        delta = self.calibration.delta(61.0, known) if known is not None else None
        selta = (Selta("L4/L5", 2.6, True),) if known is not None else ()
        finding = AgeFinding(
            61.0, (50.0, 72.0), 0.9, None if known is None else 61.0 - known, delta[0] if delta else None,
            tuple(LevelAge(name, 60.0) for name in SEGMENTS if name != WHOLE), selta, (Importance("L4", -1.0), Importance("L4/L5", 4.0)),
            age_delta_z=delta[1] if delta else None, age_delta_percentile=delta[2] if delta else None,
        )  # fmt: skip
        return AgeResult(finding, (), None, False, True, ("age: synthetic people only",))


@pytest.fixture
def study() -> Study:
    volume, _ = draw(Drawing())
    stack = Stack(volume, tuple(range(1, len(volume.array) + 1)))
    return Study("1", (Series("s", (stack,), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "drawn"),), Patient(71.0, "F"))


@pytest.fixture
def predictor() -> AgePredictor:
    return AgePredictor()


AGE = next(entry for entry in TABLE if entry.name == "age")


def with_age(predictor: AgePredictor | None) -> Models:
    return Models(spine_task(), ((AGE, None if predictor is None else AgeTask(predictor)),))  # type: ignore[arg-type]


def aged(study: Study, predictor: AgePredictor | None, **options: object) -> Analysis:
    return analyze(study, with_age(predictor), Request(tasks=("age",), **options))  # type: ignore[arg-type]


def page_of(analysis: Analysis) -> str:
    images = draw_images(analysis)
    return render(analysis, images, dict.fromkeys(images, "data:,x"))


def test_an_age_is_predicted_only_on_request(study: Study, predictor: AgePredictor) -> None:
    analysis = analyze(study, with_age(predictor), Request(tasks=("spine",)))
    assert analysis.findings.age is None
    assert predictor.calls == []
    analysis = aged(study, predictor)
    assert predictor.calls == [(71.0, "F")]  # from the header
    assert analysis.findings.age is not None
    assert analysis.findings.age.age_delta_years == -10.0
    assert analysis.findings.age.age_delta_z is not None
    assert analysis.findings.models[-1].name == "made-here"
    assert "age: synthetic people only" in analysis.findings.warnings
    assert analysis.findings.unmet_tasks == ()
    jsonschema.validate(to_document(analysis.findings), schema())


def test_options_take_precedence_over_the_header(study: Study, predictor: AgePredictor) -> None:
    aged(study, predictor, age_years=0.0, sex="M")
    assert predictor.calls == [(0.0, "M")]
    aged(replace(study, patient=Patient()), predictor)
    assert predictor.calls[-1] == (None, None)


def test_an_unused_age_is_reported(study: Study, predictor: AgePredictor) -> None:
    text = "an age was given with --age"
    assert any(text in warning for warning in analyze(study, with_age(predictor), Request(age_years=50.0)).findings.warnings)
    assert not any(text in warning for warning in analyze(study, with_age(predictor)).findings.warnings)
    assert predictor.calls == []


def test_without_a_sagittal_t2_or_levels_there_is_no_age_but_a_warning(study: Study, predictor: AgePredictor) -> None:
    t1 = replace(study, series=(replace(study.series[0], role=Role.SAGITTAL_T1, weighting=Weighting.T1),))
    for one, needed, text in ((t1, 0, "needs a sagittal T2 or STIR"), (study, 9, "too few levels")):
        predictor.levels_needed = needed
        analysis = aged(one, predictor)
        assert analysis.findings.age is None
        assert analysis.findings.unmet_tasks == ("age",)
        assert any(text in warning for warning in analysis.findings.warnings)
    analysis = aged(study, None)
    assert analysis.findings.unmet_tasks == ("age",)
    assert any("age: no model is installed" in warning for warning in analysis.findings.warnings)


def test_the_command_exits_with_4_where_the_requested_age_is_missing(study: Study, drawn_spine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lumbar.age.task.has_model", lambda *_: False)
    write_nifti(tmp_path / "sagittal_t2.nii.gz", study.series[0].stacks[0].volume)
    with pytest.raises(SystemExit) as left:
        main(["analyze", str(tmp_path / "sagittal_t2.nii.gz"), "-o", str(tmp_path / "out"), "--tasks", "spine,age", "--age", "50", "--sex", "F"])
    assert left.value.code == 4
    assert (tmp_path / "out" / "report.html").is_file()


class DiscCount:
    """A made-up task: how many discs are in view."""

    def run(self, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        return Part("disc_count", {"disc_count": len(spine.spine.finding.levels)}, warnings=("disc count: made up",))


def test_a_new_task_needs_only_its_room_and_a_row_of_the_table(study: Study) -> None:
    entry = TaskEntry("disc_count", "disc_count", lambda *_: DiscCount())
    analysis = analyze(study, Models(spine_task(), ((entry, DiscCount()),)))
    document = to_document(analysis.findings)
    assert document["disc_count"] == 5
    assert "disc count: made up" in document["warnings"]
    jsonschema.validate(document, schema())


def test_the_report_explains_delta_and_selta(study: Study, predictor: AgePredictor) -> None:
    text = page_of(aged(study, predictor))
    assert "61 years (90 % interval 50 to 72)" in text
    assert "Delta −10.0 years: the spine appears younger than the person&#39;s 71 years" in text
    assert "Selta L4/L5 +2.6: this segment is ahead of L1–L3 by that many standard deviations, outside the 95 % range of healthy people." in text
    assert "not valid for patients" in text
    alone = page_of(aged(replace(study, patient=Patient()), predictor))
    assert "Delta" not in alone.split('id="measurements"')[0].split('id="age"')[1]
    assert "No chronological age was given" in alone


def test_the_persons_point_lies_on_the_curve_where_its_numbers_say(study: Study, predictor: AgePredictor) -> None:
    analysis = aged(study, predictor)
    section = age_section(analysis, {})
    assert section is not None
    curve = section.curve
    assert curve.point is not None

    def value(place: float, ticks: tuple[tuple[float, str], ...]) -> float:
        places, labels = zip(*ticks, strict=True)
        slope, start = np.polyfit(places, [float(label) for label in labels], 1)
        return float(slope * place + start)

    assert value(curve.point[0], curve.ticks_x) == pytest.approx(71, abs=0.3)
    assert value(curve.point[1], curve.ticks_y) == pytest.approx(61, abs=0.3)
    assert value(curve.low, curve.ticks_y) == pytest.approx(50, abs=0.3)
    assert curve.low > curve.middle > curve.high  # a drawing's y runs downwards
    bars = {bar.title: bar for bar in section.importance}
    assert bars["L4/L5"].start == 50 and bars["L4/L5"].width == 50
    assert bars["L4"].start == pytest.approx(37.5) and bars["L4"].width == 12.5  # a quarter of the largest, to the younger side
    assert [bar.flagged for bar in section.bars if bar.title == "L4/L5"] == [True]


class NetworkOf50(AgePredictor):
    """Says 50 years of every segment, for a model of features."""

    options = CropOptions()
    synthetic_only = True

    def predict_slices(self, slices: SliceSet, known: float | None, sex: str | None, explained: bool = True) -> AgeResult:
        return replace(self.predict(None, (), known, sex), segment_years=dict.fromkeys(SEGMENTS, 50.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(("weighting", "supported"), [(Weighting.T2, True), (Weighting.STIR, False), (Weighting.T1, False)])
def test_an_age_from_features_or_the_features_alone(study: Study, weighting: Weighting, supported: bool) -> None:
    """The shipped model gives an age on T2; on other contrasts the report says that it is not supported, and shows what was measured."""
    features = FeatureAge(load_folder(find_folder("age_features"), 1, "age_features"))
    scale = features.model.weights[Contrast.T2].scales[Contrast.T2]
    scale.median[features.model.weights[Contrast.T2].names.index("csf_to_marrow")] = np.log(0.5)  # the drawing's canal is half as bright as its bodies
    role = Role.SAGITTAL_T1 if weighting is Weighting.T1 else Role.SAGITTAL_T2
    shown = replace(study, series=(replace(study.series[0], weighting=weighting, role=role),))
    models = Models(spine_task(), ((AGE, AgeTask(NetworkOf50(), features)),))  # type: ignore[arg-type]
    analysis = analyze(shown, models, Request(tasks=("age",)))
    found = analysis.findings.age
    assert found is not None and found.supported is supported and (found.predicted_age_years is not None) is supported
    assert {feature.name for feature in found.features} >= {"disc_to_marrow", "dorsal_tissue"}
    assert ("age" in analysis.findings.unmet_tasks) is not supported
    jsonschema.validate(to_document(analysis.findings), schema())
    page = page_of(analysis)
    assert "disc signal / marrow signal" in page
    assert ("Age not supported" in page) is not supported
    assert len(found.importance) == (5 if supported else 0)
