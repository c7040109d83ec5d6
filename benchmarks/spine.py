"""Processor time of `lumbar segment spine` by step, on a phantom of 18 slices of 448 × 448 pixels, and as a ratio to the network alone.

    python benchmarks/spine.py [MODEL] [--repeats 5]

One thread. The fastest of several runs counts, as other work on the machine only slows a run down. Reading and writing files is left out. MODEL is the packaged
one by default; two models can be compared by two runs one after the other.
"""

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import resize_image, resized_grid
from lumbar.models.registry import find_model
from lumbar.phantom.study import StudyOptions, make_study
from lumbar.spine.network import TASK, network_of
from lumbar.spine.segment import segment
from lumbar.spine.spine_map import level_mask, map_segmentation, structure_mask, tissue_mask

SHAPE = (448, 448)
SEED = 3
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    network = network_of(find_model(TASK, options.model, threads=1))
    source = make_study(StudyOptions(SEED, roles=("sagittal_t2",))).series["sagittal_t2"].volumes()[0]
    volume = Volume(np.stack([resize_image(np.asarray(image, np.float32), SHAPE) for image in source.array]), resized_grid(source.grid, SHAPE))
    seconds: dict[str, float] = {}

    def timed(step: str, call: Callable[[], T]) -> T:
        start = time.process_time()
        result = call()
        seconds[step] = min(seconds.get(step, np.inf), time.process_time() - start)
        return result

    for _ in range(options.repeats):
        segmentation = timed("network", lambda: segment(volume, network, Plane.SAGITTAL))
        spine = timed("names and measurements", lambda found=segmentation: map_segmentation(found, Plane.SAGITTAL, Weighting.T2))  # type: ignore[misc]
        timed("masks", lambda found=spine: [mask(found) for mask in (tissue_mask, level_mask, structure_mask)])  # type: ignore[misc]
    total = sum(seconds.values())
    print(f"{volume.grid.shape[0]} slices of {SHAPE[0]} × {SHAPE[1]}: {total:.2f} s of processor, {total / seconds['network']:.2f} times the network alone")
    print(", ".join(f"{step} {value:.2f} s" for step, value in seconds.items()))
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
