"""The severity section of the report: an overview by level, and the evidence of moderate and severe findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.findings import DiscGrades, Evidence, Findings, ForamenFat, LevelFinding, ModelUse, SeverityFinding
from lumbar.pipeline import Analysis
from lumbar.report.images import ReportImage, name_of, shown_findings, words
from lumbar.report.numbers import canal_in_mm, in_mm, measure_in_mm, shown
from lumbar.report.reference_ranges import RANGES
from lumbar.severity.foramina.fat import USUAL_AREA_MM2
from lumbar.severity.prior import TASK as PRIOR_TASK

# As images show them: the patient's right on the left.
COLUMNS = (
    (Condition.SPINAL_CANAL_STENOSIS, "Spinal canal"),
    (Condition.RIGHT_SUBARTICULAR_STENOSIS, "Right recess"),
    (Condition.LEFT_SUBARTICULAR_STENOSIS, "Left recess"),
    (Condition.RIGHT_NEURAL_FORAMINAL_NARROWING, "Right foramen"),
    (Condition.LEFT_NEURAL_FORAMINAL_NARROWING, "Left foramen"),
)
GRADE_WORDS = {Severity.NORMAL_MILD: "normal/mild", Severity.MODERATE: "moderate", Severity.SEVERE: "severe"}
DISC_FINDINGS = (("narrowing", "narrowing"), ("bulging", "bulging"), ("herniation", "herniation"), ("endplate", "endplate change"), ("modic", "Modic change"))
# Names of structures on the cards, by condition.
_RESULTS = {
    Condition.SPINAL_CANAL_STENOSIS: "canal",
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: "foramen",
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: "foramen",
    Condition.LEFT_SUBARTICULAR_STENOSIS: "both recesses",
    Condition.RIGHT_SUBARTICULAR_STENOSIS: "both recesses",
}


@dataclass(frozen=True)
class Cell:
    """One grade in the overview."""

    title: str
    css: str  # of the grade; empty where no image was graded
    text: str
    score: str
    note: str  # the conformal set, if it holds several grades


@dataclass(frozen=True)
class Row:
    """One level of the overview."""

    level: str
    cells: tuple[Cell, ...]
    measures: tuple[tuple[str, str, bool], ...]  # title, value with unit, whether it lies outside the reference range


@dataclass(frozen=True, eq=False)
class Detail:
    """One finding with its evidence."""

    title: str
    css: str
    text: str
    score: float
    clinical: tuple[float, float, float]
    weighted: tuple[float, float, float]
    certainty: str
    heat: ReportImage | None
    place: str  # of the evidence
    measure: str  # shown beside this grade
    accuracy: str  # the model and its measured results


@dataclass(frozen=True, eq=False)
class Block:
    """A level with a moderate or severe finding."""

    level: str
    sentence: str
    crop: ReportImage | None
    views: tuple[ReportImage, ...]
    details: tuple[Detail, ...]


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of the grades of one structure on unseen studies."""

    structure: str
    model: str
    auc: str
    kappa: str
    loss: str
    prior: str
    error: str
    coverage: str
    data: str


def overview(findings: Findings) -> tuple[Row, ...]:
    """One row per level, from cranial to caudal."""
    if not findings.severity:
        return ()
    by_place = {(g.condition, g.level): g for g in findings.severity}
    measured = {f.level: f for f in findings.spine.levels} if findings.spine else {}
    discs = {d.level: d for d in findings.disc_grades}
    graded = {g.model for g in findings.severity} - priors_of(findings)
    rows = []
    for level in Level:
        cells = tuple(_cell(by_place.get((condition, level)), title, graded) for condition, title in COLUMNS)
        rows.append(Row(level.value, cells, _measures(measured.get(level), discs.get(level))))
    return tuple(rows)


def blocks(analysis: Analysis, images: Mapping[str, ReportImage]) -> tuple[Block, ...]:
    """The levels with a moderate or severe finding, from cranial to caudal."""
    found = shown_findings(analysis)
    return tuple(_block(level, [f for f in found if f.level is level], analysis, images) for level in Level if any(f.level is level for f in found))


def accuracies(findings: Findings) -> tuple[Accuracy, ...]:
    """One line for each structure and model that graded it, where the card holds figures for it."""
    uses = {use.name: use for use in findings.models}
    pairs = dict.fromkeys((_RESULTS[g.condition], g.model) for g in findings.severity if g.model in uses and g.model not in priors_of(findings))
    lines = [_accuracy(structure, uses[model]) for structure, model in pairs]
    return tuple(line for line in lines if line is not None)


def priors_of(findings: Findings) -> set[str]:
    """Names of the models that output the prevalence of the grades only."""
    return {use.name for use in findings.models if use.task == PRIOR_TASK}


def _cell(grade: SeverityFinding | None, title: str, graded: set[str]) -> Cell:
    if grade is None or grade.model not in graded:
        return Cell(title, "", "not graded", "", "")
    note = " or ".join(GRADE_WORDS[s] for s in grade.conformal_set) if grade.uncertain else ""
    return Cell(title, grade.severity.value, GRADE_WORDS[grade.severity], shown(grade.severity_score, 2), note)


