"""Independent calls, such as one per study of a data set or one per fold, run in turn here or on the engine of `lumbar batch`."""

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lumbar.batch.call_job import CALL_JOB, packed
from lumbar.batch.records import RECORDS
from lumbar.batch.work import EngineOptions, JobOptions, Work
from lumbar.errors import InputError, UsageError

Calls = Mapping[str, Callable[[], object]]


def run_calls(calls: Calls, folder: Path, engine: EngineOptions) -> Iterator[tuple[str, str]]:
    """Run `calls`, yielding the name of each that ended with the reason of its failure, or an empty text.

    Args:
        calls: by name; picklable unless they run here. A name must be usable as a file name.
        folder: for state of the engine; all workers must have it at the same path.
        engine: one worker without a scheduler is this process. On several, or on a cluster, a call that crashes, hangs or exceeds its memory costs only
            itself, and is tried once more.

    Raises:
        UsageError: the engine is not installed, or its scheduler is lost.
    """
    if engine.single:
        yield from ((name, _failure(call)) for name, call in calls.items())
        return
    try:
        from lumbar.batch.engine import run_all  # noqa: PLC0415  (Dask is part of lumbar[cluster] and slow to import)
    except ImportError as error:
        raise UsageError(f"several workers need Dask, which is not installed ({error}); pip install lumbar[cluster]") from error
    notes = folder.resolve() / ".calls"
    (notes / RECORDS).mkdir(parents=True, exist_ok=True)
    run, options = uuid.uuid4().hex[:12], JobOptions(job=CALL_JOB)
    work = [Work(name, packed(call), str(notes), options, engine.limits, run, plan="") for name, call in calls.items()]
    try:
        for outcome, final in run_all(work, engine):
            if final:
                yield outcome.study, outcome.reason if outcome.status == "failed" else ""
    finally:
        shutil.rmtree(notes, ignore_errors=True)


def _failure(call: Callable[[], object]) -> str:
    try:
        call()
    except InputError as error:
        return str(error)
    return ""
