"""Independent calls, such as one per study of a data set or one per fold, run in turn here or on the engine of `lumbar batch`."""

import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lumbar.batch.call_job import CALL_JOB, packed
from lumbar.batch.records import RECORDS
from lumbar.batch.work import JobOptions, Limits, Work
from lumbar.errors import InputError, UsageError

Calls = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Where:
    """Where calls run: in this process, in local worker processes, or on a Dask cluster."""

    workers: int = 1  # local processes; 1 without a scheduler: this process
    scheduler: str | None = None  # address of a running Dask scheduler, or its JSON file
    limits: Limits = field(default_factory=Limits)
    attempts: int = 2

    @property
    def here(self) -> bool:
        """Whether this process runs the calls."""
        return self.workers == 1 and self.scheduler is None


def run_calls(calls: Calls, folder: Path, where: Where) -> Iterator[tuple[str, str]]:
    """Run `calls`, yielding the name of each that ended with the reason of its failure, or an empty text.

    Args:
        calls: by name; picklable unless they run here. A name must be usable as a file name.
        folder: for state of the engine; all workers must have it at the same path.
        where: where they run. Elsewhere than here, a call that crashes, hangs or exceeds its memory costs only itself, and is tried once more.

    Raises:
        UsageError: the engine is not installed, or its scheduler is lost.
    """
    if where.here:
        yield from ((name, _failure(call)) for name, call in calls.items())
        return
    try:
        from lumbar.batch.engine import EngineOptions, run_all  # noqa: PLC0415  (Dask is part of lumbar[cluster] and slow to import)
    except ImportError as error:
        raise UsageError(f"several workers need Dask, which is not installed ({error}); pip install lumbar[cluster]") from error
    notes = folder.resolve() / ".calls"
    (notes / RECORDS).mkdir(parents=True, exist_ok=True)
    run, options = uuid.uuid4().hex[:12], JobOptions(job=CALL_JOB)
    work = [Work(name, packed(call), str(notes), options, where.limits, run, plan="") for name, call in calls.items()]
    try:
        for outcome, final in run_all(work, EngineOptions(where.workers, where.scheduler, where.attempts, where.limits)):
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
