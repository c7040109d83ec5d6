"""Whether a wrong orientation in the file is noticed: axial slices of people and phantoms as stored, turned by 180°, and with front and back exchanged.

    python recipes/muscle/orientation.py ../shared/data [--models DIR] [--every 10]

A file made from photographs of slices often has no orientation, so that the back comes first, and left may be right. Prints how many slices of each set are
reported as stored with the back in front. As stored, none should be.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumbar.datasets.muscle_slices import read_muscle_t1, read_muscle_t2
from lumbar.domain.volume import Volume
from lumbar.models.folder import Model
from lumbar.models.registry import find_model
from lumbar.muscle.engine import run_model
from lumbar.muscle.predict import TASK
from lumbar.phantom.study import StudyOptions, make_study

FIRST_SEED = 40  # of the phantoms
SITES = "ABCDEFGHI"
STEPS = {"as stored": (1, 1), "turned": (-1, -1), "front and back exchanged": (-1, 1)}  # of rows and columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--every", type=int, default=10, help="take every n-th person")
    options = parser.parse_args()
    model = find_model(TASK, options.models, 1)
    sets = {
        "T1": (one.volume for one in list(read_muscle_t1(options.data / "muscle_t1"))[:: options.every]),
        "T2": (one.volume for one in list(read_muscle_t2(options.data / "muscle_t2"))[:: options.every]),
        "phantoms": phantoms(),
    }
    for name, volumes in sets.items():
        found = np.array([[noticed(model, volume, *steps) for steps in STEPS.values()] for volume in volumes])
        print(f"{name}, {len(found)}: " + ", ".join(f"{what} {count}" for what, count in zip(STEPS, found.sum(axis=0), strict=True)), flush=True)


def phantoms() -> Iterator[Volume]:
    """The lowest three axial slices of a phantom of each site."""
    for number, site in enumerate(SITES):
        whole = make_study(StudyOptions(FIRST_SEED + number, site=site, roles=("axial_t2",))).series["axial_t2"].volumes()[0]
        yield Volume(np.asarray(whole.array)[:3], replace(whole.grid, origins_mm=whole.grid.origins_mm[:3]))


def noticed(model: Model, volume: Volume, rows: int, columns: int) -> bool:
    """Whether the back is reported to be in front after turning the array, but not its grid."""
    turned = Volume(np.ascontiguousarray(np.asarray(volume.array)[:, ::rows, ::columns]), volume.grid)
    return any("back in front" in warning for warning in run_model(model, turned).warnings)


if __name__ == "__main__":
    main()
