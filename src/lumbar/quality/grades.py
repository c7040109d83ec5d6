"""Checks of grades: evidence of the left lies on the left, and canal grades agree with measurements."""

from collections.abc import Iterator

from lumbar.domain.anatomy import Condition, Level
from lumbar.domain.findings import Evidence, Findings, LevelFinding, SeverityFinding
from lumbar.domain.quality import Check
from lumbar.domain.study import Study

_PAIRS = (
    (Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Condition.RIGHT_NEURAL_FORAMINAL_NARROWING),
    (Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS),
)
_APART_MM = 1.0  # the least by which the left lies left of the right
# Two measurements of one canal differ by 2.8 mm (standard deviation over other protocols, population/follow_up/measurement_error.json); a canal measures
# less than another only beyond 1.96 of it.
_ERROR_MM = 1.96 * 2.83
_NARROW_MM = 10.0 - _ERROR_MM  # normal canals are 10 mm wide at least
_WIDE_MM = 10.0 + _ERROR_MM  # canals wider than 10 mm are not severely narrowed
# Sacs of 100 mm² are not narrow (Schönström et al., Spine 1985;10:806); their area is off by 14 mm² at most (spine/measurement_errors.py).
_WIDE_MM2 = 114.0
_SURE = 0.85  # clinical probability from which a grade contradicts


def check_grades(study: Study, findings: Findings) -> Iterator[Check]:
    """Entries of `left_right_consistent` for grades and of `measurement_against_grade`, where there is something to check."""
    grades = {(grade.condition, grade.level): grade for grade in findings.severity}
    if not grades:
        return
    yield from _sides(study, grades)
    levels = {level.level: level for level in findings.spine.levels} if findings.spine else {}
    contradictions = [
        Check("measurement_against_grade", "doubtful", f"{name.value}: {text}, yet it is graded {grade.severity.value.replace('_', ' or ')}", level=name)
        for name, measured in levels.items()
        if (grade := grades.get((Condition.SPINAL_CANAL_STENOSIS, name))) is not None and (text := _contradicting(measured, grade))
    ]
    yield from contradictions or [Check("measurement_against_grade", "passed", "no canal grade contradicts the measurements")]


def _contradicting(measured: LevelFinding, grade: SeverityFinding) -> str:
    """The measurement that contradicts the grade of a canal, or ""."""
    width, p = measured.canal_ap_mm, grade.clinical_probabilities
    if grade.evidence is None or measured.level is Level.L5_S1:  # there the sac tapers off by nature
        return ""
    if width is not None and ((width < _NARROW_MM and p.normal_mild >= _SURE) or (width > _WIDE_MM and p.severe >= _SURE)):
        return f"the canal measures {width:.1f} mm"
    if measured.dural_sac_mm2 is not None and measured.dural_sac_mm2 > _WIDE_MM2 and p.severe >= _SURE:
        return f"the dural sac measures {measured.dural_sac_mm2:.0f} mm²"
    return ""


def _sides(study: Study, grades: dict[tuple[Condition, Level], SeverityFinding]) -> Iterator[Check]:
    compared = False
    for left, right in _PAIRS:
        for level in Level:
            both = [_left_mm(study, grades[key].evidence) for key in ((left, level), (right, level)) if key in grades]
            if len(both) < 2 or both[0] is None or both[1] is None:
                continue
            compared = True
            if both[0] - both[1] < _APART_MM:
                where = "foramina" if left is Condition.LEFT_NEURAL_FORAMINAL_NARROWING else "recesses"
                yield Check(
                    "left_right_consistent", "failed", f"{level.value}: the evidence for the left and right {where} lies on the wrong sides", level=level
                )
    if compared:
        yield Check("left_right_consistent", "passed", "the evidence of left and right grades lies on its side")


def _left_mm(study: Study, evidence: Evidence | None) -> float | None:
    """How far to the patient's left the evidence lies."""
    if evidence is None:
        return None
    for series in study.series:
        for stack in series.stacks if series.series_uid == evidence.series_uid else ():
            if evidence.instance_number in stack.instance_numbers:
                index = stack.instance_numbers.index(evidence.instance_number)
                return float(stack.volume.grid.points_mm([index, evidence.y, evidence.x])[0])
    return None
