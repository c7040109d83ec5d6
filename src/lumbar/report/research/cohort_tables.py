"""A cohort as tables (CSV, Parquet) and as one document (JSON)."""

import csv
import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from lumbar import __version__
from lumbar.population.cohort.describe import Cohort
from lumbar.population.cohort.distributions import QUANTILES
from lumbar.population.cohort.table import Column

_DIGITS = 6


def write_cohort_tables(folder: Path, cohort: Cohort) -> None:
    """Write every table that has rows, z-scores as Parquet (one row per study, one column per value), and cohort.json."""
    _write(folder / "distributions.csv", _distribution_rows(cohort))
    _write(folder / "prevalence.csv", (dataclasses.asdict(one) for one in cohort.prevalences))
    _write(folder / "correlations.csv", (dataclasses.asdict(one) for one in cohort.correlations))
    _write(folder / "sites.csv", (_flat(one) for one in cohort.sites))
    _write(folder / "sites_harmonized.csv", (_flat(one) for one in cohort.sites_after))
    _write(folder / "comparison.csv", (_flat(one) for one in cohort.comparisons))
    _write(folder / "agreement.csv", (_flat(one) for one in cohort.agreement))
    _write_wide(folder / "zscores.parquet", cohort, cohort.z_scores)
    if cohort.harmonized is not None:
        _write_wide(folder / "harmonized.parquet", cohort, cohort.harmonized.table.values)
    text = json.dumps(cohort_document(cohort), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "cohort.json").write_text(text + "\n", encoding="utf-8")


def cohort_document(cohort: Cohort) -> dict[str, Any]:
    """The main results for programs: sizes, warnings, prevalence and differences."""
    whole = [one for one in cohort.prevalences if one.by == "all"]
    return {
        "software": {"name": "lumbar", "version": __version__},
        "studies": len(cohort.table.studies),
        "columns": len(cohort.table.columns),
        "values": int(np.isfinite(cohort.table.values).sum()),
        "held_fixed": list(cohort.covariates.names),
        "harmonized": list(cohort.harmonized.findings) if cohort.harmonized else [],
        "prevalence": [_plain(dataclasses.asdict(one)) for one in whole],
        "site_effects": [_plain(_flat(one)) for one in cohort.sites if one.p_adjusted < 0.05],
        "comparison": [_plain(_flat(one)) for one in cohort.comparisons],
        "agreement": [_plain(_flat(one)) for one in cohort.agreement],
        "warnings": list(cohort.warnings),
    }


def write_cleaned(source: Path, target: Path, wrong: frozenset[str]) -> None:
    """Write results.parquet or results.csv at `source` without the studies in `wrong` to `target`, in pieces."""
    left_out = pa.array(sorted(wrong), pa.string())
    if source.suffix == ".parquet":
        file = pa.parquet.ParquetFile(source)
        with pa.parquet.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
            for batch in file.iter_batches():
                writer.write_batch(batch.filter(_kept(batch, left_out)))
        return
    with pa.csv.open_csv(source) as reader, pa.csv.CSVWriter(target, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch.filter(_kept(batch, left_out)))


def _kept(batch: pa.RecordBatch, left_out: pa.Array) -> pa.Array:
    return pa.compute.invert(pa.compute.is_in(batch.column("study").cast(pa.string()), left_out))


def _distribution_rows(cohort: Cohort) -> Iterable[dict[str, Any]]:
    for one in cohort.distributions:
        quantiles = {f"p{100 * q:g}".replace(".", "_"): value for q, value in zip(QUANTILES, one.quantiles, strict=True)}
        place = {"by": one.by, "group": one.group, "n": one.n, "missing": one.missing, "mean": one.mean, "sd": one.sd}
        yield {**_column(one.column), **place, **quantiles, "minimum": one.minimum, "maximum": one.maximum}


def _flat(one: Any) -> dict[str, Any]:
    """A record with its column's parts and the parts of a nested record beside its own; tuples become words with bars between them."""
    row: dict[str, Any] = {}
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        if isinstance(value, Column):
            row |= _column(value)
        elif dataclasses.is_dataclass(value):
            row |= _flat(value)
        elif isinstance(value, tuple):
            row[field.name] = "|".join(f"{item:.{_DIGITS}g}" if isinstance(item, float) else str(item) for item in value)
        else:
            row[field.name] = value
    return row


def _column(column: Column) -> dict[str, str]:
    return {"structure": column.structure, "finding": column.finding, "level": column.level, "side": column.side, "unit": column.unit}


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        empty = True
        for row in rows:
            if empty:
                table.writerow(row)
                empty = False
            table.writerow([_cell(value) for value in row.values()])
    if empty:
        path.unlink()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}" if math.isfinite(value) else ""
    return "" if value is None else value


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (round(value, 8) if math.isfinite(value) else None) if isinstance(value, float) else value for key, value in row.items()}


def _write_wide(path: Path, cohort: Cohort, values: np.ndarray) -> None:
    names = ["study", *_unique([column.title for column in cohort.table.columns])]
    columns = [pa.array(cohort.table.studies), *(pa.array(values[:, number], from_pandas=True) for number in range(values.shape[1]))]
    pa.parquet.write_table(pa.table(columns, names=names), path, compression="zstd")


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique
