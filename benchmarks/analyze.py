"""Time of `lumbar analyze` by stage, compared with reading and decoding the files alone.

    python benchmarks/analyze.py STUDY [--runs 5] [--threads 0] [--tasks spine,severity,muscle]

Prints cold starts of the whole command (wall clock, processor time, peak memory), then the share of each stage in one warm process. Quote medians and
shares; single times depend on the machine.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom

from lumbar.io.read import read_study
from lumbar.models.registry import find_model
from lumbar.pipeline import Request, analyze, load_models
from lumbar.report.write import write_analysis
from lumbar.severity.predict import load as load_grader
from lumbar.spine.segment import TASK, network_of, segment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tasks", default="spine,severity,muscle", help="as of `lumbar analyze`; the default is what it does by default")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    cold_starts(arguments)
    stages(arguments)


def cold_starts(arguments: argparse.Namespace) -> None:
    walls, users, peaks = [], [], []
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", "from lumbar.cli.main import main; main()", "analyze", str(arguments.study), "-o", f"{folder}/out",
                       "--tasks", arguments.tasks, "--threads", str(arguments.threads), "--quiet"]  # fmt: skip
            start = time.perf_counter()
            process = subprocess.Popen(command)
            _, code, usage = os.wait4(process.pid, 0)
            if code:
                sys.exit(f"analyze failed with status {code}")
        walls.append(time.perf_counter() - start)
        users.append(usage.ru_utime + usage.ru_stime)
        peaks.append(usage.ru_maxrss / 1024)
    print(f"cold start, {arguments.runs} runs, tasks {arguments.tasks}: wall {spread(walls)} s, processor {spread(users)} s, peak memory {spread(peaks)} MiB")


def spread(values: list[float]) -> str:
    return f"median {statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def stages(arguments: argparse.Namespace) -> None:
    times: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = call()
        times[name] = time.perf_counter() - start
        return result

    timed("floor: reading and decoding with pydicom alone", lambda: [pydicom.dcmread(p).pixel_array for p in sorted(arguments.study.rglob("*.dcm"))])
    study = timed("reading the study", lambda: read_study(arguments.study))
    request = Request(tasks=tuple(arguments.tasks.split(",")))
    models = timed("loading the models", lambda: load_models(None, arguments.threads, request.loaded_tasks))
    model = timed("loading the spine model", lambda: find_model(TASK, None, arguments.threads))
    analysis = timed("the whole analysis", lambda: analyze(study, models, request))
    stack = analysis.spine_series.largest_stack
    timed("  of it: the spine network", lambda: segment(stack.volume, network_of(model), analysis.spine_series.plane))
    if "severity" in arguments.tasks:
        grader = timed("loading the grading networks", lambda: load_grader(None, arguments.threads))
        levels = analysis.spine.finding.levels
        timed("  grades: crops to probabilities", lambda: grader.predict(study, levels))
        timed("  the same with heat maps", lambda: grader.explain(study, levels))
    with tempfile.TemporaryDirectory() as folder:
        timed("writing report, masks and images", lambda: write_analysis(analysis, Path(folder)))
    total = times["reading the study"] + times["the whole analysis"] + times["writing report, masks and images"]
    for name, seconds in times.items():
        print(f"{name:48s} {seconds:6.2f} s {100 * seconds / total:5.0f} %")
    print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
