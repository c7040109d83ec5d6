"""Dice of a muscle model on people with reader masks: axial T1 (310), axial T2 (136) and the Dixon pair TUM01.

    python recipes/muscle/reader_masks.py ../shared/data [--models DIR] [--every 1]

Which of these people the model was trained on stands on its card: the shipped muscle-axial 0.3.0 saw TUM01 and nobody of T1 or T2. The slices run
through the same inference as `lumbar segment muscle`. The pixel size of the T2 slices is an estimate. With --every 4, muscle-axial 0.3.0 has 0.868
(0.855 to 0.880) on 78 people on T1 and 0.792 (0.769 to 0.814) on 34 on T2.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lumbar.datasets.muscle_slices import ReaderSlice, read_muscle_t1, read_muscle_t2
from lumbar.datasets.myosegmentum import read_dixon
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.segmentation import brought_onto, dice
from lumbar.models.registry import find_model
from lumbar.muscle.engine import run_model
from lumbar.muscle.labels import LABELS
from lumbar.muscle.predict import TASK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th person only")
    arguments = parser.parse_args()
    model = find_model(TASK, arguments.models)
    print(f"{model.card.name} {model.card.version}; trained on: {model.card.trained_on}")

    def scores(slices: Iterable[ReaderSlice]) -> np.ndarray:
        return np.array([[dice(one.labels == n, mask == n) for n in LABELS] for one in slices for mask in [run_model(model, volume_of(one)).mask.array[0]]])

    for name, slices in (("T1, L4/L5", read_muscle_t1(arguments.data / "muscle_t1")), ("T2", read_muscle_t2(arguments.data / "muscle_t2"))):
        show(name, scores(list(slices)[:: arguments.every]))
    case = next(iter(read_dixon(arguments.data / "dixon")))
    reference = np.asarray(brought_onto(case.water.grid, case.mask).array)
    for name, image, fat in (("water", case.water, None), ("fat", case.fat, None), ("water and fat", case.water, case.fat)):
        mask = np.asarray(run_model(model, image, fat).mask.array)
        show(f"Dixon TUM01, {name}", np.array([[dice(reference == n, mask == n) for n in LABELS]]))


def volume_of(one: ReaderSlice) -> Volume:
    """The slice as a volume of one axial slice; rows run from front to back, columns to the patient's left."""
    rows, columns = one.image.shape
    return Volume(one.image[None], Grid(np.zeros((1, 3)), np.array([0, one.pixel_mm, 0]), np.array([one.pixel_mm, 0, 0]), rows, columns))


def show(name: str, found: np.ndarray) -> None:
    """Print the mean Dice of (people, 4 muscles)."""
    each = " ".join(f"{side.value} {muscle.value} {value:.3f}" for (muscle, side), value in zip(LABELS.values(), found.mean(axis=0), strict=True))
    line = f"{name}, {len(found)} people: mean {found.mean():.4f}"
    if len(found) > 1:
        interval = bootstrap_interval(lambda rows: float(found[rows].mean()), np.arange(len(found)))
        line += f" ({interval.low:.3f} to {interval.high:.3f}), lowest label of a person, 5th percentile {np.quantile(found.min(axis=1), 0.05):.3f}"
    print(f"{line}; {each}", flush=True)


if __name__ == "__main__":
    main()
