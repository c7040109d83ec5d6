"""Robustness of a muscle model: Dice on reader-labelled T1 slices, each altered in one way at a time.

    python recipes/muscle/stress.py ../shared/data [--models DIR] [--half 0|1] [--every 4]

Each change is made to the image, and where it moves tissue to the reader's mask, too: metal (signal voids with bright rims beside the spine), a spine that is
turned and sheared as in scoliosis, a block that is 20° oblique, a field of view that ends within the erector spinae, pixels of 2 mm, blur as thick slices
leave it, coils that see the back only, noise, a strip of 70 mm around the spine (as wide as the volumes of MyoSegmenTUM spine), a person who lies prone
(back muscles 10 % thicker, as no table presses on them, and coils in front; how the rows are stored is undone before inference); and the tenth of people
with the most fat in their muscles. Dice is that of the four back muscles on what the changed image shows.
`--half` excludes the people in the training set of `recipes/muscle/train.py --half`.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from reader_masks import interval, people, scored
from scipy import ndimage

from lumbar.datasets.muscle_slices import ReaderSlice, read_muscle_t1
from lumbar.models.registry import find_model
from lumbar.muscle.agreement import DOUBTFUL
from lumbar.muscle.labels import BACK
from lumbar.muscle.predict import TASK

Change = Callable[[ReaderSlice, np.random.Generator], ReaderSlice]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1))
    parser.add_argument("--every", type=int, default=4)
    options = parser.parse_args()
    model = find_model(TASK, options.models, 1)
    everybody = list(read_muscle_t1(options.data / "muscle_t1"))
    chosen = people(everybody, options)
    for name, change in CHANGES.items():
        rng = np.random.default_rng(0)
        show(name, scored(model, [change(one, rng) for one in chosen], BACK))
    left = people(everybody, argparse.Namespace(half=options.half, every=1))
    fattest = sorted(left, key=fat_share)[-max(1, len(left) // 10) :]
    show("fattest tenth of people", scored(model, fattest, BACK))


def show(name: str, found: object) -> None:
    """One line of the table."""
    dice, expected = found.dice, found.expected  # type: ignore[attr-defined]
    marked = "" if not np.isfinite(expected).any() else f", marked as doubtful {np.mean(expected < DOUBTFUL):.0%}"
    lowest = np.quantile(dice.min(axis=1), 0.05)
    print(f"{name:32s} {len(dice):4d} people  Dice {interval(dice.mean(axis=1))}, 5th percentile of the lowest {lowest:.3f}{marked}", flush=True)


def back(one: ReaderSlice) -> np.ndarray:
    return np.isin(one.labels, BACK)


def warped(one: ReaderSlice, matrix: np.ndarray) -> ReaderSlice:
    """Image and mask seen through a linear map around the middle of the muscles."""
    middle = np.array(ndimage.center_of_mass(back(one)))
    offset = middle - matrix @ middle
    image = ndimage.affine_transform(one.image, matrix, offset, order=1)
    return replace(one, image=image.astype(np.float32), labels=ndimage.affine_transform(one.labels, matrix, offset, order=0))


def turned(one: ReaderSlice, rng: np.random.Generator) -> ReaderSlice:
    angle = np.deg2rad(rng.choice([-15.0, 15.0]))
    return warped(one, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.array([[1, 0.1], [0, 1]]))


def oblique(one: ReaderSlice, _: np.random.Generator) -> ReaderSlice:
    return warped(one, np.diag([np.cos(np.deg2rad(20)), 1.0]))  # what lies across the slice is seen longer


def metal(one: ReaderSlice, rng: np.random.Generator) -> ReaderSlice:
    rows, columns = np.indices(one.image.shape)
    image = one.image.copy()
    middle = np.array(ndimage.center_of_mass(back(one)))
    for side in (-1, 1):
        place = middle + np.array([rng.uniform(-25, -5), side * rng.uniform(15, 25)]) / one.pixel_mm
        distance = np.hypot(rows - place[0], columns - place[1]) * one.pixel_mm / rng.uniform(6, 11)
        image = image * np.clip(2 * distance - 1, 0, 1) + 0.8 * np.quantile(one.image, 0.99) * np.exp(-(((distance - 1.1) / 0.15) ** 2))
    return replace(one, image=image.astype(np.float32))


def cut(one: ReaderSlice, _: np.random.Generator) -> ReaderSlice:
    """Both erectors lose about a third of their width."""
    columns = np.flatnonzero(back(one).any(axis=0))
    width = len(columns) // 7
    inner = slice(int(columns[0]) + width, int(columns[-1]) - width)
    return replace(one, image=np.ascontiguousarray(one.image[:, inner]), labels=np.ascontiguousarray(one.labels[:, inner]))


def strip(one: ReaderSlice, _: np.random.Generator) -> ReaderSlice:
    """70 mm around the middle of the muscles: most of the erectors is outside."""
    middle = round(ndimage.center_of_mass(back(one))[1])
    half = round(35 / one.pixel_mm)
    inner = slice(max(0, middle - half), middle + half)
    return replace(one, image=np.ascontiguousarray(one.image[:, inner]), labels=np.ascontiguousarray(one.labels[:, inner]))


def prone(one: ReaderSlice, _: np.random.Generator) -> ReaderSlice:
    """The back muscles 10 % thicker, and the signal falling off towards the back."""
    thicker = warped(one, np.diag([1 / 1.1, 1.0]))
    return replace(thicker, image=(thicker.image * np.exp(-2 * np.linspace(0, 1, len(one.image)))[:, None]).astype(np.float32))


def coarse(one: ReaderSlice, _: np.random.Generator) -> ReaderSlice:
    factor = one.pixel_mm / 2.0
    image = ndimage.zoom(ndimage.gaussian_filter(one.image, 0.4 / factor), factor, order=1)
    labels = ndimage.zoom(one.labels, factor, order=0)
    return replace(one, image=image.astype(np.float32), labels=labels, pixel_mm=one.pixel_mm * one.image.shape[0] / image.shape[0])


def blurred(one: ReaderSlice, _: np.random.Generator) -> ReaderSlice:
    return replace(one, image=ndimage.gaussian_filter(one.image, 2.0 / one.pixel_mm))


def coils(one: ReaderSlice, _: np.random.Generator) -> ReaderSlice:
    return replace(one, image=(one.image * np.exp(-3 * (1 - np.linspace(0, 1, len(one.image))))[:, None]).astype(np.float32))


def noisy(one: ReaderSlice, rng: np.random.Generator) -> ReaderSlice:
    sigma = 0.15 * np.quantile(one.image, 0.99)
    return replace(one, image=np.hypot(one.image + rng.normal(0, sigma, one.image.shape), rng.normal(0, sigma, one.image.shape)).astype(np.float32))


def fat_share(one: ReaderSlice) -> float:
    """Share of the muscles' pixels that are nearer to the grey value of fat than to that of lean muscle."""
    inside = one.image[back(one)]
    return float(np.mean(inside > (np.quantile(inside, 0.2) + np.quantile(one.image, 0.98)) / 2))


CHANGES: dict[str, Change] = {
    "as it is": lambda one, _: one, "scoliosis: turned 15°, sheared": turned, "oblique 20°": oblique, "metal beside the spine": metal,
    "field of view cuts the erectors": cut, "pixels of 2 mm": coarse, "blur of 2 mm (thick slices)": blurred, "coils that see the back only": coils,
    "noise of 15 %": noisy,
    "strip of 70 mm": strip, "prone": prone,
}  # fmt: skip

if __name__ == "__main__":
    main()
