"""A batch from inputs to tables: lock the output, select the remaining studies, analyse them, write the tables."""

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import locket

from lumbar import __version__
from lumbar.batch.energy import PowerModel
from lumbar.batch.engine import run_all
from lumbar.batch.fingerprint import plan_key
from lumbar.batch.inputs import StudyInput
from lumbar.batch.models_used import models_used
from lumbar.batch.progress import Progress
from lumbar.batch.records import RECORDS, STAGE, Outcome, read_record
from lumbar.batch.resume import remaining
from lumbar.batch.review import write_review
from lumbar.batch.tables import write_people, write_results, write_status, write_submission
from lumbar.batch.work import EngineOptions, JobOptions, Work
from lumbar.errors import UsageError


@dataclass(frozen=True)
class BatchOptions:
    """Options of a batch."""

    job: JobOptions = field(default_factory=JobOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    resume: bool = False  # resume the batch in the output folder
    retry_failed: bool = False  # when resuming, also repeat studies that failed permanently
    allow_unsigned: bool = False  # use models that are not signed by a key of the trust list
    trust: Path | None = None  # trust list, if not the user's default
    power: PowerModel = field(default_factory=PowerModel)
    quiet: bool = False


@dataclass(frozen=True)
class BatchResult:
    """Result of a batch."""

    outcomes: tuple[Outcome, ...]  # one per study, ordered by name
    done_now: int  # of them, in this call
    changed: int  # done again because the input, the models, the request or the version changed
    values: int  # rows of results.csv

    def count(self, status: str) -> int:
        """How many studies ended in `status`."""
        return sum(outcome.status == status for outcome in self.outcomes)


def run_batch(studies: Sequence[StudyInput], out: Path, options: BatchOptions) -> BatchResult:
    """Do `studies` into `out`; whatever happens, the tables then hold all that is finished.

    Raises:
        UsageError: `out` is in use or in the way, or the scheduler is lost.
        ModelError: a model is missing, damaged or not trusted.
    """
    models = models_used(options.job, options.trust, options.allow_unsigned)
    request = asdict(options.job) | {"threads": None}  # the number of threads changes no result
    plan = plan_key(models, request, __version__)
    with _claimed(out, options.resume):
        left = remaining(studies, out, plan, options.retry_failed)
        run = uuid.uuid4().hex[:12]
        work = [Work(s.name, s.source, str(out.resolve()), options.job, options.engine.limits, run, plan, 1, s.age_years, s.sex) for s in left.todo]
        try:
            with Progress(out / "batch.log", len(work), len(left.kept), options.quiet) as progress:
                for outcome, final in run_all(work, options.engine):
                    progress.report(outcome, final)
        finally:
            outcomes = _outcomes(out, studies)
            values = write_results(out, outcomes)
            write_status(out, outcomes, options.power)
            write_people(out, outcomes, studies)
            write_submission(out, outcomes)
            write_review(out, outcomes)
    return BatchResult(outcomes, len(work), left.changed, values)


def _outcomes(out: Path, studies: Sequence[StudyInput]) -> tuple[Outcome, ...]:
    records = (read_record(out, study.name) for study in studies)
    return tuple(record for record in records if record is not None)


@contextmanager
def _claimed(out: Path, resume: bool) -> Iterator[None]:
    """The output folder for this batch alone, without the incomplete files of interrupted runs."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; the output goes into a folder")
    if out.is_dir() and any(out.iterdir()) and not resume:
        raise UsageError(f"{out} is not empty; add --resume to continue, or choose another folder")
    if out.is_dir() and any(out.iterdir()) and not (out / RECORDS).is_dir():
        raise UsageError(f"{out} is not empty and holds no batch; choose another folder")
    try:
        (out / RECORDS).mkdir(parents=True, exist_ok=True)
        lock = locket.lock_file(str(out / ".batch" / "lock"), timeout=0)
        lock.acquire()
    except locket.LockError as error:
        raise UsageError(f"another batch is writing into {out}; wait for it, or choose another folder") from error
    except OSError as error:
        raise UsageError(f"{out} cannot be written to ({error.strerror}); choose another place with -o") from error
    try:
        _empty_stage(out)
        yield
        _empty_stage(out)  # incomplete files of killed workers; after an error, workers of a lost scheduler may still be writing
    finally:
        lock.release()


def _empty_stage(out: Path) -> None:
    shutil.rmtree(out / STAGE, ignore_errors=True)
    (out / STAGE).mkdir(exist_ok=True)
