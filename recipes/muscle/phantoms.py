"""Muscle volume and fat of phantoms (synthetic) compared with ground truth at every site: with exact masks, and with masks of the shipped model.

    python recipes/muscle/phantoms.py [--people 1] [--first 3100] [--segment] [--models DIR]

Ground truth is the anatomy between L1/L2 and L5/S1, so masks are cut there. Dixon fractions come from a site's Dixon pair, infiltration from its
axial T2. Prints each error, then how many cases lie within 5 % of volume, 1 point of Dixon fraction and 4 points of infiltration (points: 1 = 0.01).
The corrected fraction is that of `lumbar.muscle.fat.partial_volume`, whose depth was chosen on the seeds from 3000 on.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from lumbar.domain.volume import Volume
from lumbar.models.folder import Model
from lumbar.models.registry import find_model
from lumbar.muscle.engine import run_model
from lumbar.muscle.labels import BACK, LABELS
from lumbar.muscle.measure import measure
from lumbar.muscle.predict import TASK
from lumbar.phantom.acquire import AcquiredSeries, grid_of, label_images
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.labels import MUSCLE
from lumbar.phantom.sites import SITES
from lumbar.phantom.study import StudyOptions, make_study
from lumbar.phantom.truth import muscle_truth

Errors = tuple[float, ...]
QUANTITIES = {"volume, %": 5.0, "Dixon fraction, points": 1.0, "the same corrected": 1.0, "infiltration, points": 4.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--first", type=int, default=3100)
    parser.add_argument("--segment", action="store_true", help="masks of the model beside exact ones")
    parser.add_argument("--models", type=Path)
    options = parser.parse_args()
    model = find_model(TASK, options.models, 1) if options.segment else None
    rows: dict[str, list[Errors]] = {}
    for number, place in enumerate([place.name for place in SITES for _ in range(options.people)]):
        for kind, found in study_errors(options.first + number, place, model).items():
            rows.setdefault(kind, []).extend(found)
            for (muscle, side), values in zip((LABELS[label] for label in BACK), found, strict=True):
                shown = "  ".join(f"{name} {value:+6.2f}" for name, value in zip(QUANTITIES, values, strict=True))
                print(f"site {place} seed {options.first + number} {kind}: {side.value:5s} {muscle.value:15s} {shown}", flush=True)
    for kind, found in rows.items():
        table = np.array(found)
        for column, (name, allowed) in enumerate(QUANTITIES.items()):
            e = table[:, column]
            within = np.mean(np.abs(e) <= allowed)
            spread = np.nanstd(e, ddof=1)
            print(f"{kind}: {name}: mean error {np.nanmean(e):+.2f}, standard deviation {spread:.2f}, within {allowed:g}: {within:.0%} of {len(e)}")


def study_errors(seed: int, place: str, model: Model | None) -> dict[str, list[Errors]]:
    """For each kind of mask, the errors of each label; not a number where a muscle was not found."""
    study = make_study(StudyOptions(seed=seed, site=place, roles=("dixon", "muscle_t2")))
    water, fat, t2 = (study.series[role] for role in ("dixon_water", "dixon_fat", "muscle_t2"))
    images = [series.volumes()[0] for series in (water, fat, t2)]
    masks = {"exact masks": [cut(exact(study.anatomy, series), study.anatomy) for series in (water, t2)]}
    if model is not None:
        found = run_model(model, images[0], images[1]), run_model(model, images[2])
        masks["model"] = [cut(segmentation.mask, study.anatomy) for segmentation in found]
    truth = {(entry["muscle"], entry["side"]): entry for entry in muscle_truth(study.anatomy)}
    return {kind: errors(images, pair, truth) for kind, pair in masks.items()}


def errors(images: list[Volume], masks: list[Volume], truth: dict[tuple[str, str], dict[str, Any]]) -> list[Errors]:
    """The errors of each label; `masks` are those on the Dixon pair and on the T2."""
    by_name = {(f.muscle, f.side): f for f in measure(images[0], masks[0], images[1]).findings}
    graded = {(f.muscle, f.side): f for f in measure(images[2], masks[1]).findings}
    rows = []
    for muscle, side in (LABELS[label] for label in BACK):
        true = truth[muscle.value, side.value]
        dixon, grey = by_name.get((muscle, side)), graded.get((muscle, side))
        if dixon is None or grey is None or dixon.fat_fraction_mean is None or grey.fat_infiltration is None:
            rows.append((np.nan,) * len(QUANTITIES))
            continue
        share = true["fat_fraction_mean"]
        volume = 100 * (dixon.volume_ml / true["volume_ml"] - 1)
        fractions = dixon.fat_fraction_mean, dixon.fat_fraction_corrected or np.nan, grey.fat_infiltration
        rows.append((volume, *(100 * (fraction - share) for fraction in fractions)))
    return rows


def exact(anatomy: Anatomy, series: AcquiredSeries) -> Volume:
    """The painted labels as muscle labels, on the series' grid."""
    table = np.zeros(256, np.uint8)
    for label, (muscle, side) in LABELS.items():
        table[MUSCLE[muscle.value, side.value]] = label
    return Volume(table[label_images(anatomy, series)], grid_of(list(series.planes)))


def cut(mask: Volume, anatomy: Anatomy) -> Volume:
    """The mask between the heights of the middles of L1/L2 and L5/S1, voxel by voxel."""
    low, high = (anatomy.disc(name).frame.center_mm[2] for name in ("L5/S1", "L1/L2"))
    labels = np.array(mask.array, np.uint8)
    where = np.argwhere(labels > 0)
    z = mask.grid.points_mm(where)[:, 2]
    outside = where[(z <= low) | (z >= high)]
    labels[tuple(outside.T)] = 0
    return Volume(labels, mask.grid)


if __name__ == "__main__":
    main()
