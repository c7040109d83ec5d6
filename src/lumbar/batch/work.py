"""Messages between the command, the workers and the study processes: plain data."""

from dataclasses import asdict, dataclass, field
from typing import Any

ANALYZE = "lumbar.batch.job:AnalyzeJob"


@dataclass(frozen=True)
class Limits:
    """What one study may use before it is stopped."""

    seconds: float = 900.0
    memory_mb: float = 4096.0  # resident


@dataclass(frozen=True)
class EngineOptions:
    """Options of the engine: workers and number of attempts."""

    workers: int = 1  # local processes; not used with a scheduler
    scheduler: str | None = None  # address of a running Dask scheduler, or its JSON file
    attempts: int = 2
    limits: Limits = field(default_factory=Limits)
    patience_s: float = 30.0  # silence of the scheduler after which it counts as lost

    @property
    def single(self) -> bool:
        """Whether there is one worker and no cluster, so that calls can run in the process of the command."""
        return self.workers == 1 and self.scheduler is None


@dataclass(frozen=True)
class JobOptions:
    """How every study of a batch is analyzed."""

    tasks: tuple[str, ...] | None = None  # as of `lumbar analyze`
    models: str | None = None  # folder, the same path on every machine
    threads: int = 1  # of the networks of one worker
    job: str = ANALYZE  # module:class that a worker's process runs; data-set commands and tests give others

    def to_json(self) -> dict[str, Any]:
        """Plain values for a process of its own."""
        return asdict(self)


@dataclass(frozen=True)
class Work:
    """One study for one worker."""

    study: str
    source: str
    out: str  # the output folder of the batch, the same path on every machine
    options: JobOptions
    limits: Limits
    run: str  # id of this call of `lumbar batch`
    plan: str  # key of models, request and version
    attempt: int = 1
    age_years: float | None = None
    sex: str | None = None