def _measures(level: LevelFinding | None, disc: DiscGrades | None) -> tuple[tuple[str, str, bool], ...]:
    found: list[tuple[str, str, bool]] = []
    if level is not None:
        for field, title in (("canal_ap_mm", "canal"), ("disc_height_mm", "disc height"), ("slip_mm", "slip")):
            reference = next(r for r in RANGES if r.field == field)
            found.append((title, measure_in_mm(field, getattr(level, field)), reference.marked(level)))
    if disc is not None and disc.pfirrmann_grade is not None:
        found.append(("Pfirrmann", str(disc.pfirrmann_grade), disc.pfirrmann_grade >= 4))
    return tuple(found)


def _block(level: Level, found: Sequence[SeverityFinding], analysis: Analysis, images: Mapping[str, ReportImage]) -> Block:
    order = {condition: place for place, (condition, _) in enumerate(COLUMNS)}
    found = sorted(found, key=lambda f: order[f.condition])
    views = tuple(images[name] for f in found if (name := name_of("evidence", f)) in images)
    sentence = "; ".join(f"{GRADE_WORDS[f.severity]} {words(f.condition)}" for f in found)
    details = tuple(_detail(f, analysis.findings, images) for f in found)
    return Block(level.value, sentence, images.get(f"crop_{level.slug}"), views, details)


def _detail(f: SeverityFinding, findings: Findings, images: Mapping[str, ReportImage]) -> Detail:
    use = next((use for use in findings.models if use.name == f.model), None)
    known = _accuracy(_RESULTS[f.condition], use) if use else None
    figures = f"on unseen cases AUC {known.auc} for severe, κ {known.kappa}; see the table above" if known else "its card has no figures on unseen cases"
    certainty = f"90 % set: {' or '.join(GRADE_WORDS[s] for s in f.conformal_set)}" + (" (uncertain)" if f.uncertain else "")
    certainty += f"; {f.note}" if f.note else ""
    level = next((one for one in findings.spine.levels if one.level is f.level), None) if findings.spine else None
    return Detail(
        title=dict(COLUMNS)[f.condition],
        css=f.severity.value,
        text=GRADE_WORDS[f.severity],
        score=f.severity_score,
        clinical=(f.clinical_probabilities.normal_mild, f.clinical_probabilities.moderate, f.clinical_probabilities.severe),
        weighted=(f.probabilities.normal_mild, f.probabilities.moderate, f.probabilities.severe),
        certainty=certainty,
        heat=images.get(name_of("heat", f)),
        place=_place(f.evidence),
        measure=measured_beside(f, level),
        accuracy=f"{f.model}, {figures}",
    )


def _place(evidence: Evidence | None) -> str:
    if evidence is None:
        return "–"
    return f"instance {evidence.instance_number} at x {evidence.x:.0f}, y {evidence.y:.0f} of series …{evidence.series_uid[-10:]}"


def measured_beside(grade: SeverityFinding, level: LevelFinding | None) -> str:
    """The measurement to compare with this grade."""
    if level is None:
        return "–"
    if grade.condition is Condition.SPINAL_CANAL_STENOSIS:
        sac = "" if level.dural_sac_mm2 is None else f"; dural sac {shown(level.dural_sac_mm2, 0)} mm² on the axial slice"
        return f"canal AP diameter {canal_in_mm(level.canal_ap_mm)}, {shown(level.canal_area_mm2, 0)} mm² mid-sagittal at the disc{sac}"
    heights = f"disc height {in_mm(level.disc_height_mm)}, at the back {in_mm(level.disc_height_posterior_mm)}"
    if "foraminal" not in grade.condition.value:
        return f"canal AP diameter {canal_in_mm(level.canal_ap_mm)}; {heights}"
    return "; ".join((*_fat(grade.foramen_fat), *_size(grade.condition, level), heights, f"slip {in_mm(level.slip_mm)}"))


def _size(condition: Condition, level: LevelFinding) -> tuple[str, ...]:
    """The size of the foramen of `condition`, as far as it was measured; says so where nothing was."""
    side = "left" if condition is Condition.LEFT_NEURAL_FORAMINAL_NARROWING else "right"
    height, width, area = (getattr(level, f"foramen_{name}") for name in (f"height_{side}_mm", f"width_{side}_mm", f"area_{side}_mm2"))
    shares = (("height", height, in_mm(height)), ("narrowest width", width, in_mm(width)), ("area", area, f"{shown(area, 0)} mm²"))
    known = ", ".join(f"{name} {text}" for name, value, text in shares if value is not None)
    return (f"foramen {known}" if known else "foramen not measured (its height, width and area)",)


def _fat(fat: ForamenFat | None) -> tuple[str, ...]:
    """The fat in a foramen beside the median area for each reader grade; empty where it was not measured."""
    if fat is None:
        return ()
    usual = ", ".join(f"{GRADE_WORDS[grade]} {area:.0f}" for grade, area in USUAL_AREA_MM2.items())
    return (f"fat around the nerve root {fat.area_mm2:.0f} mm² ({fat.height_mm:.0f} mm high, {fat.width_mm:.0f} mm wide; median by grade: {usual})",)


def _accuracy(structure: str, use: ModelUse) -> Accuracy | None:
    values = {result.metric: result for result in use.results if result.structure == structure}
    if not values:
        return None

    def text(name: str, digits: int) -> str:
        return shown(values[name].value, digits) if name in values else "–"

    return Accuracy(
        structure={"canal": "Spinal canal", "foramen": "Foramina", "both recesses": "Recesses"}[structure],
        model=use.name,
        auc=text("auc_severe", 2),
        kappa=text("kappa", 2),
        loss=text("loss", 2),
        prior=text("prior", 2),
        error=text("ece", 3),
        coverage=text("coverage", 2),
        data=next(iter(values.values())).data,
    )
