"""Time of `lumbar analyze` by stage, compared with reading and decoding the files alone.

    python benchmarks/analyze.py STUDY [--runs 5] [--threads 0] [--tasks spine,severity,muscle] [--beside COMMIT]

Prints cold starts of the whole command (processor time, wall clock, peak memory), then the processor time of each stage in one process. With `--beside`
the cold starts alternate with those of another commit of this repository, and the share of its processor time is printed. Both are compiled to byte code
first, as an installed package is. Quote the least processor time and shares; on a busy machine single times mean little.
"""

import argparse
import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

STARTED = time.process_time()
import pydicom  # noqa: E402  (importing is measured)

from lumbar.io.read import read_study  # noqa: E402
from lumbar.pipeline import Request, analyze, load_models  # noqa: E402
from lumbar.report.write import write_analysis  # noqa: E402
from lumbar.spine.series_fit import seen_from  # noqa: E402

IMPORTED = time.process_time() - STARTED
ROOT = Path(__file__).parents[1]
REMOVED = {"PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}  # not set where users run the command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tasks", default="spine,severity,muscle", help="as of `lumbar analyze`; the default is what it does by default")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--beside", help="a commit whose cold starts are measured in turn")
    arguments = parser.parse_args()
    cold_starts(arguments)
    stages(arguments)


def cold_starts(arguments: argparse.Namespace) -> None:
    """Cold starts of this version, and in turn with it of the commit to compare with."""
    with tempfile.TemporaryDirectory() as folder:
        versions = {"this version": exported(Path(folder) / "this", None)}
        if arguments.beside:
            versions[arguments.beside] = exported(Path(folder) / "other", arguments.beside)
        costs: dict[str, list[Cost]] = {name: [] for name in versions}
        for run in range(arguments.runs + 1):
            for name, source in versions.items():
                cost = cold_start(source, arguments, Path(folder) / "out")
                if run:  # the first writes byte code and fills the file cache
                    costs[name].append(cost)
    for name, runs in costs.items():
        processor, wall, peak = (spread([getattr(cost, what) for cost in runs]) for what in ("processor", "wall", "peak_mib"))
        print(f"cold start of {name}, {len(runs)} runs: processor {processor} s, wall {wall} s, peak memory {peak} MiB")
    if arguments.beside:
        least, other = (min(cost.processor for cost in runs) for runs in costs.values())
        print(f"least processor time: {least:.2f} of {other:.2f} s, {100 * least / other:.0f} %")


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    processor: float  # s, user and system
    wall: float  # s
    peak_mib: float


def exported(target: Path, commit: str | None) -> Path:
    """The source folder of `commit`, or of the files as they are, copied to `target` and compiled to byte code."""
    target.mkdir()
    if commit:
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit, "src"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", str(target)], input=archive, check=True)
    else:
        shutil.copytree(ROOT / "src", target / "src", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(target / "src", quiet=2)
    return target / "src"


def cold_start(source: Path, arguments: argparse.Namespace, out: Path) -> Cost:
    """One `lumbar analyze` of the version in `source`."""
    command = [sys.executable, "-c", "from lumbar.cli.main import main; main()", "analyze", str(arguments.study), "-o", str(out), "--overwrite",
               "--tasks", arguments.tasks, "--threads", str(arguments.threads), "--quiet"]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in REMOVED}
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**environment, "PYTHONPATH": str(source)})
    _, code, usage = os.wait4(process.pid, 0)
    if code:
        sys.exit(f"analyze failed with status {code}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024)


def spread(values: list[float]) -> str:
    return f"least {min(values):.2f}, median {statistics.median(values):.2f}"


def stages(arguments: argparse.Namespace) -> None:
    """Processor time of each stage, with one study in one process."""
    times: dict[str, float] = {"importing the library": IMPORTED}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = call()
        times[name] = time.process_time() - start
        return result

    request = Request(tasks=tuple(arguments.tasks.split(",")))
    timed("(for comparison: reading and decoding with pydicom alone)", lambda: [pydicom.dcmread(p).pixel_array for p in arguments.study.rglob("*.dcm")])
    study = timed("reading the study", lambda: read_study(arguments.study))
    models = timed("loading the models", lambda: load_models(None, arguments.threads, request.loaded_tasks))
    found = timed("finding the spine", lambda: models.spine.run(study, None, request.patient(study)))
    study = timed("aligning the series", lambda: seen_from(study, found.evidence)).study
    for entry, task in models.tasks:
        if task is not None and request.wants(entry):
            timed(entry.name, partial(task.run, study, found.evidence, request.patient(study)))
    analysis = analyze(study, models, request)
    with tempfile.TemporaryDirectory() as folder:
        timed("writing report, masks and images", lambda: write_analysis(analysis, Path(folder)))
    total = sum(seconds for name, seconds in times.items() if not name.startswith("("))
    for name, seconds in times.items():
        print(f"{name:60s} {seconds:6.2f} s {100 * seconds / total:5.0f} %")


if __name__ == "__main__":
    main()
