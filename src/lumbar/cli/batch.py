"""`lumbar batch`: many studies on an engine."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lumbar.cli.engine_options import scheduler_option
from lumbar.cli.options import grouped, json_option, models_option, output_option, quiet_option, tasks_of
from lumbar.cli.stdout import print_json
from lumbar.errors import UsageError
from lumbar.pipeline import TASKS

_WORKER_BYTES = 3 << 29  # 1.5 GiB: memory of a worker with its models


@dataclass(frozen=True)
class _Options:
    """The options of the engine and of the analyses, one field each."""

    workers: int | None
    scheduler: str | None
    resume: bool
    retry_failed: bool
    tasks: tuple[str, ...] | None
    models: Path | None
    allow_unsigned: bool
    trust: Path | None
    threads: int | None
    limit_minutes: float
    memory_gb: float
    watts_per_core: float
    pue: float


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@output_option("Folder for the results: one folder per study, the tables and index.html.")
@click.option("--workers", type=click.IntRange(1), help="Local processes, one study at a time each  [default: one per core, as memory allows]")
@scheduler_option
@click.option("--resume", is_flag=True, help="Resume OUT: repeat only studies that are missing, unfinished or changed.")
@click.option("--retry-failed", is_flag=True, help="With --resume: also repeat failed studies.")
@click.option("--tasks", metavar=",".join(TASKS), callback=tasks_of(TASKS), help="As in `lumbar analyze`.")
@models_option
@click.option("--allow-unsigned", is_flag=True, help="Use models that are not signed by a key of the trust list.")
@click.option("--trust", type=click.Path(path_type=Path), help="Trust list  [default: ~/.lumbar/trust.json]")
@click.option("--threads", type=click.IntRange(1), help="Processor threads of each worker's networks  [default: cores / workers]")
@click.option("--limit-minutes", type=click.FloatRange(0.01), default=15.0, show_default=True, help="Time limit of a study.")
@click.option("--memory-gb", type=click.FloatRange(0.1), default=4.0, show_default=True, help="Memory limit of a study's process.")
@click.option("--watts-per-core", type=click.FloatRange(0.1), default=12.0, show_default=True, help="Power of a busy core, for the energy in status.csv.")
@click.option("--pue", type=click.FloatRange(1), default=1.67, show_default=True, help="Power of the building / of its computers; 1 for a workstation.")
@json_option
@quiet_option
@grouped("wanted", _Options)
def batch(inputs: tuple[str, ...], out: Path, as_json: bool, quiet: bool, wanted: _Options) -> int:
    """Analyze many studies: folders of studies, zips, NIfTI files, a CSV with the columns study and path, s3:// or other URLs, dicomweb+https://…

    \b
    lumbar batch studies/ -o results --workers 4
    lumbar batch studies.csv -o results --resume
    lumbar batch s3://bucket/studies/ -o results --scheduler tcp://head:8786

    A study that hangs, exceeds its memory or crashes affects only its own row, and is tried once more. Exit code 4: some study failed or lacked a task.
    """
    run_batch, options_of, find_inputs = _engine()
    studies = find_inputs(inputs)
    result = run_batch(studies, out, options_of(quiet or as_json, wanted))
    facts = {
        "out": str(out), "studies": len(result.outcomes), "done": result.count("done"), "partial": result.count("partial"),
        "failed": result.count("failed"), "done_now": result.done_now, "changed": result.changed, "values": result.values,
    }  # fmt: skip
    if as_json:
        print_json(facts)
    elif not quiet:
        click.echo(f"{out / 'index.html'}: {facts['studies']} studies, {facts['partial']} partial, {facts['failed']} failed; {facts['done_now']} done now")
    return 4 if result.count("done") < len(result.outcomes) else 0


def _engine() -> tuple[Any, Any, Any]:
    try:
        from lumbar.batch.inputs import find_inputs  # noqa: PLC0415  (Dask is part of lumbar[cluster] and slow to import)
        from lumbar.batch.run import run_batch  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"this needs Dask and PyArrow, which are not installed ({error}); pip install lumbar[cluster]") from error
    return run_batch, _options, find_inputs


def _options(quiet: bool, wanted: _Options) -> Any:
    import psutil  # noqa: PLC0415

    from lumbar.batch.energy import PowerModel  # noqa: PLC0415
    from lumbar.batch.run import BatchOptions  # noqa: PLC0415
    from lumbar.batch.work import EngineOptions, JobOptions, Limits  # noqa: PLC0415

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = wanted.workers or max(1, min(cores, int(psutil.virtual_memory().available / _WORKER_BYTES)))
    threads = wanted.threads or (1 if wanted.scheduler else max(1, cores // workers))
    models = wanted.models
    return BatchOptions(
        job=JobOptions(wanted.tasks, str(models.resolve()) if models else None, threads),
        engine=EngineOptions(workers, wanted.scheduler, limits=Limits(60 * wanted.limit_minutes, 1024 * wanted.memory_gb)),
        resume=wanted.resume,
        retry_failed=wanted.retry_failed,
        allow_unsigned=wanted.allow_unsigned,
        trust=wanted.trust,
        power=PowerModel(wanted.watts_per_core, wanted.pue),
        quiet=quiet,
    )
