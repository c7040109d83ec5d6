"""What the worklist shows of a result."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RANK = {"normal_mild": 0, "moderate": 1, "severe": 2}
_WORDS = {"normal_mild": "normal or mild", "moderate": "moderate", "severe": "severe"}


@dataclass(frozen=True)
class Summary:
    """Quality and the most severe finding of one result."""

    quality: str | None
    worst: dict[str, Any] | None
    worst_rank: float


def summary_of(folder: Path) -> Summary:
    """The summary of the result in `folder`."""
    findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    grades = findings.get("severity") or []
    quality = (findings.get("quality") or {}).get("status")
    if not grades:
        return Summary(quality, None, 0)
    worst = max(grades, key=rank)
    return Summary(quality, {name: worst[name] for name in ("condition", "level", "severity")} | {"text": grade_text(worst)}, rank(worst))


def rank(grade: dict[str, Any]) -> float:
    """Order of grades: by the grade, then by its score."""
    return float(_RANK[grade["severity"]]) + 0.5 * float(grade["severity_score"])


def severity_text(severity: str | None) -> str:
    """The grade alone in words; "none" without a grade."""
    return _WORDS[severity] if severity else "none"


def grade_text(grade: dict[str, Any]) -> str:
    """The grade in words."""
    return f"{grade['condition'].replace('_', ' ')} {grade['level']}: {severity_text(grade['severity'])}"
