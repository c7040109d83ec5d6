"""Findings of the foramina of a study, from its sagittal slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.findings import LevelFinding, SeverityFinding
from lumbar.domain.study import Role, Study, Weighting
from lumbar.severity.finding import make_finding
from lumbar.severity.foramina.cut import ForamenCrop, cut_foramina
from lumbar.severity.foramina.explain import CONDITIONS
from lumbar.severity.foramina.fat import measured_fat
from lumbar.severity.foramina.grader import ForamenGrader
from lumbar.severity.foramina.points import Foramen

ON_T2 = "graded on sagittal T2, as no sagittal T1 slice shows this foramen; the model was trained and evaluated on T1 only"


@dataclass(frozen=True, eq=False)
class GradedForamina:
    """Grades of the foramina of a study from its sagittal slices."""

    findings: Mapping[tuple[Condition, Level], SeverityFinding]
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
        return GradedForamina({}, {})
    grades = grader.grade_slices(list(shown.values()))
    findings = {}
    for row, (level, side) in enumerate(shown):
        uncertain = bool(grades.sets[row].sum() > 1) or (level, side) in on_t2
        finding = make_finding(CONDITIONS[side], level, grades.metric[row], grades.clinical[row], uncertain=uncertain, model=grader.model.card.name)
        finding = replace(finding, evidence=shown[level, side].evidence())
        if (level, side) in on_t2:
            # The conformal sets were calibrated on T1 only; on T2 the set contains all grades.
            finding = replace(finding, conformal_set=tuple(Severity), note=ON_T2)
        else:
            within = tuple(grade for grade, inside in zip(Severity, grades.sets[row], strict=True) if inside)
            finding = replace(finding, conformal_set=within, foramen_fat=measured_fat(shown[level, side]))
        findings[CONDITIONS[side], level] = finding
    return GradedForamina(findings, shown)
