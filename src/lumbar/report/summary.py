"""The summary: the most severe grades, and measurements outside the reference ranges."""

from collections.abc import Sequence

from lumbar.domain.anatomy import Level, Severity
from lumbar.domain.findings import Findings
from lumbar.report.numbers import measure_in_mm
from lumbar.report.reference_ranges import RANGES
from lumbar.report.severity_section import COLUMNS, GRADE_WORDS, priors_of


def summary(findings: Findings) -> tuple[tuple[str, str], ...]:
    """(class, sentence) of the most important findings, the most severe first."""
    graded = [g for g in findings.severity if g.model not in priors_of(findings)]
    lines = []
    for severity in (Severity.SEVERE, Severity.MODERATE):
        found = {(g.condition, g.level) for g in graded if g.severity is severity}
        places = {level: [title.lower() for condition, title in COLUMNS if (condition, level) in found] for level in Level}
        there = [f"{level.value} {_listed(titles)}" for level, titles in places.items() if titles]
        if there:
            lines.append((severity.value, f"{GRADE_WORDS[severity].capitalize()}: {'; '.join(there)}."))
    if graded and not lines:
        lines.append(("normal_mild", "Nothing was graded moderate or severe."))
    unsure = sum(g.uncertain for g in graded)
    if unsure:
        lines.append(("plain", f"{unsure} of {len(graded)} grades are uncertain: their 90 % set has more than one grade."))
    return (*lines, *_measured_lines(findings))


def _measured_lines(findings: Findings) -> list[tuple[str, str]]:
    """Measurements outside the reference ranges."""
    levels = findings.spine.levels if findings.spine else ()
    lines = []
    for field, title in (("canal_ap_mm", "Canal AP diameter below 10 mm"), ("slip_mm", "Slip above 3 mm")):
        reference = next(r for r in RANGES if r.field == field)
        marked = [f"{f.level.value} ({measure_in_mm(field, getattr(f, field))})" for f in levels if reference.marked(f)]
        if marked:
            lines.append(("plain", f"{title}: {', '.join(marked)}."))
    checks = findings.quality.checks if findings.quality else ()
    if odd := [check.note for check in checks if check.name == "measurement_against_grade" and check.status != "passed"]:
        lines.append(("notice", f"Measurement and grade disagree: {'; '.join(odd)}."))
    worst = [f"{d.level.value} ({d.pfirrmann_grade})" for d in findings.disc_grades if d.pfirrmann_grade and d.pfirrmann_grade >= 4]
    if worst:
        lines.append(("plain", f"Discs of Pfirrmann grade 4 or 5: {', '.join(worst)}."))
    return lines


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))
