"""The tables of a batch, made from the studies' own files: the same whatever the number of workers and the order in which they finished."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from lumbar.batch.energy import PowerModel, watt_hours
from lumbar.batch.inputs import StudyInput
from lumbar.batch.records import Outcome
from lumbar.domain.values import COLUMNS, ValueRow, value_rows

_CHUNK_STUDIES = 500
STATUS_COLUMNS = ("study", "status", "reason", "seconds", "cpu_seconds", "peak_mb", "version", "attempts", "quality", "energy_wh", "content_sha256")
_WORD = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema([pa.field(name, pa.float64() if name in ("value", "error") else pa.string() if name == "study" else _WORD) for name in COLUMNS])


def write_results(out: Path, outcomes: Sequence[Outcome]) -> int:
    """Write results.parquet and results.csv from findings.json of every finished study, ordered by study; returns the number of values."""
    drafts = out / ".batch" / "results.parquet", out / ".batch" / "results.csv"
    plain = pa.schema([pa.field(field.name, pa.string() if field.type == _WORD else field.type) for field in _SCHEMA])
    count = 0
    with (
        pa.parquet.ParquetWriter(drafts[0], _SCHEMA, compression="zstd") as parquet,
        drafts[1].open("wb") as file,
    ):
        file.write((",".join(COLUMNS) + "\n").encode())
        text = pa.csv.CSVWriter(file, plain, write_options=pa.csv.WriteOptions(include_header=False, quoting_style="none"))
        for rows in _chunks(out, outcomes):
            columns = list(zip(*rows, strict=True))
            table = pa.table([pa.array(column, field.type) for column, field in zip(columns, plain, strict=True)], schema=plain)
            text.write_table(table)
            parquet.write_table(table.cast(_SCHEMA))
            count += len(rows)
        text.close()
    for draft in drafts:
        draft.replace(out / draft.name)
    return count


def _chunks(out: Path, outcomes: Sequence[Outcome]) -> Iterator[list[ValueRow]]:
    done = sorted(outcome.study for outcome in outcomes if outcome.status != "failed")
    for start in range(0, len(done), _CHUNK_STUDIES):
        rows: list[ValueRow] = []
        for study in done[start : start + _CHUNK_STUDIES]:
            rows += value_rows(study, json.loads((out / study / "findings.json").read_text(encoding="utf-8")))
        if rows:
            yield rows


def write_status(out: Path, outcomes: Sequence[Outcome], power: PowerModel) -> None:
    """Write status.csv: one row a study."""
    draft = out / ".batch" / "status.csv"
    with draft.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(STATUS_COLUMNS)
        for one in sorted(outcomes, key=lambda one: one.study):
            energy = watt_hours(one.cpu_seconds, one.seconds, one.peak_mb, power)
            numbers = f"{one.seconds:.2f}", f"{one.cpu_seconds:.2f}", f"{one.peak_mb:.0f}"
            table.writerow([one.study, one.status, one.reason, *numbers, one.version, one.attempts, one.quality, f"{energy:.4f}", one.content])
    draft.replace(out / "status.csv")


def write_people(out: Path, outcomes: Sequence[Outcome], studies: Sequence[StudyInput]) -> None:
    """Write people.csv: age and sex, from the table of inputs or else the headers, and the other columns of that table."""
    facts = {study.name: dict(study.facts) for study in studies}
    more = list(dict.fromkeys(key for one in facts.values() for key in one))
    draft = out / ".batch" / "people.csv"
    with draft.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["study", "age_years", "sex", *more])
        for one in sorted(outcomes, key=lambda one: one.study):
            own = facts.get(one.study, {})
            age = "" if one.age_years is None else f"{one.age_years:g}"
            table.writerow([one.study, age, one.sex or "", *(own.get(key, "") for key in more)])
    draft.replace(out / "people.csv")


def write_submission(out: Path, outcomes: Sequence[Outcome]) -> int:
    """Write submission.csv, the grades of all studies in the columns of the RSNA 2024 challenge; returns its rows. No file where nothing was graded."""
    parts = [path for one in sorted(outcomes, key=lambda one: one.study) if one.status != "failed" and (path := out / one.study / "grades.csv").is_file()]
    if not parts:
        return 0
    draft, count = out / ".batch" / "submission.csv", 0
    with draft.open("w", encoding="utf-8") as file:
        for number, path in enumerate(parts):
            header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
            file.writelines([header, *rows] if number == 0 else rows)
            count += len(rows)
    draft.replace(out / "submission.csv")
    return count
