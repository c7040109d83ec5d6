"""The ageing of a population as tables (CSV) and as one document (JSON). Numbers are rounded here to six digits."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lumbar import __version__
from lumbar.population.analysis import Population
from lumbar.population.stages import FoundStage

Row = Mapping[str, Any]


def population_document(p: Population) -> dict[str, Any]:
    """The content of `aging.json`: `stages` holds those of all people, `stages_by_sex` those of women and of men."""
    table = p.table
    document = {
        "software": {"name": "lumbar", "version": __version__},
        "table": table.name,
        "measure": p.measure,
        "rows": len(table),
        "subjects": int(np.unique(table.subject).size),
        "sites": sorted(np.unique(table.site).tolist()),
        "age_range_years": [float(table.age_years.min()), float(table.age_years.max())],
        "stages": [_stage(stage) for stage in p.stages if stage.sex == "all"],
        "stages_by_sex": [_stage(stage) for stage in p.stages if stage.sex != "all"],
        "curves": [
            {
                "level": curve.level,
                "sex": curve.sex,
                "subjects": curve.subjects,
                "rows": curve.rows,
                "mean_slope_per_year": curve.mean_slope,
                "effective_df": curve.effective_df,
                "sd": curve.sd,
            }
            for curve in p.curves
        ],
        "searches": [
            {
                "level": s.level,
                "sex": s.sex,
                "searched": s.searched,
                "by_method": {method: [asdict(stage) for stage in stages] for method, stages in s.by_method.items()},
            }
            for s in p.searches
        ],
        "bias_models": [asdict(fit) for fit in p.bias_fits],
        "site_checks": [asdict(check) for check in p.sites],
        "longitudinal": asdict(p.longitudinal) if p.longitudinal else None,
        "warnings": list(p.warnings),
    }
    plain: dict[str, Any] = plain_numbers(document)
    return plain


def write_tables(folder: Path, p: Population) -> None:
    """Write every table that has rows; `stages.csv` and `curves.csv` are always written."""
    _write(folder / "curves.csv", _curve_rows(p))
    columns = [
        "level", "sex", "age_years", "low_years", "high_years", "methods", "confirmed", "p_adjusted", "stability", "slope_per_year", "excess_per_year"
    ]  # fmt: skip
    _write(folder / "stages.csv", [{**_stage(stage), "methods": "+".join(stage.methods)} for stage in p.stages], columns)
    optional: dict[str, list[Row]] = {
        "deswan.csv": _deswan_rows(p),
        "deltas.csv": _delta_rows(p),
        "bias_models.csv": [asdict(fit) for fit in p.bias_fits],
        "sites.csv": [_site_row(asdict(site)) | {"p_offset": c.p_offset, "differs": c.differs} for c in p.sites for site in c.sites],
        "longitudinal.csv": [asdict(change) for change in p.longitudinal.changes] if p.longitudinal else [],
        "mixed_models.csv": [asdict(model) for model in p.longitudinal.models] if p.longitudinal else [],
    }
    for name, rows in optional.items():
        if rows:
            _write(folder / name, rows)


def plain_numbers(value: Any) -> Any:
    """Nested dicts and lists with NumPy numbers converted, rounded to six digits, and NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {key: plain_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_numbers(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _stage(stage: FoundStage) -> dict[str, Any]:
    return asdict(stage)


def _curve_rows(p: Population) -> list[Row]:
    names = ("value", "low", "high", "slope", "slope_low", "slope_high")
    labels = ("value", "low", "high", "slope_per_year", "slope_low", "slope_high")
    rows: list[Row] = []
    for curve in p.curves:
        columns = [getattr(curve, name) for name in names]
        for age, *values in zip(curve.ages_years, *columns, strict=True):
            row = {"level": curve.level, "sex": curve.sex, "age_years": age, **dict(zip(labels, values, strict=True))}
            rows.append(row | ({"delta": values[0] - age, "delta_low": values[1] - age, "delta_high": values[2] - age} if p.deltas else {}))
    return rows


def _deswan_rows(p: Population) -> list[Row]:
    return [
        {"level": s.level, "sex": s.sex, "half_width_years": profile.width_years, "age_years": age, "difference": d, "p": value, "q": q}
        for s in p.searches
        for profile in s.profiles
        for age, d, value, q in zip(profile.ages_years, profile.difference, profile.p, profile.q, strict=True)
    ]


def _delta_rows(p: Population) -> list[Row]:
    table = p.table
    if table.predicted_years is None:
        return []
    rows: list[Row] = []
    for part in p.deltas:
        for k, number in enumerate(part.rows):
            who = {"line": table.lines[number], "subject": table.subject[number], "site": table.site[number], "sex": table.sex[number]}
            ages = {"level": part.level, "age": table.age_years[number], "predicted": table.predicted_years[number]}
            deltas = {f"delta_{model}_years": values[k] for model, values in part.by_model.items()}
            rows.append(who | ages | deltas | {"z": part.z[k], "percentile": part.percentile[k]})
    return rows


def _site_row(site: dict[str, Any]) -> dict[str, Any]:
    low, high = site.pop("age_range_years")
    return {**site, "youngest_years": low, "oldest_years": high}


def _write(path: Path, rows: Iterable[Row], columns: list[str] | None = None) -> None:
    rows = [plain_numbers(row) for row in rows]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
