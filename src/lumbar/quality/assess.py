"""The quality gate: all checks of one analysis, and the status of each result."""

from collections.abc import Iterable

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings
from lumbar.domain.quality import Check, Quality, Status, worst
from lumbar.domain.study import Study
from lumbar.quality.grades import check_grades
from lumbar.quality.muscles import check_muscles
from lumbar.quality.series import check_series
from lumbar.quality.spine import check_spine


def assess(study: Study, findings: Findings, given: Iterable[Check] = ()) -> Quality:
    """Check a study and the findings in it.

    Args:
        study: as it was read.
        findings: of `study`.
        given: checks that reading and the tasks have made already.

    Returns:
        All checks, the failed ones first. A check of several items has one entry if all passed, else one for each failed item.
    """
    given = tuple(given)
    checks = [*given, *check_series(study), *check_spine(findings.spine), *check_grades(study, findings), *check_muscles(findings.muscles, findings.spine)]
    checks += _muscles_beside_metal(given, findings)
    bad = {check.name for check in checks if check.status != "passed"}
    kept = dict.fromkeys(check for check in checks if check.status != "passed" or check.name not in bad)
    ordered = sorted(kept, key=lambda check: ("failed", "doubtful", "passed").index(check.status))
    return Quality(worst(check.status for check in ordered), tuple(ordered))


def _muscles_beside_metal(checks: Iterable[Check], findings: Findings) -> list[Check]:
    levels = [check.level.value if check.level else "the spine" for check in checks if check.name == "metal_artefacts" and check.status != "passed"]
    if not levels or not findings.muscles:
        return []
    return [Check("volumes_plausible", "doubtful", f"metal at {', '.join(levels)} hides or distorts parts of the muscles")]


# Checks that concern one part of the findings only; all others concern every part.
_PARTS = {
    "measurement_against_grade": ("severity", "spine"),
    "metal_artefacts": ("spine", "severity", "disc_grades", "age"),
    "measurements_plausible": ("spine", "disc_grades"),
    "volumes_plausible": ("muscles",),
}


def status_of(quality: Quality | None, part: str, level: Level | None = None, series_uids: Iterable[str] = ()) -> Status:
    """Quality status of one result.

    Args:
        quality: of the findings; without any, nothing is doubted.
        part: the field of the findings that the result belongs to: spine, severity, disc_grades, muscles, age.
        level: of the result; None where it has none.
        series_uids: of the series that the result was taken from, where they are known; checks of other series do not concern it.
    """
    uids = set(series_uids)

    def concerns(check: Check) -> bool:
        if part not in _PARTS.get(check.name, (part,)):
            return False
        if check.level is not None and check.level is not level:
            return False
        return check.series_uid is None or not uids or check.series_uid in uids

    return worst(check.status for check in quality.checks if concerns(check)) if quality else "passed"
