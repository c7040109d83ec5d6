"""Foramina of the one real study with images: positions from the spine model, and crops from DICOM compared with those of the public data set.

    python recipes/severity/foramen_points.py ../shared/data/rsna2024 [--models MODEL]

Prints, for each of the ten foramina, the slice and the distance in its plane from the labelled point, and the correlation of the crop cut from DICOM at the
labelled point with the crop of the public image. With a foraminal model installed it also prints the weighted log loss of the ten rows, and of each side,
from the public images, from DICOM at the labelled points, and from DICOM at the spine model's points. The study was left out of training.

Measured (ten rows, left, right): public images 1.171, 0.591, 1.751; DICOM at the labelled points 1.124, 0.503, 1.745 (-0.047); at the spine
model's points 1.383, 0.994, 1.772. The right foramina have the same loss from all three, and their crops show the labelled side, slice and size:
there the networks disagree with the reader (L3/L4 labelled severe, graded moderate; L1/L2 labelled moderate, graded normal). On the left, three
points lie one slice too lateral.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumbar.datasets.foramina import GRID_PIXELS, ForamenPoint, read_foramen_table
from lumbar.domain.anatomy import Side
from lumbar.domain.study import Role
from lumbar.io.read import read_study
from lumbar.metrics.classification import weighted_log_loss
from lumbar.models.registry import find_model, has_model
from lumbar.pipeline import Request, analyze, load_models
from lumbar.severity.foramina import cut
from lumbar.severity.foramina.cut import ForamenCrop, cut_foramina, slices_around
from lumbar.severity.foramina.grader import TASK, ForamenGrader
from lumbar.severity.foramina.points import Foramen, level_distance_mm
from lumbar.severity.foramina.table import from_points, targets
from lumbar.severity.score import GRADE_WEIGHTS

STUDY = "100206310"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("--models", type=Path, help="model folder, or a folder of them, that takes precedence")
    arguments = parser.parse_args()
    points = [point for point in read_foramen_table(arguments.data / "foramina.csv") if point.study_id == STUDY]
    study = read_study(arguments.data / "train_images" / STUDY)
    levels = analyze(study, load_models(tasks=(), folder=arguments.models), Request(tasks=("spine",))).spine.finding.levels
    found = cut_foramina(study, levels, Role.SAGITTAL_T1)
    series = study.with_role(Role.SAGITTAL_T1)[0]
    stack = series.stacks[0]
    labelled: dict[Foramen, np.ndarray] = {}
    for point in points:
        # A pixel of the 250 × 250 image, from its edge, as a share of the field of view, and so of the DICOM slice.
        share = (np.array([point.top + point.y, point.left + point.x]) + 0.5) / GRID_PIXELS
        pixel = share * [stack.volume.grid.rows, stack.volume.grid.columns] - 0.5
        labelled[point.level, point.side] = stack.volume.grid.points_mm([stack.instance_numbers.index(point.instance_number or 0), *pixel])
    distance = level_distance_mm(labelled)
    at_labels = {place: slices_around(series, stack, *place, point, distance) for place, point in labelled.items()}
    ready = from_points(points, arguments.data / "foramina")
    report_places(points, found, labelled, at_labels, ready.crops)
    if has_model(TASK, arguments.models):
        grader = ForamenGrader(find_model(TASK, arguments.models, 1))
        cut_alone = {place: one_slice(crop) for place, crop in at_labels.items()}
        public = {(p.level, p.side): replace(cut_alone[p.level, p.side], images=np.stack([image] * 3)) for p, image in zip(points, ready.crops, strict=True)}
        losses = [
            report_losses(title, grader, points, crops)
            for title, crops in (("public images", public), ("DICOM, labelled points", cut_alone), ("DICOM, the spine model's points", found))
        ]
        print(f"crops cut from DICOM instead of the public images: {losses[1] - losses[0]:+.3f} at the same points")


def report_places(
    points: list[ForamenPoint],
    found: Mapping[Foramen, ForamenCrop],
    labelled: Mapping[Foramen, np.ndarray],
    cuts: Mapping[Foramen, ForamenCrop],
    ready: np.ndarray,
) -> None:
    errors = []
    for point, image in zip(points, ready, strict=True):
        place = point.level, point.side
        crop = found[place]
        away = crop.point_mm - labelled[place]
        errors.append(away)
        alike = np.corrcoef(image.ravel(), cuts[place].images[len(cut.NEIGHBOURS) // 2].ravel())[0, 1]
        slices = crop.stack.instance_numbers[crop.slice_number], point.instance_number
        where = f"slice {slices[0]} (labelled {slices[1]}), in the plane {np.hypot(*away[1:]):.1f} mm off"
        print(f"{point.level.value} {point.side.value:5s} {where}; DICOM and image {alike:.4f}")
    spread = np.sqrt(np.mean(np.square(errors), axis=0))
    print(f"root mean square error in mm: sideways {spread[0]:.1f}, front to back {spread[1]:.1f}, head to feet {spread[2]:.1f}")


def one_slice(crop: ForamenCrop) -> ForamenCrop:
    """`crop` with only the slice of its point."""
    return replace(crop, weights=np.eye(len(crop.weights))[len(crop.weights) // 2])


def report_losses(title: str, grader: ForamenGrader, points: list[ForamenPoint], crops: Mapping[Foramen, ForamenCrop]) -> float:
    """Print the weighted log loss of all rows and of each side; returns that of all."""
    metric, y = grader.grade_slices([crops[point.level, point.side] for point in points]).foramen.metric, targets(points)
    parts = {"all": np.ones(len(points), bool)} | {side.value: np.array([point.side is side for point in points]) for side in Side}
    losses = {name: weighted_log_loss(metric[rows], y[rows], np.array(GRADE_WEIGHTS)) for name, rows in parts.items()}
    print(f"{title:34s} weighted log loss of the ten rows {losses['all']:.3f}, " + ", ".join(f"{side.value} {losses[side.value]:.3f}" for side in Side))
    return losses["all"]


if __name__ == "__main__":
    main()
