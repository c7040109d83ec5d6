"""The phantom's analytic ground truth compared with measurements on its rendered label volumes and Dixon images.

    python recipes/phantom/truth.py [--studies 20]

Canal depth is measured on the axial label images, disc height on the sagittal ones, muscle volumes and cross-sections on the axial ones between the
levels. Fat of multifidus and erector spinae: the painted share at the mask's pixels; Σ fat / Σ (fat + water) of the noisy Dixon images two pixels inside
the mask, compared with the painted share there; and the same in the whole mask, whose border pixels contain some of the fat outside (partial volume and
blur), as in patients. Prints means over studies of all sites and their difference in per cent.
"""

import argparse
from typing import Any

import numpy as np
from scipy import ndimage

from lumbar.phantom.acquire import AcquiredSeries, acquire, grid_of, label_images, lay_planes
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.canvas import Plane
from lumbar.phantom.labels import CANAL, DISC, MUSCLE
from lumbar.phantom.muscles import painted_fat_map
from lumbar.phantom.population import sample_person
from lumbar.phantom.render import render_labels
from lumbar.phantom.sites import SITES, muscle_protocols
from lumbar.phantom.soft import Field
from lumbar.phantom.truth import canal_ap_mm, disc_height_mm, muscle_sections, muscle_truth

LEVELS = ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")
QUANTITIES = (
    *("canal depth", "disc height", "muscle volume", "muscle section"),
    *("fat fraction, map in mask", "fat fraction, inner mask", "fat fraction, whole mask"),
)


def canal_depth(anatomy: Anatomy, laid: tuple[tuple[Plane, ...], tuple[int, ...]], name: str) -> float:
    """Depth of the sac along the disc's midline on the three nearest axial label images, interpolated at the disc's height with a parabola."""
    disc = anatomy.disc(name)
    blocks = set(laid[1])
    planes = [plane for plane, block in zip(*laid, strict=True) if len(blocks) == 1 or block == LEVELS.index(name)]
    grid = grid_of(planes)
    place = float(grid.indices(disc.frame.center_mm)[0])
    first = int(np.clip(round(place) - 1, 0, len(planes) - 3))
    depths = []
    for number in range(first, first + 3):
        labels = render_labels(anatomy, planes[number])
        start = grid.indices(disc.frame.center_mm)
        middle = grid.points_mm(np.array([number, start[1], start[2]]))  # below or above the middle of the disc, depending on the slice
        steps = np.arange(-15, 45, 0.1)
        back = disc.frame.axes[1] - (disc.frame.axes[1] @ grid.normal) * grid.normal
        line = middle + (disc.half_depth_mm + steps)[:, None] * back / np.linalg.norm(back)
        row, column = np.clip(np.round(grid.indices(line)[:, 1:]).astype(int), 0, grid.rows - 1).T
        lean = float(back @ disc.frame.axes[1]) / float(np.linalg.norm(back))  # tilt of the slice against the disc
        depths.append((labels[row, column] == CANAL).sum() * 0.1 * (lean if len(blocks) == 1 else 1.0))
    return float(np.polyval(np.polyfit(np.arange(first, first + 3) - place, depths, 2), 0.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=20)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in QUANTITIES}
    for seed in range(parser.parse_args().studies):
        person, place = sample_person(seed), SITES[seed % len(SITES)]
        anatomy = build_anatomy(person, person_degeneration(person))
        sagittal, _ = lay_planes(anatomy, place.series[1], np.random.default_rng(seed))
        axial = lay_planes(anatomy, place.series[2], np.random.default_rng(seed))
        for name in LEVELS:
            disc = anatomy.disc(name)
            found["canal depth"].append((canal_depth(anatomy, axial, name), canal_ap_mm(anatomy, disc)))
            found["disc height"].append((disc_height(anatomy, sagittal, name), disc_height_mm(anatomy, disc, 0.0)))
        dixon = acquire(anatomy, place, muscle_protocols(place)[2])
        water, fat = dixon["dixon_water"].images.astype(float), dixon["dixon_fat"].images.astype(float)
        painted = label_images(anatomy, dixon["dixon_water"])
        compare_muscles(anatomy, dixon["dixon_water"], (painted, water, fat), found)
    for name, pairs in found.items():
        measured, true = np.array(pairs).T
        percent = 100 * (measured.sum() / true.sum() - 1)
        print(f"{name:26s} n {len(pairs):3d}  measured {measured.mean():8.3f}  truth {true.mean():8.3f}  mean difference {percent:+.2f} %")


