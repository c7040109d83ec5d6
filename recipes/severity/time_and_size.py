"""Processor time of the 25 grades of the real study, and the size of all weights of severity.

    python recipes/severity/time_and_size.py ../shared/data/rsna2024

The levels are found first and do not count. Times are of this process and all its threads; the first run, which warms up, is left out.
"""

import argparse
import time
from pathlib import Path

from lumbar.io.read import read_study
from lumbar.models import trust
from lumbar.pipeline import Request, analyze, load_models
from lumbar.severity.predict import load

STUDY = "100206310"
RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    arguments = parser.parse_args()
    study = read_study(arguments.data / "train_images" / STUDY)
    levels = analyze(study, load_models(tasks=()), Request(tasks=("spine",))).spine.finding.levels
    predictor = load(threads=1)
    grades, explained, maps = [], [], 0
    for _ in range(RUNS + 1):
        grades.append(seconds(lambda: predictor.predict(study, levels)))
        started = time.process_time()
        maps = len(predictor.explain(study, levels).heat_maps)
        explained.append(time.process_time() - started)
    for title, values in (("25 grades with evidence", grades[1:]), (f"with {maps} heat maps", explained[1:])):
        print(f"{title}: {min(values):.2f} to {max(values):.2f} s of processor, {RUNS} runs")
    folder, total = Path(trust.__file__).parent, 0
    for model in sorted(path for path in folder.glob("weights*/severity-*") if path.is_dir()):
        size = sum(path.stat().st_size for path in model.iterdir())
        total += size
        print(f"{model.name}: {size / 1e6:.2f} MB")
    print(f"all weights of severity: {total / 1e6:.1f} MB")


def seconds(action) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


if __name__ == "__main__":
    main()
