"""The report as one page that opens offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from lumbar import __version__
from lumbar.domain.anatomy import Condition, Level
from lumbar.domain.findings import Findings, LevelFinding
from lumbar.pipeline import Analysis
from lumbar.report.document import RESEARCH_USE
from lumbar.report.reference_ranges import RANGES
from lumbar.severity.prior import TASK as PRIOR_TASK


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of the report."""

    name: str  # file name in previews/, without its ending
    image: Image.Image
    caption: str


def render(analysis: Analysis, pictures: Sequence[tuple[Picture, str]]) -> str:
    """The page; `pictures` come with their data URLs."""
    findings = analysis.findings
    shown = [{"name": picture.name, "caption": picture.caption, "url": url} for picture, url in pictures]
    return _environment().get_template("report.html.j2").render(
        findings=findings,
        statement=RESEARCH_USE,
        version=__version__,
        spine_series=analysis.spine_series,
        sagittal=[p for p in shown if p["name"].startswith("sagittal")],
        axial=[p for p in shown if p["name"].startswith("axial")],
        levels=findings.spine.levels if findings.spine else (),
        measurements=_measurements(findings),
        sources=[f"{r.title}: {r.source}" for r in RANGES if r.source],
        grades=_grades(findings),
        priors={use.name for use in findings.models if use.task == PRIOR_TASK},
    )  # fmt: skip


@cache
def _environment() -> Environment:
    environment = Environment(loader=PackageLoader("lumbar.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["shown"] = _shown
    return environment


def _shown(value: float | None, digits: int) -> str:
    """A number for people; an en dash where nothing was measured, and a true minus."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _measurements(findings: Findings) -> list[dict[str, Any]]:
    levels: tuple[LevelFinding, ...] = findings.spine.levels if findings.spine else ()
    return [
        {
            "title": r.title,
            "unit": r.unit,
            "usual": r.usual,
            "cells": [{"text": _shown(getattr(level, r.field), r.digits), "marked": r.marked(level)} for level in levels],
        }
        for r in RANGES
    ]


def _grades(findings: Findings) -> list[dict[str, Any]]:
    """Rows of the grade table: one condition each, one cell a level."""
    by_place = {(g.condition, g.level): g for g in findings.severity}
    if not by_place:
        return []
    return [
        {"title": condition.value.replace("_", " ").capitalize(), "cells": [by_place.get((condition, level)) for level in Level]} for condition in Condition
    ]
