"""Findings of the foramina of a study, from its sagittal slices."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from lumbar.domain.anatomy import Condition, Level, Severity, Side
from lumbar.domain.findings import LevelFinding, SeverityFinding
from lumbar.domain.study import Role, Study, Weighting
from lumbar.severity.finding import grades_in_set, make_finding
from lumbar.severity.foramina.calibration import ForamenGrades
from lumbar.severity.foramina.cut import ForamenCrop, cut_foramina
from lumbar.severity.foramina.explain import CONDITIONS
from lumbar.severity.foramina.fat import measured_fat
from lumbar.severity.foramina.grader import ForamenGrader, SliceGrades
from lumbar.severity.foramina.points import Foramen

ON_T2 = "graded on sagittal T2, as no sagittal T1 slice shows this foramen; the model was trained and evaluated on T1 only"
ON_T1 = "graded on sagittal T1 beside the canal, which tells less than an axial T2 slice, as no axial T2 slice shows this level"
RECESSES = {Side.LEFT: Condition.LEFT_SUBARTICULAR_STENOSIS, Side.RIGHT: Condition.RIGHT_SUBARTICULAR_STENOSIS}

Cell = tuple[Condition, Level]


@dataclass(frozen=True, eq=False)
class GradedForamina:
    """Grades of a study from its parasagittal slices."""

    findings: Mapping[Cell, SeverityFinding]  # of the foramina
    beside: Mapping[Cell, SeverityFinding]  # of canals and recesses, from T1 only; for levels without an axial slice
    crops: Mapping[Foramen, ForamenCrop]


def grade_foramina(study: Study, levels: Sequence[LevelFinding], grader: ForamenGrader) -> GradedForamina:
    """Grades of the foramina on sagittal T1 slices, and, marked as uncertain, on T2 slices where T1 is missing.

    STIR is not used: it suppresses the signal of fat, which shows whether a foramen is open.
    """
    crops = cut_foramina(study, levels, Role.SAGITTAL_T1)
    plain_t2 = replace(study, series=tuple(series for series in study.series if series.weighting is Weighting.T2))
    on_t2 = (
        {place: crop for place, crop in cut_foramina(plain_t2, levels, Role.SAGITTAL_T2).items() if place not in crops} if len(crops) < 2 * len(levels) else {}
    )
    shown = {**crops, **on_t2}
    if not shown:
        return GradedForamina({}, {}, {})
    grades = grader.grade_slices(list(shown.values()))
    findings = {}
    for row, (level, side) in enumerate(shown):
        finding = replace(_finding(CONDITIONS[side], level, grades.foramen, row, grader), evidence=shown[level, side].evidence())
        if (level, side) in on_t2:
            # The conformal sets were calibrated on T1 only; on T2 the set contains all grades.
            finding = replace(finding, conformal_set=tuple(Severity), uncertain=True, note=ON_T2)
        else:
            finding = replace(finding, foramen_fat=measured_fat(shown[level, side]))
        findings[CONDITIONS[side], level] = finding
    return GradedForamina(findings, _beside(shown, {level for level, _ in on_t2}, grades, grader), shown)


def _beside(crops: Mapping[Foramen, ForamenCrop], left_out: Set[Level], grades: SliceGrades, grader: ForamenGrader) -> dict[Cell, SeverityFinding]:
    """Findings of the canals and recesses beside the foramina of `crops`, where `grader` grades them; none at the levels `left_out`.

    Those of canals have no evidence: a canal lies between the slices of both sides.
    """
    found: dict[Cell, SeverityFinding] = {}
    for row, (level, side) in enumerate(crops):
        for condition, values in ((Condition.SPINAL_CANAL_STENOSIS, grades.canal), (RECESSES[side], grades.recess)):
            if values is not None and level not in left_out:
                finding = _finding(condition, level, values, row, grader)
                evidence = None if condition is Condition.SPINAL_CANAL_STENOSIS else crops[level, side].evidence()
                found[condition, level] = replace(finding, evidence=evidence, note=ON_T1)
    return found


def _finding(condition: Condition, level: Level, grades: ForamenGrades, row: int, grader: ForamenGrader) -> SeverityFinding:
    within = grades_in_set(grades.sets[row])
    both = grades.metric[row], grades.clinical[row]
    return replace(make_finding(condition, level, *both, uncertain=len(within) > 1, model=grader.model.card.name), conformal_set=within)
