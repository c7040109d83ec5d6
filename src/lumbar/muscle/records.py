"""Muscle findings as the plain records of `findings.json` and as `muscles.csv`, rounded as all findings are."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

from lumbar.domain.findings import MuscleFinding
from lumbar.domain.rounding import decimals, rounded

CSV_COLUMNS = (
    "muscle", "side", "level", "volume_ml", "lean_volume_ml", "csa_mm2", "csa_lean_mm2", "muscle_disc_ratio", "muscle_body_ratio", "csa_asymmetry",
    "fat_fraction_mean", "fat_fraction_ratio", "fat_fraction_corrected", "fat_infiltration", "volume_asymmetry",
    "mask_agreement", "mask_expected_dice", "mask_doubtful", "z_mm", "method",
)  # fmt: skip


def muscle_records(findings: Sequence[MuscleFinding]) -> list[dict[str, Any]]:
    """The `muscles` list of `findings.json`."""
    return [_plain(asdict(finding)) for finding in findings]


def muscle_rows(findings: Sequence[MuscleFinding]) -> list[dict[str, Any]]:
    """Rows of `muscles.csv`: for each muscle and side one of the whole (level and z_mm blank, areas are the largest), one per level, and one per slice."""
    rows: list[dict[str, Any]] = []
    for finding in findings:
        name = {"muscle": finding.muscle.value, "side": finding.side.value}
        whole = {column: getattr(finding, column) for column in CSV_COLUMNS if hasattr(finding, column) and column not in name}
        rows.append({**name, **_plain({**whole, "csa_mm2": finding.csa_max_mm2, "csa_lean_mm2": finding.csa_lean_max_mm2})})
        parts = [*map(asdict, finding.per_level), *map(asdict, finding.per_slice)]
        rows += [{**name, **_plain(part), "method": finding.method} for part in parts]
    return rows


def muscles_csv(findings: Sequence[MuscleFinding]) -> str:
    """The text of `muscles.csv`; a value that could not be measured is blank."""
    out = io.StringIO()
    table = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(muscle_rows(findings))
    return out.getvalue()


def _plain(value: Any, digits: int = decimals("")) -> Any:
    """`value` as plain lists, numbers and words; numbers have the decimals of their field's name."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item, decimals(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return rounded(value, digits) if isinstance(value, float) else value
