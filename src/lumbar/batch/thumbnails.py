"""Three small images a study for the quality page: levels, muscles, the worst finding."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

FOLDER = "thumbnails"
KINDS = ("levels", "muscles", "worst")
_HEIGHT_PIXELS = 220


def write_thumbnails(study: Path) -> dict[str, Any]:
    """Write `thumbnails/*.jpg` from the previews that lie in the folder of one study, as far as it has them; returns its findings.json."""
    findings: dict[str, Any] = json.loads((study / "findings.json").read_text(encoding="utf-8"))
    previews = study / "previews"
    names = {"levels": "sagittal", "muscles": _muscles(previews), "worst": _worst(findings, previews)}
    (study / FOLDER).mkdir()
    for kind, name in names.items():
        source = previews / f"{name}.png"
        if name and source.is_file():
            with Image.open(source) as image:
                small = image.convert("RGB")
            small.thumbnail((10 * _HEIGHT_PIXELS, _HEIGHT_PIXELS), Image.Resampling.LANCZOS)
            small.save(study / FOLDER / f"{kind}.jpg", quality=80, optimize=True)
    return findings


def _muscles(previews: Path) -> str:
    """The view at L4/L5, where the muscles are largest, or else the lowest there is."""
    for slug in ("l4_l5", "l3_l4", "l5_s1", "l2_l3", "l1_l2"):
        if (previews / f"axial_{slug}.png").is_file():
            return f"axial_{slug}"
    return ""


def _worst(findings: Mapping[str, Any], previews: Path) -> str:
    """The image of the finding with the highest severity score that has one."""
    for entry in sorted(findings.get("severity") or (), key=lambda one: -one["severity_score"]):
        slug = entry["level"].lower().replace("/", "_")
        for name in (f"evidence_{entry['condition']}_{slug}", f"heat_{entry['condition']}_{slug}", f"crop_{slug}"):
            if (previews / f"{name}.png").is_file():
                return name
    return ""
