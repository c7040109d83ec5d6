"""Muscle findings as records of `findings.json` and rows of `muscles.csv`."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

from lumbar.domain.findings import MuscleFinding

CSV_COLUMNS = (
    "muscle", "side", "level", "volume_ml", "lean_volume_ml", "csa_mm2", "csa_lean_mm2", "muscle_disc_ratio",
    "fat_fraction_mean", "fat_fraction_ratio", "fat_fraction_corrected", "fat_infiltration", "volume_asymmetry", "method",
)  # fmt: skip


def muscle_records(findings: Sequence[MuscleFinding]) -> list[dict[str, Any]]:
    """The `muscles` list of `findings.json`."""
    return [_plain(asdict(finding)) for finding in findings]


def muscle_rows(findings: Sequence[MuscleFinding]) -> list[dict[str, Any]]:
    """Rows of `muscles.csv`: one per muscle and side for the whole muscle (level blank, largest areas), then one per level."""
    rows: list[dict[str, Any]] = []
    for finding in findings:
        name = {"muscle": finding.muscle.value, "side": finding.side.value}
        whole = {column: getattr(finding, column) for column in CSV_COLUMNS if hasattr(finding, column) and column not in name}
        rows.append({**name, **whole, "csa_mm2": finding.csa_max_mm2, "csa_lean_mm2": finding.csa_lean_max_mm2})
        rows += [{**name, **_plain(asdict(level)), "method": finding.method} for level in finding.per_level]
    return rows


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
