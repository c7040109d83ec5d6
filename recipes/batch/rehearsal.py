"""Rehearsal of a data-set run: makes synthetic studies in the exact layout of RSNA 2024, runs them with `lumbar batch` and prints their cost.

    python recipes/batch/rehearsal.py --studies 300 --matrix-scale 0.25 --workers 2
    python recipes/batch/rehearsal.py --studies 200 --matrix-scale 0.5 --compare     # also one worker, and `lumbar analyze` one by one

Prints one JSON document: wall and processor seconds a study, peak memory early and late in the run, disk, the engine's own share of the processor time,
and, with --compare, the throughput of two workers over one and the cost of a study in a batch over that of a call of `lumbar analyze`.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

LUMBAR = [sys.executable, "-c", "from lumbar.cli.main import main; main()"]
SEPARATE = 5  # studies that are also analyzed one by one


def call(*words: object) -> tuple[float, float]:
    """(wall, processor) seconds of a `lumbar` command, its own processes included."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    code = subprocess.run([*LUMBAR, *map(str, words)], check=False, stdout=subprocess.DEVNULL).returncode  # noqa: S603
    if code not in (0, 4):
        raise SystemExit(f"lumbar {words[0]} left with {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "status.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def finished_order(out: Path) -> list[str]:
    """Studies in the order in which their records were written."""
    records = (out / ".batch" / "records").glob("*.json")
    return [path.stem for path in sorted(records, key=lambda path: path.stat().st_mtime_ns)]


def facts_of(out: Path, studies: Path, wall: float, cpu: float) -> dict[str, float]:
    rows = {row["study"]: row for row in rows_of(out)}
    own = np.array([float(row["cpu_seconds"]) for row in rows.values()])
    peaks = np.array([float(rows[study]["peak_mb"]) for study in finished_order(out)])
    tenth = max(1, len(peaks) // 10)
    return {
        "studies": len(rows),
        "done": sum(row["status"] == "done" for row in rows.values()),
        "wall_seconds": round(wall, 1),
        "wall_seconds_a_study": round(wall / len(rows), 2),
        "cpu_seconds_a_study": round(cpu / len(rows), 2),
        "engine_share_of_cpu": round(1 - own.sum() / cpu, 3),  # Dask, hashing, tables, starting and loading models
        "peak_mb_second_tenth": round(float(np.median(peaks[tenth : 2 * tenth] if len(peaks) > tenth else peaks))),
        "peak_mb_last_tenth": round(float(np.median(peaks[-tenth:]))),
        "energy_wh_a_study": round(float(np.mean([float(row["energy_wh"]) for row in rows.values()])), 4),
        "input_mb_a_study": round(size_mb(studies) / len(rows), 2),
        "output_mb_a_study": round(size_mb(out) / len(rows), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("out/rehearsal"))
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--matrix-scale", type=float, default=0.25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    data = options.folder / "data"
    made, _ = call("phantom", "cohort", data, "--layout", "rsna2024", "--studies", options.studies, "--matrix-scale", options.matrix_scale, "--quiet")
    studies, out = data / "train_images", options.folder / f"workers{options.workers}"
    facts = {"making_seconds": round(made, 1), "workers": options.workers}
    facts |= facts_of(out, studies, *call("batch", studies, "-o", out, "--workers", options.workers, "--threads", 1, "--quiet"))
    if options.compare:
        one = options.folder / "workers1"
        alone = facts_of(one, studies, *call("batch", studies, "-o", one, "--workers", 1, "--threads", 1, "--quiet"))
        facts["throughput_over_one_worker"] = round(alone["wall_seconds"] / facts["wall_seconds"], 2)
        facts["same_tables"] = all((out / name).read_bytes() == (one / name).read_bytes() for name in ("results.csv", "results.parquet", "submission.csv"))
        first = sorted(studies.iterdir())[:SEPARATE]
        each = [call("analyze", study, "-o", options.folder / "separate" / study.name, "--threads", 1, "--quiet") for study in first]
        facts["analyze_wall_seconds"] = round(float(np.mean([wall for wall, _ in each])), 2)
        facts["analyze_cpu_seconds"] = round(float(np.mean([cpu for _, cpu in each])), 2)
        facts["batch_over_analyze_cpu"] = round(alone["cpu_seconds_a_study"] / facts["analyze_cpu_seconds"], 2)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
