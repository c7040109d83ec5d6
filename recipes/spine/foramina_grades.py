"""Measured foramina against readers' grades on real T1 slices: the share that is measured, and how well a narrow foramen tells moderate or severe narrowing.

    python recipes/spine/foramina_grades.py ../shared/data/rsna2024 [--model FOLDER] [--slices 600] [--seed 20] [--tuning] [--bone] [--images FOLDER]

The slices of RSNA 2024 are cropped, and their pixel size is unknown: the distance between neighbouring levels of a study is taken to be 36 mm. Research only:
nothing is trained on them here. `--tuning` takes slices of studies that are not among those of the same call without it: limits were chosen on 800 of them.
`--bone` measures from bone alone, as with a network that does not label foramina.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from lumbar.datasets.foramina import ForamenPoint, read_foramen_table
from lumbar.domain.anatomy import Level, Severity, SpineClass
from lumbar.errors import GeometryError
from lumbar.imaging.resample import resize_image
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import roc_auc
from lumbar.models.registry import find_model
from lumbar.spine.foramen import foramen_in
from lumbar.spine.foramen_window import Foramen, window_in
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.segment import PIXEL_MM, Segmentation, segment_image
from lumbar.spine.shape import Outline, outline

LEVEL_MM = 36.0  # assumed, between neighbouring discs; 35.3 in the reference masks of the 30 SPIDER T2 SPACE patients, so sizes are 2 % too large
FARTHEST_MM = 15.0  # from a foramen's point to the disc in front of it
KEPT = 600  # slices whose studies are not used for tuning
LEVELS = tuple(Level)[:-1]  # at L5/S1 nothing is measured
FIELDS = ("width_mm", "area_mm2", "height_mm")


@dataclass(frozen=True)
class Measured:
    """One graded foramen and what was measured."""

    point: ForamenPoint
    size: Foramen | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--tuning", action="store_true", help="slices of the other studies")
    parser.add_argument("--bone", action="store_true", help="from bone alone")
    parser.add_argument("--images", type=Path, help="folder for images of the first 24 slices with their masks")
    arguments = parser.parse_args()
    network = network_of(find_model(TASK, arguments.model, threads=1))
    network = replace(network, added=()) if arguments.bone else network
    points = read_foramen_table(arguments.data / "foramina.csv")
    scales = millimetres_per_unit(points)
    by_file: dict[str, list[ForamenPoint]] = defaultdict(list)
    for point in points:
        if point.severity is not None and point.level in LEVELS and point.study_id in scales:
            by_file[point.file].append(point)
    chosen = drawn_files(by_file, arguments)
    found: list[Measured] = []
    for number, file in enumerate(chosen):
        image = Image.open(arguments.data / "foramina" / file).convert("L")
        segmentation = segmented(np.asarray(image, np.float32), by_file[file][0], scales[by_file[file][0].study_id], network)
        own = [Measured(point, size_at(segmentation, place_mm(point, scales[point.study_id]))) for point in by_file[file]] if segmentation else []
        found += own
        if arguments.images and segmentation and number < 24:
            draw(segmentation, own, scales, arguments.images / f"{number:02d}.png")
    show(found)


def drawn_files(by_file: dict[str, list[ForamenPoint]], arguments: argparse.Namespace) -> list[str]:
    """Files of the slices to measure; with `--tuning`, of studies that have none among the others."""
    order = [str(file) for file in np.random.default_rng(arguments.seed).permutation(sorted(by_file))]
    if not arguments.tuning:
        return order[: arguments.slices]
    kept = {by_file[file][0].study_id for file in order[:KEPT]}
    return [file for file in order[KEPT:] if by_file[file][0].study_id not in kept][: arguments.slices]


def millimetres_per_unit(points: list[ForamenPoint]) -> dict[str, float]:
    """By study: mm per pixel of the longer axis, from the distances between neighbouring levels of one side; studies without such a pair are left out."""
    places: dict[str, dict[tuple[str, int], NDArray[np.float64]]] = defaultdict(dict)
    for point in points:
        places[point.study_id][point.side.value, list(Level).index(point.level)] = point.position
    scales = {}
    for study, own in places.items():
        distances = [float(np.linalg.norm(own[side, k + 1] - place)) for (side, k), place in own.items() if (side, k + 1) in own]
        if distances:
            scales[study] = LEVEL_MM / float(np.median(distances))
    return scales


def segmented(image: NDArray[np.float32], point: ForamenPoint, scale: float, network: Network) -> Segmentation | None:
    """The cropped slice on square pixels of the network's size, segmented; None where it is too short."""
    longer = max(point.native_rows, point.native_columns)
    shape = round(image.shape[0] * point.native_rows / longer * scale / PIXEL_MM), round(image.shape[1] * point.native_columns / longer * scale / PIXEL_MM)
    try:
        return segment_image(resize_image(image, shape), PIXEL_MM, network)
    except GeometryError:
        return None


