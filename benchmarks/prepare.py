"""Preparation speed: studies a minute on one core, with memory, from phantoms of the size of RSNA studies.

    python benchmarks/prepare.py WORK [--studies 8] [--matrix-scale 1.0]

Phantoms are made first, in WORK, outside the measured time. Three ways are measured: at label coordinates, the same with the spine model's masks, and at
the levels of the spine model. Wall time is what counts; processor time is printed beside it, because other load does not change it.
"""

import argparse
import resource
import shutil
from functools import partial
from pathlib import Path
from time import perf_counter, process_time

from lumbar.batch.calls import run_calls
from lumbar.batch.work import EngineOptions
from lumbar.datasets.rsna2024 import IMAGES, read_rsna2024
from lumbar.phantom.cohort import CohortOptions, make_cohort
from lumbar.severity.learn.studies.prepare import PrepareOptions, prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--matrix-scale", type=float, default=1.0)
    arguments = parser.parse_args()
    folder = arguments.work / f"cohort_{arguments.matrix_scale}"
    for _ in make_cohort(CohortOptions("rsna2024", arguments.studies, 45, matrix_scale=arguments.matrix_scale), folder):
        pass
    data = read_rsna2024(folder)
    files = list((folder / IMAGES).rglob("*.dcm"))
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{arguments.studies} phantoms, {len(files) / arguments.studies:.0f} files and {size / arguments.studies:.0f} MB a study")
    for title, options in {
        "labels": PrepareOptions(),
        "labels, masks": PrepareOptions(masks=True),
        "spine model": PrepareOptions("spine"),
    }.items():
        store = arguments.work / "store"
        shutil.rmtree(store, ignore_errors=True)
        wall, processor = perf_counter(), process_time()
        outcomes = list(prepare(data, folder / IMAGES, list(data.imaged_studies), store, options, partial(run_calls, folder=store, engine=EngineOptions())))
        wall, processor = perf_counter() - wall, process_time() - processor
        failed = sum(bool(outcome.failure) for outcome in outcomes)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        per_minute = 60 * arguments.studies
        print(f"{title:<14} {per_minute / wall:7.0f} studies a minute ({per_minute / processor:.0f} by processor time), {failed} failed, {peak:.0f} MB at most")


if __name__ == "__main__":
    main()
