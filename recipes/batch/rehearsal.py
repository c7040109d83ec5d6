"""Rehearsal of a data-set run: makes synthetic studies in the exact layout of RSNA 2024, runs them with `lumbar batch` and prints their cost.

    python recipes/batch/rehearsal.py --studies 300 --matrix-scale 0.25 --workers 2
    python recipes/batch/rehearsal.py --studies 200 --matrix-scale 0.5 --compare 60     # 60 of them also with one worker, 5 with `lumbar analyze`

Prints one JSON document: wall and processor seconds a study, peak memory early and late in the run, disk, the engine's own share of the processor time,
and, with --compare, the throughput of two workers over one, the cost of a study in a batch over that of a call of `lumbar analyze`, and whether the values
of the studies that were done twice are equal. Studies that an interrupted run has made are kept.
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


def compared(facts: dict[str, float], folder: Path, studies: Path, number: int) -> dict[str, float | bool]:
    """One worker on the first `number` studies, and separate calls on the first few, against the run that `facts` describes."""
    one, some = folder / "workers1", folder / "some.csv"
    chosen = sorted(studies.iterdir())[:number]
    some.write_text("study,path\n" + "".join(f"{study.name},{study.resolve()}\n" for study in chosen), encoding="utf-8")
    alone = facts_of(one, studies, *call("batch", some, "-o", one, "--workers", 1, "--threads", 1, "--quiet"))
    each = [call("analyze", study, "-o", folder / "separate" / study.name, "--threads", 1, "--quiet") for study in chosen[:SEPARATE]]
    analyze_cpu = float(np.mean([cpu for _, cpu in each]))
    same = {study.name for study in chosen}
    return {
        "one_worker": alone["studies"],
        "one_worker_wall_seconds_a_study": alone["wall_seconds_a_study"],
        "one_worker_cpu_seconds_a_study": alone["cpu_seconds_a_study"],
        "throughput_over_one_worker": round(alone["wall_seconds_a_study"] / facts["wall_seconds_a_study"], 2),
        "same_values": values_of(one, same) == values_of(folder / f"workers{facts['workers']}", same),
        "analyze_wall_seconds": round(float(np.mean([wall for wall, _ in each])), 2),
        "analyze_cpu_seconds": round(analyze_cpu, 2),
        "batch_over_analyze_cpu": round(alone["cpu_seconds_a_study"] / analyze_cpu, 2),
    }


def values_of(out: Path, studies: set[str]) -> list[dict[str, str]]:
    """The rows of results.csv of `studies`."""
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["study"] in studies]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("out/rehearsal"))
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--matrix-scale", type=float, default=0.25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--compare", type=int, default=0, help="Studies that are also done with one worker.")
    options = parser.parse_args()
    data = options.folder / "data"
    studies, out = data / "train_images", options.folder / f"workers{options.workers}"
    making = ("--layout", "rsna2024", "--studies", options.studies, "--matrix-scale", options.matrix_scale, "--quiet")
    made, _ = call("phantom", "cohort", data, *making)
    facts = {"making_seconds": round(made, 1), "workers": options.workers}
    facts |= facts_of(out, studies, *call("batch", studies, "-o", out, "--workers", options.workers, "--threads", 1, "--quiet"))
    if options.compare:
        facts |= compared(facts, options.folder, studies, options.compare)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
