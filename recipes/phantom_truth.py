"""The phantom's analytic truth against what is measured on its rendered label volumes and Dixon pictures.

    python recipes/phantom_truth.py [--studies 3]

Canal depth is read from the axial, disc height from the sagittal label pictures in their own grids (nearest pixels), muscle volume and sections
from the axial one between the levels, the fat fraction as Σ fat / Σ (fat + water) of the noisy Dixon pictures. Prints the mean difference in per cent.
"""

import argparse

import numpy as np

from lumbar.phantom.acquire import AcquiredSeries, acquire, grid_of, label_pictures, lay_planes
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.canvas import Plane
from lumbar.phantom.labels import CANAL, DISC, MUSCLE
from lumbar.phantom.population import sample_person
from lumbar.phantom.render import render_labels
from lumbar.phantom.sites import SITES, muscle_protocols
from lumbar.phantom.truth import canal_ap_mm, disc_height_mm, muscle_sections, muscle_truth

BLOCKED = [place for place in SITES if place.series[2].blocks]
LEVELS = ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")


def along(series: AcquiredSeries, labels: np.ndarray, points: np.ndarray) -> np.ndarray:
    index = np.round(grid_of(list(series.planes)).indices(points)).astype(int)
    return labels[tuple(np.clip(index, 0, np.array(labels.shape) - 1).T)]


def canal_in_block(anatomy: Anatomy, laid: tuple[tuple[Plane, ...], tuple[int, ...]], name: str) -> float:
    """Depth of the sac on the label picture nearest to the disc's middle, along the disc's midline."""
    disc = anatomy.disc(name)
    planes = [plane for plane, block in zip(*laid, strict=True) if block == LEVELS.index(name)]
    grid = grid_of(planes)
    number = int(np.clip(round(float(grid.indices(disc.frame.center_mm)[0])), 0, len(planes) - 1))
    labels = render_labels(anatomy, planes[number])
    steps = np.arange(-10, 40, 0.1)
    index = grid.indices(disc.frame.to_world(np.stack([0 * steps, disc.half_depth_mm + steps, 0 * steps], axis=-1)))[:, 1:]
    row, column = np.clip(np.round(index).astype(int), 0, grid.rows - 1).T
    return float((labels[row, column] == CANAL).sum() * 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=3)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("canal depth", "disc height", "muscle volume", "muscle section", "fat fraction")}
    for seed in range(parser.parse_args().studies):
        person, place = sample_person(seed), BLOCKED[seed % len(BLOCKED)]
        anatomy = build_anatomy(person, person_degeneration(person))
        sagittal = acquire(anatomy, place, place.series[1])["sagittal_t2"]
        labels = label_pictures(anatomy, sagittal)
        axial = lay_planes(anatomy, place.series[2], np.random.default_rng(seed))
        for name in LEVELS:
            disc = anatomy.disc(name)
            steps = np.arange(-15, 30, 0.1)
            found["canal depth"].append((canal_in_block(anatomy, axial, name), canal_ap_mm(anatomy, disc)))
            line = disc.frame.to_world(np.stack([0 * steps, 0 * steps, steps - 5], axis=-1))
            found["disc height"].append(((along(sagittal, labels, line) == DISC[name]).sum() * 0.1, disc_height_mm(anatomy, disc, 0.0)))
        dixon = acquire(anatomy, place, muscle_protocols(place)[2])
        water, fat = dixon["dixon_water"].pictures.astype(float), dixon["dixon_fat"].pictures.astype(float)
        painted = label_pictures(anatomy, dixon["dixon_water"])
        compare_muscles(anatomy, dixon["dixon_water"], (painted, water, fat), found)
    for name, pairs in found.items():
        measured, true = np.array(pairs).T
        percent = 100 * (measured.sum() / true.sum() - 1)
        print(f"{name:15s} n {len(pairs):3d}  measured {measured.mean():8.3f}  truth {true.mean():8.3f}  mean difference {percent:+.2f} %")


def compare_muscles(
    anatomy: Anatomy, series: AcquiredSeries, pictures: tuple[np.ndarray, np.ndarray, np.ndarray], found: dict[str, list[tuple[float, float]]]
) -> None:
    painted, water, fat = pictures
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
            found["fat fraction"].append((fat[where].sum() / (fat[where] + water[where]).sum(), record["fat_fraction_mean"]))
    number = len(series.planes) // 2
    center = grid.points_mm(np.array([number, grid.rows / 2, grid.columns / 2]))
    for (muscle, _), label in MUSCLE.items():
        if muscle in ("multifidus", "erector_spinae"):
            area = (painted[number] == label).sum() * grid.spacing_mm[1] * grid.spacing_mm[2]
            found["muscle section"].append((area, muscle_sections(anatomy, float(center[2]))[label][0]))


if __name__ == "__main__":
    main()
