"""Measured fat of foramina against readers' grades, on every labelled foramen of the public table; no network is used.

    python recipes/severity/foramen_fat.py ../shared/data/rsna2024 [--cache runs/foramina/crops.npz]

Prints the quartiles of the area for each grade and how well area, height and width separate severe, and moderate or severe, foramina from the others, with
points as labelled and shifted by the error of the spine model. The pixel size is unknown: the distance between levels is assumed to be 34 mm, its usual value.
"""

import argparse
from pathlib import Path

import numpy as np
from foramina import SPINE_ERROR_MM, USUAL_LEVEL_MM, cached, moved

from lumbar.datasets.foramina import read_foramen_table
from lumbar.domain.anatomy import Severity
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import roc_auc
from lumbar.severity.foramina.crops import LEVEL_PIXELS
from lumbar.severity.foramina.fat import fat_mask
from lumbar.severity.foramina.table import from_points, targets

PIXEL_MM = USUAL_LEVEL_MM / LEVEL_PIXELS
AT_ONCE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with foramina.csv and foramina/")
    parser.add_argument("--cache", type=Path, help="crops that foramina.py has cut")
    arguments = parser.parse_args()
    points = sorted(read_foramen_table(arguments.data / "foramina.csv"), key=lambda p: (p.study_id, p.file))
    foramina = cached(arguments.cache) if arguments.cache else from_points(points, arguments.data / "foramina")
    y = targets(points)
    known = y >= 0
    y, crops, studies = y[known], foramina.crops[known], foramina.studies[known]
    print(f"{len(y)} foramina of {len(np.unique(studies))} studies")
    report("points as labelled", measures(crops), y, studies)
    pixels = np.random.default_rng(0).normal(0, SPINE_ERROR_MM / PIXEL_MM, (len(y), 2))
    shifted = np.stack([moved(crop, *by) for crop, by in zip(crops, pixels, strict=True)])
    report(f"points shifted by {SPINE_ERROR_MM:g} mm along each axis (standard deviation)", measures(shifted), y, studies)


def measures(crops: np.ndarray) -> dict[str, np.ndarray]:
    """Area in mm², height and width in mm of each crop's fat."""
    masks = np.concatenate([fat_mask(crops[start : start + AT_ONCE]) for start in range(0, len(crops), AT_ONCE)])
    across = masks.sum(axis=2)
    return {"area": across.sum(axis=1) * PIXEL_MM**2, "height": (across > 0).sum(axis=1) * PIXEL_MM, "width": across.max(axis=1) * PIXEL_MM}


def report(title: str, values: dict[str, np.ndarray], y: np.ndarray, studies: np.ndarray) -> None:
    print(title)
    for number, grade in enumerate(Severity):
        quartiles = np.percentile(values["area"][y == number], [25, 50, 75])
        print(f"  {grade.value:<12} {int((y == number).sum()):>6} foramina, area {quartiles[1]:.0f} mm² (quartiles {quartiles[0]:.0f} to {quartiles[2]:.0f})")
    for name, value in values.items():
        print(f"  {name:<7} AUC for severe {with_interval(value, y == 2, studies)}, for moderate or severe {with_interval(value, y >= 1, studies)}")


def with_interval(value: np.ndarray, positive: np.ndarray, studies: np.ndarray) -> str:
    interval = bootstrap_interval(lambda rows: roc_auc(-value[rows], positive[rows]), studies, 200)
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"


if __name__ == "__main__":
    main()
