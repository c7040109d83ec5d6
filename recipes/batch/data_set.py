"""Rehearsal of the work on a data set like RSNA 2024: makes synthetic studies in its exact layout, then prepares, trains and predicts on the engine.

    python recipes/batch/data_set.py out/data_set --studies 300 --matrix-scale 0.25 --workers 2

Prints one JSON document with wall and processor seconds of each step, in all and a study, and the disk that each needs. Interrupted steps resume; their
seconds then count from the last start. Training is short (--steps): it shows that the way is open, not how well the network becomes.
"""

import argparse
import csv
import json
import shutil
from pathlib import Path

from rehearsal import call, size_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("out/data_set"))
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--matrix-scale", type=float, default=0.25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    data, store, model = (options.folder / name for name in ("data", "store", "model"))
    side_by_side = ("--workers", options.workers)
    training = ("--folds", options.folds, "--steps", options.steps, "--encoder", "tiny", "--folds-at-once", min(options.folds, options.workers))
    shutil.rmtree(model, ignore_errors=True)
    steps = {
        "make": ("phantom", "cohort", data, "--layout", "rsna2024", "--studies", options.studies, "--matrix-scale", options.matrix_scale, "--quiet"),
        "prepare": ("prepare", "rsna2024", data, "-o", store, *side_by_side, "--quiet"),
        "train": ("train", "severity", "--store", store, "--grades", data / "train.csv", "--runs", options.folder / "runs", "-o", model, *training,
                  "--licence", "synthetic", "--threads", 1),
        "predict": ("predict", "rsna2024", data, "--split", "train", "-o", options.folder / "submission.csv", "--models", model, *side_by_side,
                    "--threads", 1, "--quiet", "--overwrite"),
    }  # fmt: skip
    facts: dict[str, object] = {"studies": options.studies, "workers": options.workers}
    for name, words in steps.items():
        wall, cpu = call(*words)
        facts[name] = {"wall_seconds": round(wall, 1), "cpu_seconds": round(cpu, 1), "cpu_seconds_a_study": round(cpu / options.studies, 2)}
    with (options.folder / "submission.csv").open(newline="") as file:
        facts["rows_predicted"] = sum(1 for _ in csv.reader(file)) - 1
    facts["disk_mb"] = {path.name: round(size_mb(path), 1) for path in (data, store, model)}
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
