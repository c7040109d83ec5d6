"""What runs on a Dask worker: pass one study to this worker's process and record the outcome."""

import atexit
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

from lumbar.batch.fingerprint import content_hash, stat_mark
from lumbar.batch.isolation import StudyProcess
from lumbar.batch.records import Outcome, read_record, write_record
from lumbar.batch.work import Work

_OWN = threading.local()  # one process a thread: a worker with several threads does several studies at once
_ALL: list[StudyProcess] = []


def do_study(work: Work) -> Outcome:
    """Do one study and write its record; a study that this attempt has finished already, on a worker that was lost since, is not done again."""
    out = Path(work.out)
    before = read_record(out, work.study)
    if before is not None and (before.run, before.attempts) == (work.run, work.attempt):
        return before
    response = {**_marks(work.source), **_process(work).run(_message(work), work.limits)}
    earlier = before if before is not None and before.run == work.run else None
    outcome = _outcome(work, response, earlier)
    write_record(out, outcome)
    return outcome


def _marks(source: str) -> dict[str, str]:
    """Fingerprint of the input, also for a study that crashes its process; for remote studies the fetching job provides it."""
    path = Path(source)
    try:
        return {} if "://" in source else {"content": content_hash(path), "stat_mark": stat_mark(path)}
    except OSError:
        return {}  # reading the study reports problems with its files


def _process(work: Work) -> StudyProcess:
    process: StudyProcess | None = getattr(_OWN, "process", None)
    if process is None or process.options != work.options:
        if process is not None:
            process.stop()
        process = StudyProcess(work.options)
        _OWN.process = process
        _ALL.append(process)
    return process


@atexit.register
def _stop_all() -> None:
    for process in _ALL:
        process.stop()


def _message(work: Work) -> dict[str, Any]:
    return {"study": work.study, "source": work.source, "out": work.out, "age_years": work.age_years, "sex": work.sex}


def _outcome(work: Work, response: dict[str, Any], earlier: Outcome | None) -> Outcome:
    known = {field.name for field in fields(Outcome)}
    values = {"age_years": work.age_years, "sex": work.sex, **{key: value for key, value in response.items() if key in known}}
    if earlier is not None:
        values["seconds"] = values.get("seconds", 0.0) + earlier.seconds
        values["cpu_seconds"] = values.get("cpu_seconds", 0.0) + earlier.cpu_seconds
        values["peak_mb"] = max(values.get("peak_mb", 0.0), earlier.peak_mb)
    return Outcome(**{**values, "study": work.study, "attempts": work.attempt, "run": work.run, "plan": work.plan})


def failed(work: Work, reason: str) -> Outcome:
    """The record of a study whose worker was lost with it, written by the command."""
    outcome = _outcome(work, {"status": "failed", "reason": reason}, None)
    write_record(Path(work.out), outcome)
    return outcome
