"""Time of one age prediction, given the positions of the discs: crops, prediction, importance, smooth map; median of several runs on two cores.

    python benchmarks/age.py MODEL [--repeats 7] [--threads 2]

The study is synthetic: sagittal T2 of one site at its full matrix, all slices. Finding the discs is the spine model's part (benchmarks/analyze.py).
"""

import argparse
import time
from pathlib import Path

import numpy as np

from lumbar.age.crops import cut_slices
from lumbar.age.importance import Explainer
from lumbar.age.predict import load
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.phantom.study import StudyOptions, make_study


def median_seconds(work, repeats: int) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Wall time, and processor time of all threads, which other load does not change."""
    spent = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        work()
        spent.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    clock, processor = np.median(spent, axis=0)
    return float(clock), float(processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    study = make_study(StudyOptions(seed=1, site="G", roles=("sagittal_t2",)))
    volume = study.series["sagittal_t2"].volumes()[0]
    levels = [LevelFinding(level, tuple(study.anatomy.disc(level.value).frame.center_mm)) for level in Level]  # type: ignore[arg-type]
    points = {level.level: np.array(level.center_mm) for level in levels}
    start = time.perf_counter()
    predictor = load(options.model, options.threads)
    print(f"load {time.perf_counter() - start:.2f} s")
    slices = cut_slices(volume, points, predictor.options)
    baseline = predictor.baseline.like(slices)
    explainer = Explainer(predictor.engine, slices, baseline, "F")
    parts = {
        "crops": lambda: cut_slices(volume, points, predictor.options),
        "age": lambda: predictor.predict_slices(slices, 50.0, "F", explained=False),
        "discs and vertebrae": explainer.structures,
        "smooth map": explainer.heat_map,
        "everything": lambda: predictor.predict(volume, levels, 50.0, "F"),
    }
    print(f"{volume.array.shape[0]} slices of {volume.array.shape[1]} x {volume.array.shape[2]} pixels, {options.threads} threads")
    for name, work in parts.items():
        clock, processor = median_seconds(work, options.repeats)
        print(f"{name:22s}{clock:.3f} s, processor {processor:.3f} s")


if __name__ == "__main__":
    main()
