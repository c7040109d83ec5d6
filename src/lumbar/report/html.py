"""The report as one page that opens offline."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment

from lumbar import __version__
from lumbar.domain.anatomy import Level, Vertebra
from lumbar.domain.findings import Findings, LevelFinding
from lumbar.domain.mask_colors import AXIAL_BODY_COLOR, BODY_COLORS, CANAL_COLOR, DISC_COLORS, MUSCLE_COLORS
from lumbar.pipeline import Analysis
from lumbar.report.age_section import age_section
from lumbar.report.colors import FAT, IMPORTANCE, YOUNGER_OLDER, scale_css
from lumbar.report.document import RESEARCH_USE
from lumbar.report.images import ReportImage
from lumbar.report.muscle_section import muscles
from lumbar.report.numbers import measure, percent, shown
from lumbar.report.quality_section import Marks, quality_section
from lumbar.report.reference_ranges import RANGES, ReferenceRange
from lumbar.report.severity_section import COLUMNS, DISC_FINDINGS, accuracies, blocks, overview
from lumbar.report.summary import summary
from lumbar.report.templating import environment

_LEGEND = {
    "body": BODY_COLORS[0],
    "disc": DISC_COLORS[0],
    "canal": CANAL_COLOR,
    "axial_body": AXIAL_BODY_COLOR,
    **{muscle.value: color for muscle, color in MUSCLE_COLORS.items()},
}


def render(analysis: Analysis, images: Mapping[str, ReportImage], urls: Mapping[str, str]) -> str:
    """The page; `urls` are the data URLs of `images` by name."""
    findings = analysis.findings
    return _environment().get_template("report.html.j2").render(
        findings=findings,
        statement=RESEARCH_USE,
        version=__version__,
        urls=urls,
        summary=summary(findings),
        quality=quality_section(findings),
        marks=Marks(findings),
        sagittal=[images["sagittal"], images["sagittal_plain"]],
        spine_series=analysis.spine_series,
        columns=[title for _, title in COLUMNS],
        overview=overview(findings),
        blocks=blocks(analysis, images),
        accuracies=accuracies(findings),
        axial=[images[name] for level in Level if (name := f"axial_{level.slug}") in images],
        disc_findings=DISC_FINDINGS,
        muscles=muscles(findings, images),
        age=age_section(analysis, images),
        levels=findings.spine.levels if findings.spine else (),
        measurements=_measurements(findings),
        posture=_posture(findings),
        wedge_error=_error(findings, "wedge_degrees", 0),
        bony_canal_error=_error(findings, "bony_canal_ap_mm", 1),
        bodies=[v for v in findings.spine.vertebrae if v.vertebra is not Vertebra.S1] if findings.spine else (),
        sources=[f"{r.title}: {r.source}" for r in RANGES if r.source],
        colors=_LEGEND,
        scales={"importance": scale_css(IMPORTANCE), "fat": scale_css(FAT), "age": scale_css(YOUNGER_OLDER)},
    )  # fmt: skip


@cache
def _environment() -> Environment:
    templates = environment("lumbar.report")
    templates.filters["shown"] = shown
    templates.filters["percent"] = percent
    return templates


def _measurements(findings: Findings) -> list[dict[str, Any]]:
    levels: tuple[LevelFinding, ...] = findings.spine.levels if findings.spine else ()
    return [
        {
            "title": r.title,
            "unit": r.unit,
            "error": _error(findings, r.field, r.digits),
            "usual": r.usual,
            "cells": [{"level": level.level.value, "text": _value(r, level), "marked": r.marked(level)} for level in levels],
        }
        for r in RANGES
        if any(getattr(level, r.field) is not None for level in levels)
    ]


def _error(findings: Findings, field: str, digits: int) -> str:
    """The displayed error of a measurement, such as "± 0.8"; empty where it is unknown."""
    error = findings.spine.errors.get(field) if findings.spine else None
    return "" if error is None else f"± {shown(error, digits)}"


def _posture(findings: Findings) -> list[str]:
    """Sentences on the angles of the whole spine that could be measured."""
    spine = findings.spine
    if spine is None:
        return []
    angles = (
        ("Total lordosis, L1 to S1", "total_lordosis_degrees", ""),
        ("Sacral slope", "sacral_slope_degrees", ""),
        ("Coronal Cobb angle", "coronal_cobb_degrees", f" between {spine.coronal_cobb_between}"),
    )
    return [
        f"{title}: {shown(value, 0)}° {_error(findings, field, 0)}{where}.".replace("  ", " ").replace("° .", "°.")
        for title, field, where in angles
        if (value := getattr(spine, field)) is not None
    ]


def _value(reference: ReferenceRange, level: LevelFinding) -> str:
    """The value as shown, with its z-score where there are norms."""
    text, z = measure(reference.field, getattr(level, reference.field), reference.digits), reference.z(level)
    return text if z is None else f"{text} (z {z:+.1f})".replace("-", "−")
