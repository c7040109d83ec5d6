"""Foramina in whole sagittal stacks of people: the share that is measured, and how well both sides of a level agree, which a useful measurement does.

    python recipes/spine/foramina_stacks.py ../shared/data [--model FOLDER] [--bone]

`--bone` measures from bone alone, as with a network that does not label foramina.

VB1 (8 series with pathology, T1, T2 and TIRM), VB2 and IVD (15 people, T2), VB3 (25 people) and both sagittal series of the RSNA study. L1/L2 to L4/L5.
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import SpineFinding
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.io.nifti import read_nifti
from lumbar.io.read import read_study
from lumbar.models.registry import find_model
from lumbar.spine.network import TASK, network_of
from lumbar.spine.spine_map import map_spine

SETS = ("VB1", "VB2", "VB3", "IVD")
FIELDS = (("height", "mm"), ("width", "mm"), ("area", "mm2"))
SIDES = ("left", "right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--bone", action="store_true", help="from bone alone")
    arguments = parser.parse_args()
    network = network_of(find_model(TASK, arguments.model, threads=1))
    network = replace(network, added=()) if arguments.bone else network
    findings: dict[str, list[SpineFinding]] = defaultdict(list)
    for name, volume in volumes(arguments.data):
        findings[name].append(map_spine(volume, Plane.SAGITTAL, Weighting.UNKNOWN, network).finding)
    for name, own in findings.items():
        print(f"{name}: {len(own)} series, {share(own)}", flush=True)
    everything = [finding for own in findings.values() for finding in own]
    print(f"all: {share(everything)}")
    for quantity, unit in FIELDS:
        pairs = np.array(both_sides(everything, quantity, unit))
        away = pairs[:, 0] - pairs[:, 1]
        print(f"{quantity}: median {np.median(pairs):.1f} {unit}, {len(pairs)} levels with both sides, differences of sides {away.std(ddof=1):.1f} {unit} "
              f"(standard deviation), correlation {np.corrcoef(pairs.T)[0, 1]:.2f}")  # fmt: skip


def volumes(data: Path) -> list[tuple[str, Volume]]:
    """(set, stack) of all people."""
    stacks = [(name, read_nifti(path)) for name in SETS for path in sorted((data / "sagittal").glob(f"{name}_*_image.nii.gz"))]
    folder = next(path for path in sorted((data / "rsna2024" / "train_images").iterdir()) if path.is_dir())
    sagittal = [series for series in read_study(folder).series if series.plane is Plane.SAGITTAL]
    return stacks + [(f"RSNA {series.weighting.value}", stack.volume) for series in sagittal for stack in series.stacks]


def both_sides(findings: list[SpineFinding], quantity: str, unit: str) -> list[tuple[float, float]]:
    """Left and right value of every level where both were measured."""
    found = [tuple(getattr(level, f"foramen_{quantity}_{side}_{unit}") for side in SIDES) for finding in findings for level in finding.levels]
    return [(left, right) for left, right in found if left is not None and right is not None]


def share(findings: list[SpineFinding]) -> str:
    """The share of foramina from L1/L2 to L4/L5 that is measured."""
    levels = [level for finding in findings for level in finding.levels if level.level is not Level.L5_S1]
    known = [getattr(level, f"foramen_height_{side}_mm") is not None for level in levels for side in SIDES]
    return f"{sum(known)} of {len(known)} foramina measured ({np.mean(known):.0%})"


if __name__ == "__main__":
    main()
