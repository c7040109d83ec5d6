"""The page as a whole: a drawn spine, axial slices around it, and a network that is known to find the patient's left severe."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cartoon import Drawing, draw, spine_task
from test_explain import DependsOn, grader_of
from test_predictor import SevereOnTheLeft, a_prior

from lumbar.domain.anatomy import Condition, Level, Muscle, Side
from lumbar.domain.findings import DiscGrades, ModelResult, ModelUse, MuscleFinding, MuscleLevel, NormPlace
from lumbar.domain.geometry import Grid
from lumbar.domain.quality import Check, Quality
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import sample
from lumbar.pipeline import Analysis, Models, Request, TaskEntry, analyze
from lumbar.report.document import schema
from lumbar.report.html import render
from lumbar.report.images import draw_images
from lumbar.report.numbers import percent, shown, signed
from lumbar.report.severity_section import COLUMNS, accuracies, overview
from lumbar.report.summary import summary
from lumbar.report.write import write_analysis
from lumbar.severity.predict import Predictor
from lumbar.severity.task import SeverityTask

RESULTS = tuple(ModelResult(part, name, value, "crops of people not trained on") for part in ("canal", "both recesses") for name, value in
                (("auc_severe", 0.971), ("kappa", 0.66), ("loss", 0.4), ("prior", 0.7), ("ece", 0.012), ("coverage", 0.91)))  # fmt: skip


class Page(HTMLParser):
    """Images, identifiers and links of a page, and whether its tags close in order."""

    _VOID = frozenset({"img", "meta", "br", "path", "circle", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.images.append(given)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def analysis(whole_images: None) -> Analysis:
    volume, truth = draw(Drawing())
    rng = np.random.default_rng(0)
    stacks = []
    for number, disc in enumerate(truth.discs[:5]):
        origins = disc + np.array([-60.0, -50.0, 0.0]) + np.arange(-2, 3)[:, None] * [0, 0, 4.0]
        grid = Grid(origins, np.array([0, 0.6, 0]), np.array([0.6, 0, 0]), 200, 200)
        shown = sample(volume, grid.points_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), order=1)  # the same anatomy as the sagittal series, with noise
        noisy = (shown + rng.uniform(0, 10, grid.shape)).astype(np.float32)
        stacks.append(Stack(Volume(noisy, grid), tuple(range(5 * number + 1, 5 * number + 6))))
    sagittal = Series("1.2.sagittal", (Stack(volume, tuple(range(1, len(volume.array) + 1))),), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "drawn")
    axial = Series("1.2.axial", tuple(stacks), Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "made here")
    grading = TaskEntry("severity", "severity", lambda *_: None)
    models = Models(spine_task(), ((grading, SeverityTask(Predictor(a_prior(), grader_of(SevereOnTheLeft())))),))
    return analyze(Study("1.2", (sagittal, axial)), models, Request(tasks=("severity",)))


def page_of(analysis: Analysis) -> str:
    images = draw_images(analysis)
    return render(analysis, images, {name: f"data:,{name}" for name in images})


def test_all_files_are_written_and_every_image_has_words(analysis: Analysis, tmp_path: Path) -> None:
    write_analysis(analysis, tmp_path)
    document = json.loads((tmp_path / "findings.json").read_text())
    jsonschema.validate(document, schema())
    names = {path.stem for path in (tmp_path / "previews").iterdir()}
    assert {"sagittal", "sagittal_plain", "axial_l4_l5", "crop_l4_l5", "heat_left_subarticular_stenosis_l4_l5"} <= names
    assert not any(name.startswith("heat_right") for name in names)  # equal probabilities of the metric are mostly normal ones: no map
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert len(page.images) == len(names)
    assert all(image["alt"] and str(image["src"]).startswith("data:image/jpeg;base64,") for image in page.images)
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert "http://" not in text and "https://" not in text and "<script" not in text


def test_grades_stand_in_the_column_of_their_side_beside_what_was_measured(analysis: Analysis) -> None:
    titles = [title for _, title in COLUMNS]
    assert titles.index("Right recess") < titles.index("Left recess")  # as in the images
    rows = {row.level: row for row in overview(analysis.findings)}
    cells = {cell.title: cell for cell in rows["L4/L5"].cells}
    assert cells["Left recess"].css == "severe"
    assert cells["Right recess"].css == "normal_mild"
    assert cells["Right recess"].score == "0.29"  # equal probabilities over 1, 2, 4 are 4/7, 2/7, 1/7: half of 2/7 and 1/7
    assert {title: value for title, value, _ in rows["L4/L5"].measures}["canal"].startswith(("13.", "14."))  # drawn 14 mm deep
    assert "Severe: L1/L2 left recess and left foramen" in dict(summary(analysis.findings))["severe"]


def test_levels_without_a_graded_image_say_so(analysis: Analysis) -> None:
    prior = a_prior()
    findings = replace(
        analysis.findings,
        severity=tuple(prior.finding(g.condition, g.level) if g.level is Level.L1_L2 else g for g in analysis.findings.severity),
        models=(*analysis.findings.models, prior.use),
    )
    rows = {row.level: row for row in overview(findings)}
    assert all(cell.text == "not graded" for cell in rows["L1/L2"].cells)
    assert all(cell.css for cell in rows["L2/L3"].cells)
    assert "“Not graded”" in page_of(replace(analysis, findings=findings))
    assert "“Not graded”" not in page_of(analysis)


def test_each_grade_is_shown_with_the_accuracy_of_its_model(analysis: Analysis) -> None:
    use = ModelUse("severity_axial_crops", "made-here", "1", "0" * 64, "crops of a data set", True, RESULTS)
    findings = replace(analysis.findings, models=(use,))
    lines = {line.structure: line for line in accuracies(findings)}
    assert set(lines) == {"Spinal canal", "Recesses"}  # nothing is claimed of foramina: the card has no figures for them
    assert (lines["Recesses"].auc, lines["Recesses"].kappa, lines["Recesses"].data) == ("0.97", "0.66", "crops of people not trained on")
    text = page_of(replace(analysis, findings=findings))
    assert "made-here, on unseen cases AUC 0.97 for severe, κ 0.66" in text
    assert "its card has no figures on unseen cases" in text
    assert "made-here was trained on crops of a data set" in text
    assert "research only" in text


def test_clinical_and_metric_weighted_probabilities_are_distinguished(analysis: Analysis) -> None:
    text = page_of(analysis)
    grade = next(g for g in analysis.findings.severity if g.condition is Condition.LEFT_SUBARTICULAR_STENOSIS and g.level is Level.L4_L5)
    clinical, weighted = grade.clinical_probabilities, grade.probabilities
    assert weighted.severe > clinical.severe + 0.0001
    assert f"normal/mild {percent(clinical.normal_mild)}, moderate {percent(clinical.moderate)}, severe {percent(clinical.severe)}" in text
    assert f"{percent(weighted.normal_mild)} / {percent(weighted.moderate)} / {percent(weighted.severe)}" in text


def test_muscles_and_discs_have_their_tables(analysis: Analysis) -> None:
    def one(side: Side, volume: float, asymmetry: float) -> MuscleFinding:
        at = (MuscleLevel(Level.L4_L5, 812.4, None, 700.2),)
        return MuscleFinding(Muscle.MULTIFIDUS, side, volume, 900.0, None, None, 0.127, "mixture", at, lean_volume_ml=40.0, volume_asymmetry=asymmetry)

    both = (one(Side.LEFT, 45.0, -0.2), one(Side.RIGHT, 55.0, 0.2))
    discs = (DiscGrades(Level.L4_L5, 4, {"3": 0.3, "4": 0.7}, narrowing=0.81),)
    text = page_of(replace(analysis, findings=replace(analysis.findings, muscles=both, disc_grades=discs)))
    assert "left smaller by 20 %" in text
    assert "812" in text and "lean 700" in text and "13 %" in text
    assert text.index('<td class="words">right</td>') < text.index('<td class="words">left</td>')
    assert "grades 1 to 5: – – 30 % 70 % –" in text
    assert "Discs of Pfirrmann grade 4 or 5: L4/L5 (4)." in text


def test_fat_is_compared_with_published_groups(analysis: Analysis) -> None:
    norms = (NormPlace(71.6, "healthy people aged 40 to 49", "Crawford et al. 2016"), NormPlace(99.2, "women", "Si et al. 2023"))
    one = MuscleFinding(Muscle.MULTIFIDUS, Side.LEFT, 45.0, 900.0, 0.25, 0.26, None, "Dixon", fat_fraction_corrected=0.23, fat_norms=norms)
    text = page_of(replace(analysis, findings=replace(analysis.findings, muscles=(one,))))
    assert "healthy people aged 40 to 49 (Crawford et al. 2016)" in text
    assert "<td>72 %</td><td>over 95 %</td>" in text
    assert "<td>23 %</td>" in text
    none = page_of(replace(analysis, findings=replace(analysis.findings, muscles=(replace(one, fat_norms=()),))))
    assert "against healthy people" not in none
    assert "require a Dixon pair, and an age" in none


def test_what_people_wrote_into_a_header_stays_text(analysis: Analysis) -> None:
    text = page_of(replace(analysis, findings=replace(analysis.findings, warnings=("<script>alert(1)</script>",))))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    ("value", "digits", "plain", "with_sign"), [(None, 1, "–", "–"), (-1.26, 1, "−1.3", "−1.3"), (-0.04, 1, "0.0", "0.0"), (2.0, 0, "2", "+2")]
)
def test_numbers_for_people(value: float | None, digits: int, plain: str, with_sign: str) -> None:
    assert shown(value, digits) == plain
    assert signed(value, digits) == with_sign


def test_the_map_of_a_network_that_depends_on_the_left_edge_is_drawn_there(analysis: Analysis) -> None:
    grades = Predictor(a_prior(), grader_of(DependsOn((slice(0, 20), slice(0, 30))))).explain(analysis.study, analysis.findings.spine.levels)  # type: ignore[union-attr]
    for finding in grades.findings:
        if finding.most_important is not None and finding.evidence is not None:
            stack = next(s for series in analysis.study.series for s in series.stacks if finding.most_important.instance_number in s.instance_numbers)
            assert finding.most_important.x < stack.volume.grid.columns / 2  # columns run to the patient's left: the crop's left is the right side


def test_a_narrow_canal_that_is_graded_normal_is_pointed_out(analysis: Analysis) -> None:
    """The summary repeats what the quality gate says of canals, and nothing else."""
    note = "L4/L5: the canal measures 3.0 mm, yet it is graded normal or mild"
    quality = Quality("doubtful", (Check("measurement_against_grade", "doubtful", note, level=Level.L4_L5), Check("spacing_even", "doubtful", "uneven")))
    assert dict(summary(replace(analysis.findings, quality=quality)))["notice"] == f"Measurement and grade disagree: {note}."
    passed = Quality("passed", (Check("measurement_against_grade", "passed", "no canal is graded against what it measures"),))
    assert "notice" not in dict(summary(replace(analysis.findings, quality=passed)))