def place_mm(point: ForamenPoint, scale: float) -> NDArray[np.float64]:
    """(row, column) in mm of a point in the cropped slice."""
    longer = max(point.native_rows, point.native_columns)
    return np.array([point.y * point.native_rows, point.x * point.native_columns]) / longer * scale


def size_at(segmentation: Segmentation, place: NDArray[np.float64]) -> Foramen | None:
    """The foramen behind the disc that is nearest to a point."""
    disc = disc_near(segmentation, place)
    foramen = None if segmentation.foramen is None else segmentation.foramen[0]
    return foramen_in(window_in(segmentation.probabilities[0], foramen, disc)) if disc is not None else None


def disc_near(segmentation: Segmentation, place: NDArray[np.float64]) -> Outline | None:
    """The outline of the disc nearest to a point; None if no disc lies within `FARTHEST_MM` of it."""
    origin = segmentation.grid.indices(np.array([[0.0, place[1], -place[0]]]))[0, 1:]  # the slice may have been cropped around the spine
    parts, count = ndimage.label(segmentation.labels[0] == SpineClass.DISC)
    if not count:
        return None
    pixels = np.argwhere(parts)
    away = np.linalg.norm(pixels - origin, axis=1) * PIXEL_MM
    if away.min() > FARTHEST_MM:
        return None
    return outline(parts == parts[tuple(pixels[away.argmin()])], segmentation.probabilities[0, SpineClass.DISC].astype(np.float32))


def show(found: list[Measured]) -> None:
    grade = np.array([list(Severity).index(one.point.severity) for one in found if one.point.severity])
    studies = np.array([one.point.study_id for one in found])
    levels = np.array([float(LEVELS.index(one.point.level)) for one in found])
    known = np.array([one.size is not None for one in found])
    shares = [f"{name.value} {known[grade == k].sum()} of {(grade == k).sum()} ({known[grade == k].mean():.0%})" for k, name in enumerate(Severity)]
    print(f"{len(found)} foramina of {len(set(studies))} studies; measured {', '.join(shares)}")
    for level in LEVELS:
        own = np.array([one.point.level is level for one in found])
        print(f"  {level.value}: {known[own].mean():.0%} of {own.sum()}")
    rows = np.flatnonzero(known)
    for field in FIELDS:
        value = np.array([getattr(one.size, field) if one.size else np.nan for one in found])
        medians = ", ".join(f"{name.value} {np.median(value[known & (grade == k)]):.1f}" for k, name in enumerate(Severity))
        print(f"{field}: medians {medians}")
        for title, positive in (("moderate or severe", grade > 0), ("severe", grade > 1)):
            for name, places in (("", np.zeros(len(found))), (" within levels", levels)):
                statistic = lambda drawn, v=value, p=positive, q=places: auc_within(-v[rows[drawn]], p[rows[drawn]], q[rows[drawn]])  # noqa: E731
                print(f"  AUC of a small {field} for {title}{name}: {bootstrap_interval(statistic, studies[rows], repeats=300)}", flush=True)


def auc_within(score: NDArray[np.float64], positive: NDArray[np.bool_], group: NDArray[np.float64]) -> float:
    """Share of pairs of a positive and a negative case of the same group that the score orders rightly."""
    total = pairs = 0.0
    for own in (group == value for value in np.unique(group)):
        number = float(positive[own].sum()) * float((~positive[own]).sum())
        if number:
            total += number * roc_auc(score[own], positive[own])
            pairs += number
    return total / pairs if pairs else float("nan")


def draw(segmentation: Segmentation, own: list[Measured], scales: dict[str, float], path: Path) -> None:
    """The slice with its masks, beside it alone with the points: green where measured, red where not."""
    grey = np.asarray(segmentation.image.array[0], float)
    grey = np.clip(grey / max(np.percentile(grey, 99), 1e-6), 0, 1)
    plain, masks = (np.stack([grey] * 3, axis=-1) for _ in range(2))
    colours = np.array([[0, 0, 0], [1, 0.3, 0.3], [1, 0.8, 0], [0.3, 1, 0.3], [0.3, 0.6, 1], [1, 0, 1]])
    labels = segmentation.labels[0]
    masks[labels > 0] = 0.6 * masks[labels > 0] + 0.4 * colours[labels[labels > 0]]
    for one in own:
        place = place_mm(one.point, scales[one.point.study_id])
        row, column = np.round(segmentation.grid.indices(np.array([[0.0, place[1], -place[0]]]))[0, 1:]).astype(int)
        plain[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = (0, 1, 0) if one.size else (1, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.concatenate([plain, masks], axis=1) * 255).astype(np.uint8)).resize((segmentation.grid.columns * 4, segmentation.grid.rows * 2)).save(
        path
    )


if __name__ == "__main__":
    main()