def disc_height(anatomy: Anatomy, planes: tuple[Plane, ...], name: str) -> float:
    """Height of the disc through its middle on the sagittal label image nearest to it."""
    disc, grid = anatomy.disc(name), grid_of(list(planes))
    steps = np.arange(-20, 20, 0.1)
    index = np.round(grid.indices(disc.frame.to_world(np.stack([0 * steps, 0 * steps, steps], axis=-1)))).astype(int)
    images = {number: render_labels(anatomy, planes[number]) for number in np.unique(index[:, 0])}
    return sum(float(images[k][row, column] == DISC[name]) for k, row, column in index) * 0.1


def compare_muscles(
    anatomy: Anatomy, series: AcquiredSeries, images: tuple[np.ndarray, np.ndarray, np.ndarray], found: dict[str, list[tuple[float, float]]]
) -> None:
    painted, water, fat = images
    grid = grid_of(list(series.planes))
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    heights = [anatomy.disc(name).frame.center_mm[2] for name in LEVELS]
    for record in muscle_truth(anatomy):
        inside = painted == MUSCLE[record["muscle"], record["side"]]
        z = grid.points_mm(np.argwhere(inside))[:, 2]
        between = (z > heights[-1]) & (z < heights[0])
        if record["muscle"] in ("multifidus", "erector_spinae"):
            found["muscle volume"].append((between.sum() * voxel_ml, record["volume_ml"]))
            where = tuple(np.argwhere(inside)[between].T)
            found["fat fraction, whole mask"].append((fat[where].sum() / (fat[where] + water[where]).sum(), record["fat_fraction_mean"]))
            deep = ndimage.binary_erosion(inside, np.ones((1, 3, 3)), iterations=2)
            deep[: min(where[0])], deep[max(where[0]) + 1 :] = False, False
            shares = [painted_fat_share(anatomy, series, record, mask) for mask in (inside & between_slices(inside, where), deep)]
            found["fat fraction, map in mask"].append((shares[0], record["fat_fraction_mean"]))
            found["fat fraction, inner mask"].append((fat[deep].sum() / (fat[deep] + water[deep]).sum(), shares[1]))
    number = len(series.planes) // 2
    center = grid.points_mm(np.array([number, grid.rows / 2, grid.columns / 2]))
    for (muscle, _), label in MUSCLE.items():
        if muscle in ("multifidus", "erector_spinae"):
            area = (painted[number] == label).sum() * grid.spacing_mm[1] * grid.spacing_mm[2]
            found["muscle section"].append((area, muscle_sections(anatomy, float(center[2]))[label][0]))


def between_slices(mask: np.ndarray, where: tuple[np.ndarray, ...]) -> np.ndarray:
    """Mask that is true on the slices in `where`."""
    rows = np.zeros(len(mask), dtype=bool)
    rows[np.unique(where[0])] = True
    return rows[:, None, None]


def painted_fat_share(anatomy: Anatomy, series: AcquiredSeries, record: dict[str, Any], mask: np.ndarray) -> float:
    """Mean of the painted fat share at the pixel centres of a mask."""
    total, count = 0.0, 0
    side = 1.0 if record["side"] == "left" else -1.0
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        plane = series.planes[number]
        share = painted_fat_map(anatomy, record["muscle"], side, Field(anatomy.profiles, plane, plane.whole))
        total, count = total + float(share[mask[number]].sum()), count + int(mask[number].sum())
    return total / max(count, 1)


if __name__ == "__main__":
    main()
