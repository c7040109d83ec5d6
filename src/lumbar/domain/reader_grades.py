"""Findings in which grades by readers replace those of models."""

from dataclasses import replace

from lumbar.domain.findings import DiscGrades, Findings, SeverityFinding
from lumbar.domain.reading import Reading
from lumbar.errors import InputError


def with_reader_grades(findings: Findings, reading: Reading) -> Findings:
    """The findings with the readers' grades, each marked with its reader, and a warning that lists them.

    Raises:
        InputError: a grade is given for a level that the findings do not grade.
    """
    if not reading.grades and not reading.disc_grades:
        return findings
    given = {(grade.condition, grade.level): grade for grade in reading.grades}
    discs = {grade.level: grade for grade in reading.disc_grades}
    graded = {(grade.condition, grade.level) for grade in findings.severity}
    for condition, level in set(given) - graded:
        raise InputError(f"{condition.value} at {level.value} was not graded in this study, so that no grade can be replaced; leave it out")
    for level in set(discs) - {grade.level for grade in findings.disc_grades}:
        raise InputError(f"the disc {level.value} was not graded in this study, so that no grade can be replaced; leave it out")

    def severity(found: SeverityFinding) -> SeverityFinding:
        own = given.get((found.condition, found.level))
        if own is None:
            return found
        return replace(found, severity=own.severity, uncertain=False, conformal_set=(), note="", reader=own.mark)

    def disc(found: DiscGrades) -> DiscGrades:
        own = discs.get(found.level)
        return found if own is None else replace(found, pfirrmann_grade=own.pfirrmann_grade, reader=own.mark)

    words = [f"{condition.value.replace('_', ' ')} {level.value}" for condition, level in given] + [f"Pfirrmann grade {level.value}" for level in discs]
    warning = f"set by a reader, probabilities and scores are those of the model: {', '.join(words)}"
    return replace(
        findings,
        severity=tuple(severity(one) for one in findings.severity),
        disc_grades=tuple(disc(one) for one in findings.disc_grades),
        warnings=(*findings.warnings, warning),
    )
