"""The quality checks at the top of the page, and the marks beside doubtful results."""

from dataclasses import dataclass

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings
from lumbar.quality.assess import status_of

_WORDS = {
    "passed": "All quality checks passed.",
    "doubtful": "Some results are doubtful; each of them is marked.",
    "failed": "A quality check failed: do not rely on the marked results.",
}


@dataclass(frozen=True)
class QualitySection:
    """Quality summary at the top of the page."""

    status: str
    sentence: str
    notes: tuple[tuple[str, str], ...]  # (status, note) of checks that did not pass, the worst first
    passed: tuple[tuple[str, str], ...]  # (name, note)


def quality_section(findings: Findings) -> QualitySection | None:
    """The section, or None where nothing was checked."""
    quality = findings.quality
    if quality is None:
        return None
    notes = tuple((check.status, check.note) for check in quality.checks if check.status != "passed")
    passed = tuple((check.name.replace("_", " "), check.note) for check in quality.checks if check.status == "passed")
    return QualitySection(quality.status, _WORDS[quality.status], notes, passed)


@dataclass(frozen=True)
class Marks:
    """The mark beside a result."""

    findings: Findings

    def of(self, part: str, level: str = "") -> str:
        """ "doubtful", "failed" or "" for a result of `part` (a field of the findings) at `level` ("L4/L5", or "" for none)."""
        status = status_of(self.findings.quality, part, Level(level) if level else None)
        return "" if status == "passed" else status
