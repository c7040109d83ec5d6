"""The muscles of the axial series of a real study by slice: left and right areas, and a sheet of outlines per stack for visual inspection.

    python recipes/muscle/real_study.py ../shared/data/rsna2024/train_images/STUDY OUT [--models DIR]

The RSNA study of the project's data was left out of all training and is for evaluation only.
"""

import argparse
from pathlib import Path

import numpy as np

from lumbar.domain.anatomy import Muscle, Side
from lumbar.domain.volume import Volume
from lumbar.io.read import read_study
from lumbar.muscle.axial import to_axial
from lumbar.muscle.labels import LABELS
from lumbar.muscle.preview import sheet_png
from lumbar.pipeline import Request, analyze, load_models

ALLOWED = 0.25  # difference of left and right over their mean
MUSCLES = (Muscle.ERECTOR_SPINAE, Muscle.MULTIFIDUS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("out", type=Path, help="folder for the sheets")
    parser.add_argument("--models", type=Path, help="model folder, or a folder of them, that takes precedence")
    options = parser.parse_args()
    analysis = analyze(read_study(options.study), load_models(options.models, tasks=("muscle",)), Request(tasks=("spine", "muscle")))
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[int, dict[Muscle, tuple[float, float]]]] = []
    print("stack slice      z mm   erector spinae right left (difference)   multifidus right left (difference), mm2")
    for stack in analysis.muscle_masks:
        (options.out / f"stack{stack.stack + 1}.png").write_bytes(sheet_png(stack.image, stack.mask))
        for number, height, areas in slices(stack.mask):
            rows.append((stack.stack, areas))
            print(f"{stack.stack + 1:5d} {number + 1:5d} {height:9.1f}   " + "   ".join(words(*areas[muscle]) for muscle in MUSCLES))
    for muscle in MUSCLES:
        both = np.array([areas[muscle] for _, areas in rows])
        even = [difference(*pair) <= ALLOWED for pair in both]
        print(f"{muscle.value}: both sides on {np.mean((both > 0).all(axis=1)):.0%}, within {ALLOWED:.0%} on {np.mean(even):.0%} of {len(rows)} slices")
    for warning in analysis.findings.warnings:
        print(f"warning: {warning}")


def slices(mask: Volume) -> list[tuple[int, float, dict[Muscle, tuple[float, float]]]]:
    """(slice from the foot end, z, right and left area of each muscle) of the slices that were labelled."""
    axial = to_axial(mask)
    labels, grid = np.asarray(axial.array), axial.grid
    pixel_mm2 = float(np.prod(grid.spacing_mm[1:]))
    found = []
    for k in np.flatnonzero(labels.any(axis=(1, 2))):
        area = {names: float((labels[k] == label).sum()) * pixel_mm2 for label, names in LABELS.items()}
        height = float(grid.points_mm(np.array([k, grid.rows / 2, grid.columns / 2]))[2])
        found.append((int(k), height, {muscle: (area[muscle, Side.RIGHT], area[muscle, Side.LEFT]) for muscle in MUSCLES}))
    return found


def difference(right: float, left: float) -> float:
    return abs(right - left) / max((right + left) / 2, 1e-9) if right + left else 2.0


def words(right: float, left: float) -> str:
    odd = " *" if difference(right, left) > ALLOWED else "  "
    return f"{right:7.0f} {left:7.0f} ({difference(right, left):4.0%}){odd}"


if __name__ == "__main__":
    main()
