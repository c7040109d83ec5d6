"""What readers counted as muscle, in three data sets, and how areas and fat move with it.

    python recipes/muscle/definition.py ../shared/data [--models DIR --half 0|1]

For T1 (310 people, L4/L5), T2 (136 slices, mid-lumbar, pixel size estimated) and TUM01 (Dixon): the fat share of the mask by its grey values (between lean
muscle and fat), that of its outermost 2 mm, and how area and fat share change if the outline lay 1 mm further in, or if fat that touches the outline from
within were left out, as some readers do. Also how alike the readers drew both sides of a slice (`reader_masks.side_overlap`).

With `--models`, a model's areas on T1 against the readers' as they are, 1 mm further in, without fat that touches the outline, and of lean pixels only:
if agreement rises with the second or third, the disagreement lies in what is counted at the outline. `--half` excludes the people the model was trained on.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from reader_masks import areas, people, side_overlap
from scipy import ndimage

from lumbar.datasets.muscle_slices import ReaderSlice, read_muscle_t1, read_muscle_t2
from lumbar.datasets.myosegmentum import read_dixon
from lumbar.metrics.segmentation import brought_onto
from lumbar.models.folder import Model
from lumbar.models.registry import find_model
from lumbar.muscle.engine import run_model
from lumbar.muscle.fat.dixon import pair
from lumbar.muscle.predict import TASK

MUSCLES = {"erector spinae": (1, 4), "multifidus": (2, 3)}
Case = tuple[np.ndarray, np.ndarray, float]  # labels, share of fat, pixel size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1))
    options = parser.parse_args()
    data = options.data
    sets = {"T1": slices(read_muscle_t1(data / "muscle_t1")), "T2": slices(read_muscle_t2(data / "muscle_t2")), "Dixon": dixon(data / "dixon")}
    for name, cases in sets.items():
        rows: dict[str, list[np.ndarray]] = {muscle: [] for muscle in MUSCLES}
        alike: dict[str, list[float]] = {muscle: [] for muscle in MUSCLES}
        for labels, fat, pixel_mm in cases:
            for muscle, numbers in MUSCLES.items():
                alike[muscle].append(side_overlap(labels, *numbers))
                rows[muscle] += [moved(labels == n, fat, pixel_mm) for n in numbers if (labels == n).sum() * pixel_mm**2 > 150]
        for muscle, found in rows.items():
            whole, rim, inner_area, inner_fat, trimmed_area, trimmed_fat = np.mean(found, axis=0)
            print(f"{name:6s}{muscle:15s} {len(found)} masks: fat {whole:.1%}, in the outer 2 mm {rim:.1%}", end="; ")
            print(f"1 mm further in: area {inner_area:+.1%}, fat {100 * inner_fat:+.1f} points", end="; ")
            print(f"without fat that touches the outline: area {trimmed_area:+.1%}, fat {100 * trimmed_fat:+.1f} points", end="; ")
            print(f"left outline, mirrored, against the right one: Dice {np.nanmean(alike[muscle]):.3f}")
    if options.models:
        of_model(find_model(TASK, options.models, 1), people(list(read_muscle_t1(data / "muscle_t1")), argparse.Namespace(half=options.half, every=1)))


def slices(found: Iterator) -> Iterator[Case]:
    """Fat by grey value: 0 at the muscles' 20th percentile, 1 at the image's 98th."""
    for one in found:
        muscle = one.image[np.isin(one.labels, (1, 2, 3, 4))]
        lean, pure = np.quantile(muscle, 0.2), np.quantile(one.image, 0.98)
        yield one.labels, np.clip((one.image - lean) / max(pure - lean, 1), 0, 1), one.pixel_mm


def dixon(folder: Path) -> Iterator[Case]:
    """Fat / (fat + water), slice by slice."""
    for case in read_dixon(folder):
        labels = np.asarray(brought_onto(case.water.grid, case.mask).array)
        water, fat = (np.asarray(array, np.float64) for array in (case.water.array, pair(case.water, case.fat).array))
        for k in range(len(labels)):
            yield labels[k], fat[k] / np.maximum(fat[k] + water[k], 1), float(np.mean(case.water.grid.spacing_mm[1:]))


def moved(mask: np.ndarray, fat: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Fat share, that of the outer 2 mm, and changes of area and fat share for the two other definitions."""
    depth, inner, trimmed = variants(mask, fat, pixel_mm)
    whole = fat[mask].mean()
    return np.array([whole, fat[mask & (depth < 2)].mean(), *change(inner, mask, fat, whole), *change(trimmed, mask, fat, whole)])


def variants(mask: np.ndarray, fat: np.ndarray, pixel_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth of each pixel in mm, the mask 1 mm further in, and the mask without fat that touches the outline."""
    depth = ndimage.distance_transform_edt(mask) * pixel_mm
    bright = mask & (fat > 0.5)
    pieces, _ = ndimage.label(bright)
    touching = np.unique(pieces[ndimage.binary_dilation(~mask) & bright])
    trimmed = mask & ~(np.isin(pieces, touching[touching > 0]) & (depth < 5))
    return depth, depth > 1 + pixel_mm / 2, trimmed


def of_model(model: Model, found: Sequence[ReaderSlice]) -> None:
    """Print the agreement of areas (mean of both sides) by definition."""
    names = ("as drawn", "1 mm further in", "without fat that touches the outline", "lean pixels")
    sizes: dict[str, list[list[list[float]]]] = {muscle: [] for muscle in MUSCLES}
    for one, (labels, fat, pixel_mm) in zip(found, slices(iter(found)), strict=True):
        mask = np.asarray(run_model(model, one.volume).mask.array[0])
        for muscle, numbers in MUSCLES.items():
            sizes[muscle].append([defined_areas(whose, numbers, fat, pixel_mm) for whose in (labels, mask)])
    for muscle, values in sizes.items():
        both = np.array(values)  # (people, reader and model, definitions)
        for k, name in enumerate(names):
            print(f"T1 {muscle}, {name}: {areas(both[:, 0, k], both[:, 1, k])}", flush=True)


def defined_areas(labels: np.ndarray, numbers: tuple[int, ...], fat: np.ndarray, pixel_mm: float) -> list[float]:
    """Mean area of both sides by each definition."""
    rows = []
    for n in numbers:
        mask = labels == n
        _, inner, trimmed = variants(mask, fat, pixel_mm)
        rows.append([mask.sum(), inner.sum(), trimmed.sum(), (mask & (fat < 0.5)).sum()])
    return list(np.mean(rows, axis=0) * pixel_mm**2)


def change(other: np.ndarray, mask: np.ndarray, fat: np.ndarray, whole: float) -> tuple[float, float]:
    return other.sum() / mask.sum() - 1, float(fat[other].mean() - whole) if other.any() else 0.0


if __name__ == "__main__":
    main()
