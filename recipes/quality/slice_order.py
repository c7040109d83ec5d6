"""Sensitivity and false alarms of the check of slice order.

    python recipes/quality/slice_order.py ../shared/data [--seed 0]

Reads the sagittal images of data/sagittal and data/spider/t2_space, the Dixon images, and the RSNA study. Each series is put into wrong orders: shuffled,
even before odd slices, sorted by number as text (1, 10, 11, ...), halves exchanged, two neighbours exchanged. Series of fewer than 11 slices have a row of
their own. Prints the share that is rejected, and the share with a warning that two adjacent slices are exchanged.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lumbar
from lumbar.io.nifti import read_nifti
from lumbar.io.positions import exchanged_pair, order_is_wrong, similarities

_SHORT = 11  # slices


def series_of(data: Path) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """The slices of each series with their places (mm) along its normal."""
    folders = (("sagittal", "*_image.nii.gz"), ("spider/t2_space/images", "*.nii.gz"), ("dixon", "TUM01_[fw]*.nii.gz"))
    for path in (path for folder, pattern in folders for path in sorted((data / folder).glob(pattern))):
        volume = read_nifti(path)
        steps = [np.linalg.norm(step) for step in (volume.grid.slice_step_mm, volume.grid.row_step_mm, volume.grid.column_step_mm)]
        axis = int(np.argmax(steps))
        slices = np.moveaxis(volume.array, axis, 0)
        yield slices, np.arange(len(slices)) * steps[axis]
    for series in lumbar.read_study(data / "rsna2024/train_images/100206310").series:
        for stack in series.stacks:
            grid = stack.volume.grid
            yield stack.volume.array, grid.origins_mm @ grid.normal


def orders(count: int, rng: np.random.Generator) -> Iterator[tuple[str, list[int]]]:
    """Orders of slices with their names, the right one and it reversed first."""
    right = list(range(count))
    half = count // 2
    yield from (("right", right), ("right", right[::-1]), ("right", right[2:]))
    yield from (("shuffled", rng.permutation(count).tolist()) for _ in range(8))
    yield "even before odd", right[::2] + right[1::2]
    yield "as text", sorted(right, key=lambda k: str(k + 1))
    yield "halves exchanged", right[half:] + right[:half]
    yield "neighbours exchanged", [*right[: half - 1], half, half - 1, *right[half + 1 :]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    rejected: dict[tuple[str, str], list[bool]] = defaultdict(list)
    warned: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for slices, along in series_of(options.data):
        size = f"fewer than {_SHORT} slices" if len(slices) < _SHORT else f"{_SHORT} slices and more"
        for name, order in orders(len(slices), rng):
            images = [slices[k] for k in order]
            rejected[size, name].append(order_is_wrong(images, along[: len(order)]))
            warned[size, name].append(exchanged_pair(similarities(images)) is not None)
    for (size, name), found in rejected.items():
        print(f"{size:22} {name:22} rejected {sum(found)} of {len(found)}, exchange of neighbours named in {sum(warned[size, name])}")


if __name__ == "__main__":
    main()
