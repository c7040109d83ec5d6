"""Kill workers and the scheduler of a batch of real analyses: with --resume every study has to be finished once, and the table equal to that of a quiet run.

python benchmarks/batch_kills.py STUDIES OUT --undisturbed RESULTS [--every 20] [--scheduler-kills 2]

STUDIES holds one folder a study, OUT is a new folder, RESULTS that of `lumbar batch STUDIES -o RESULTS` without disturbance. A Dask scheduler and two workers
run as processes of their own, as on a cluster. Every `--every` seconds one worker is killed (SIGKILL) and started again by its nanny. The scheduler is killed
when a third and two thirds of the studies are done; a new one is started and the command repeated with --resume. Prints one JSON document; the exit code is 1
if a study is missing, was finished twice, or the tables differ. A study that waits at a worker each time it is killed fails at the tenth time and is tried
again: that does not count as finished.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lumbar.batch.records import RECORDS

SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
DASK = [sys.executable, "-m", "dask"]
LUMBAR = [sys.executable, "-c", "from lumbar.cli.main import main; main()"]
TABLES = ("results.csv", "results.parquet", "submission.csv")


@dataclass
class Toll:
    """What was killed, and what had to start again."""

    workers: int = 0
    schedulers: int = 0
    commands: int = 0
    repeated: list[str] = field(default_factory=list)  # studies that were finished twice


@dataclass(frozen=True)
class Cluster:
    """A scheduler and the process that starts two nannies, each of which starts its worker again."""

    address_file: Path
    scheduler: psutil.Popen
    nannies: psutil.Popen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--undisturbed", type=Path, required=True)
    parser.add_argument("--every", type=float, default=20.0)
    parser.add_argument("--scheduler-kills", type=int, default=2)
    options = parser.parse_args()
    total = sum(path.is_dir() for path in options.studies.iterdir())
    ends = [total * number // (options.scheduler_kills + 1) for number in range(1, options.scheduler_kills + 1)]
    toll, start = Toll(), time.monotonic()
    for end in [*ends, None]:
        with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as running:
            batch_with_kills(options, running, end, toll)
    facts = facts_of(options.out, options.undisturbed) | {
        "workers_killed": toll.workers,
        "schedulers_killed": toll.schedulers,
        "commands": toll.commands,
        "finished_twice": toll.repeated,
        "wall_seconds": round(time.monotonic() - start),
    }
    good = facts["done"] == total and not toll.repeated and facts["tables_equal"] == list(TABLES) and not facts["half_written"]
    print(json.dumps({"studies": total, **facts, "verdict": "as undisturbed" if good else "DIFFERENT"}, indent=1))
    sys.exit(0 if good else 1)


def facts_of(out: Path, undisturbed: Path) -> dict[str, Any]:
    return {
        "done": sum(json.loads(path.read_text())["status"] == "done" for path in records(out)),
        "tables_equal": [name for name in TABLES if (out / name).read_bytes() == (undisturbed / name).read_bytes()],
        "half_written": [path.name for path in (out / ".batch" / "stage").iterdir()],
    }


def batch_with_kills(options: argparse.Namespace, running: Cluster, end: int | None, toll: Toll) -> None:
    """One call of `lumbar batch`, until the scheduler is killed at `end` finished studies, or else to its end."""
    before = {path.name: text for path in records(options.out) if json.loads(text := path.read_text())["status"] == "done"}
    words = ["batch", options.studies, "-o", options.out, "--scheduler", running.address_file, "--threads", 1, "--quiet"]
    command = subprocess.Popen([*LUMBAR, *map(str, words), *(["--resume"] if options.out.exists() else [])])
    toll.commands += 1
    over = threading.Event()
    killer = threading.Thread(target=kill_workers, args=(running.nannies, options.every, over, toll))
    killer.start()
    while command.poll() is None:
        if end is not None and len(records(options.out)) >= end:
            running.scheduler.kill()
            toll.schedulers += 1
            end = None
        time.sleep(0.2)
    over.set()
    killer.join()
    toll.repeated += [name for name, text in before.items() if (options.out / RECORDS / name).read_text() != text]


def kill_workers(nannies: psutil.Popen, every: float, over: threading.Event, toll: Toll) -> None:
    """SIGKILL the worker that has lived longest, again and again."""
    while not over.wait(every):
        workers = [one.parent() for one in nannies.children(recursive=True) if is_study_process(one)]
        alive = [worker for worker in workers if worker is not None]
        if alive:
            min(alive, key=lambda worker: worker.create_time()).kill()
            toll.workers += 1


def is_study_process(process: psutil.Process) -> bool:
    try:
        return "lumbar.batch.study_process" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def records(out: Path) -> list[Path]:
    return list((out / RECORDS).glob("*.json"))


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A scheduler and two workers as processes of their own; ended, with what they started, on the way out."""
    file = folder / "scheduler.json"
    scheduler = psutil.Popen([*DASK, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)], **SILENT)
    while not (file.is_file() and file.stat().st_size):
        time.sleep(0.1)
    words = ["--scheduler-file", str(file), "--nworkers", "2", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--local-directory", str(folder)]
    nannies = psutil.Popen([*DASK, "worker", *words], **SILENT)
    try:
        yield Cluster(file, scheduler, nannies)
    finally:
        ended = [*nannies.children(recursive=True), nannies, scheduler]
        for process in ended:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(ended, timeout=15)


if __name__ == "__main__":
    main()
