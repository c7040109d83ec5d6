"""Which studies still have to be done: those without a record, and those whose input, models, request or version has changed."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from lumbar.batch.fingerprint import content_hash, stat_mark
from lumbar.batch.inputs import StudyInput
from lumbar.batch.records import Outcome, read_record, write_record

_READERS = 8  # threads that check files, limited by disks and not by processors


@dataclass(frozen=True)
class Remaining:
    """What a resumed batch has to do."""

    todo: tuple[StudyInput, ...]
    kept: tuple[Outcome, ...]  # finished earlier, nothing changed since
    changed: int  # of `todo`: finished earlier, but the input, the models, the request or the version has changed


def remaining(studies: Iterable[StudyInput], out: Path, plan: str, retry_failed: bool) -> Remaining:
    """Separate `studies` into remaining and finished ones. A file with a new modification time but the same bytes is unchanged."""
    studies = tuple(studies)
    with ThreadPoolExecutor(_READERS) as pool:
        records = list(pool.map(lambda study: read_record(out, study.name), studies))
        fresh = list(pool.map(lambda study, record: _fresh(out, study, record, plan, retry_failed), studies, records))
    todo = tuple(study for study, good in zip(studies, fresh, strict=True) if not good)
    kept = tuple(record for record, good in zip(records, fresh, strict=True) if good and record is not None)
    return Remaining(todo, kept, sum(record is not None and not good for record, good in zip(records, fresh, strict=True)))


def _fresh(out: Path, study: StudyInput, record: Outcome | None, plan: str, retry_failed: bool) -> bool:
    """Whether `record` is still valid."""
    if record is None or record.plan != plan or _otherwise(study, record):
        return False
    if record.status == "failed" and retry_failed:
        return False
    if record.status != "failed" and not (out / study.name / "findings.json").is_file():
        return False
    return study.remote or _same_files(out, Path(study.source), record)  # remote files cannot be checked here


def _otherwise(study: StudyInput, record: Outcome) -> bool:
    """Whether age or sex in the table of inputs has changed."""
    return (study.age_years is not None and study.age_years != record.age_years) or (study.sex is not None and study.sex != record.sex)


def _same_files(out: Path, path: Path, record: Outcome) -> bool:
    mark = stat_mark(path)
    if mark == record.stat_mark:
        return True
    if content_hash(path) != record.content:
        return False
    write_record(out, replace(record, stat_mark=mark))
    return True
