"""Record of the outcome of each study, one small file each; it is written last, so that a study with a record is finished."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

RECORDS = ".batch/records"  # in the output folder
STAGE = ".batch/stage"  # half-written results


@dataclass(frozen=True)
class Outcome:
    """One study's row of status.csv, and the data that determine whether it must be repeated."""

    study: str
    status: str  # "done", "partial" (a task had no usable series) or "failed"
    reason: str = ""  # of "partial" and "failed"
    seconds: float = 0.0  # of all attempts
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0  # largest resident memory of the process that did the study
    attempts: int = 1
    version: str = ""  # of lumbar
    quality: str = ""  # of findings.json: passed, doubtful, failed
    age_years: float | None = None  # from the table of inputs, or else the header
    sex: str | None = None
    run: str = ""  # which call of `lumbar batch` did it
    plan: str = ""  # key of models, request and version
    stat_mark: str = ""  # of the input; blank for remote ones
    content: str = ""  # sha256 of the input


def record_path(out: Path, study: str) -> Path:
    """Where the record of `study` lies."""
    return out / RECORDS / f"{study}.json"


def write_record(out: Path, outcome: Outcome) -> None:
    """Write the record atomically, also in case of a power failure."""
    path = record_path(out, outcome.study)
    draft = path.with_suffix(f".{os.getpid()}.part")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(outcome), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_record(out: Path, study: str) -> Outcome | None:
    """The record of `study`; None where there is none that this version can read."""
    try:
        document: dict[str, Any] = json.loads(record_path(out, study).read_text(encoding="utf-8"))
        known = {field.name for field in fields(Outcome)}
        return Outcome(**{key: value for key, value in document.items() if key in known})
    except (OSError, ValueError, TypeError):
        return None
