"""The people on whose T1 slice a model agrees least with the reader, and where the two outlines differ.

    python recipes/muscle/lowest_people.py ../shared/data --models DIR --half 0|1 [--people 10] [--sheet SHEET.png]

Prints for each person the Dice of the four back muscles, the area that only the reader or only the model counts as muscle, how much of it is as bright as
fat, and the area that the two give to different muscles of the back. `--sheet` writes the slices: image, reader's outline, model's outline.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from lumbar.datasets.muscle_slices import ReaderSlice, half_of, read_muscle_t1
from lumbar.metrics.segmentation import dice
from lumbar.models.registry import find_model
from lumbar.muscle.engine import run_model
from lumbar.muscle.labels import BACK
from lumbar.muscle.predict import TASK

COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.float32)
AROUND = (70, 130)  # rows and columns on each side of the middle of the muscles that the sheet shows
Labels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--half", type=int, choices=(0, 1), required=True, help="exclude the people in this half, on which the network was trained")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    model = find_model(TASK, options.models, 1)
    slices = list(read_muscle_t1(options.data / "muscle_t1"))
    training = half_of([one.patient for one in slices], options.half)
    masks = [(one, np.where(np.isin(mask := run_model(model, one.volume).mask.array[0], BACK), mask, 0)) for one in slices if one.patient not in training]
    lowest = sorted(masks, key=lambda pair: min(scores(*pair)))[: options.people]
    for one, mask in lowest:
        print(f"{one.patient}: Dice {', '.join(f'{value:.2f}' for value in scores(one, mask))}; {difference(one, mask)}", flush=True)
    if options.sheet:
        Image.fromarray(np.concatenate([row(one, mask) for one, mask in lowest])).save(options.sheet)


def scores(one: ReaderSlice, mask: Labels) -> list[float]:
    """Dice of the four back muscles."""
    return [dice(one.labels == label, mask == label) or 0.0 for label in BACK]


def difference(one: ReaderSlice, mask: Labels) -> str:
    """Where the two outlines differ, in words."""
    theirs, ours = one.labels > 0, mask > 0
    fat = one.image > (np.median(one.image[theirs]) + np.percentile(one.image, 98)) / 2  # half way from muscle to fat
    parts = []
    for name, where in (("reader", theirs & ~ours), ("model", ours & ~theirs)):
        parts.append(f"{name} only {where.sum() * one.pixel_mm**2:.0f} mm² ({fat[where].mean() if where.any() else 0:.0%} fat)")
    return "; ".join([*parts, f"other muscle {(theirs & ours & (one.labels != mask)).sum() * one.pixel_mm**2:.0f} mm²"])


def row(one: ReaderSlice, mask: Labels) -> NDArray[np.uint8]:
    """The slice without outlines, with the reader's, and with the model's."""
    middle = np.round(ndimage.center_of_mass(one.labels > 0)).astype(int)
    bright = np.clip(one.image / np.percentile(one.image, 99.3), 0, 1) * 255
    pad = [(half, half) for half in AROUND]
    window = tuple(slice(c, c + 2 * half) for c, half in zip(middle, AROUND, strict=True))
    return np.concatenate([outlined(np.pad(bright, pad)[window], np.pad(labels, pad)[window]) for labels in (one.labels * 0, one.labels, mask)], axis=1)


def outlined(image: NDArray[np.float32], labels: Labels) -> NDArray[np.uint8]:
    """`image` with the borders of `labels`, twice as large."""
    large, marks = ndimage.zoom(image, 2, order=1), ndimage.zoom(labels, 2, order=0)
    colour = np.repeat(large[..., None], 3, axis=2)
    border = (marks > 0) & (ndimage.grey_erosion(marks, size=3) != ndimage.grey_dilation(marks, size=3))
    colour[border] = COLOURS[marks[border]]
    return colour.astype(np.uint8)


if __name__ == "__main__":
    main()
