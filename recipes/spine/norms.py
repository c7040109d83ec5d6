"""Normal values from reference masks: the constants of spine/morphometry.py and spine/lordosis.py.

    python recipes/spine/norms.py ../shared/data

Measures the reference masks of the 30 SPIDER T2 SPACE patients, without the network, and prints medians, robust standard deviations and percentiles;
also how slips of 3 mm, or beyond their measurement error, agree with the readers' gradings of spondylolisthesis in the same patients.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from reference_masks import segmentation_of, spider_volumes

from lumbar.datasets.spider import read_space
from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.study import Plane, Weighting
from lumbar.spine.lordosis import name_probabilities
from lumbar.spine.lowest_shape import body_outlines, lowest_shape
from lumbar.spine.morphometry import SLIP_ERROR_MM, USUAL_STEP_MM
from lumbar.spine.shape import Outline, outline
from lumbar.spine.spine_map import SpineMap, map_segmentation

NUMBERS = {Level.L1_L2: "5", Level.L2_L3: "4", Level.L3_L4: "3", Level.L4_L5: "2", Level.L5_S1: "1"}  # of discs in SPIDER's table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    spider = parser.parse_args().data / "spider"
    slices = read_space(spider / "t2_space")
    steps: dict[Level, list[float]] = {level: [] for level in Level}
    tilts: list[list[float]] = []
    probabilities: list[float] = []
    shares: dict[str, list[float]] = {"depth of the lowest disc": [], "depth of the lowest body": [], "height of the lowest disc": []}
    rests = 0
    slips: dict[tuple[str, Level], float] = {}
    for patient in sorted({s.patient for s in slices}, key=int):
        image, labels = spider_volumes([s for s in slices if s.patient == patient])
        spine = map_segmentation(segmentation_of(labels, image), Plane.SAGITTAL, Weighting.T2)
        if spine.chain.sacrum_mm is None:
            print(f"patient {patient}: the sacrum is not in view, left out")
            continue
        for finding in spine.finding.levels:
            if finding.slip_mm is not None:
                steps[finding.level].append(finding.slip_mm + USUAL_STEP_MM[finding.level])
                slips[patient, finding.level] = finding.slip_mm
        discs = disc_outlines(spine)
        own = [found.tilt_degrees if found else None for found in discs]
        shape = lowest_shape(discs, body_outlines(spine.midplane, spine.flat, discs))
        for values, share in zip(shares.values(), (shape.disc, shape.body, shape.height), strict=True):
            if share is not None:
                values.append(share)
        rests += "below a sacralised L5" in spine.finding.numbering.note
        probabilities.append(name_probabilities(own, shape).l5_s1)
        tilts.append([np.nan if tilt is None else tilt for tilt in own[-5:]])
    print_table("step of the back walls, mm", {level: values for level, values in steps.items() if values})
    print_table("tilt of the disc, degrees", dict(zip(Level, np.array(tilts).T.tolist(), strict=True)))
    full = np.array(tilts)[np.isfinite(tilts).all(axis=1)]
    neighbours = np.diag(np.corrcoef(full.T), 1)
    print(f"correlation of the tilts of neighbouring discs: {np.round(neighbours, 2).tolist()}, mean {neighbours.mean():.2f}, n = {len(full)}")
    for name, values in shares.items():
        print(f"{name} as a share of those above: median {np.median(values):.2f}, SD {np.std(values):.2f}, n = {len(values)}")
    thin = shares["height of the lowest disc"]
    print(f"lowest disc of at most 0.66 of the height of those above: {sum(share <= 0.66 for share in thin)}, also parallel: {rests} of {len(thin)} patients")
    print(f"probability of the names: lowest {min(probabilities):.2f}, below 0.93 in {sum(c < 0.93 for c in probabilities)} of {len(probabilities)} patients")
    print_slips(slips, spider / "radiological_gradings.csv")


def disc_outlines(spine: SpineMap) -> list[Outline | None]:
    return [outline(spine.flat == 1 + k, spine.midplane.probabilities[SpineClass.DISC]) for k in range(len(spine.chain.discs))]


def print_table(title: str, table: dict[Level, list[float]]) -> None:
    for level, values in table.items():
        low, middle, high = np.nanpercentile(values, (5, 50, 95))
        robust = 1.4826 * np.nanmedian(np.abs(np.array(values) - middle))
        print(f"{title}: {level.value} median {middle:.1f} (5 % {low:.1f}, 95 % {high:.1f}), SD {np.nanstd(values):.1f}, robust SD {robust:.1f}, "
              f"n = {np.isfinite(values).sum()}")  # fmt: skip


def print_slips(slips: dict[tuple[str, Level], float], table: Path) -> None:
    with table.open(newline="", encoding="utf-8") as file:
        read = {(row["Patient"], row["IVD label"]): row["Spondylolisthesis"] == "1" for row in csv.DictReader(file)}
    known = [(read[patient, NUMBERS[level]], level, slip) for (patient, level), slip in slips.items() if (patient, NUMBERS[level]) in read]
    for title, limit in (("3 mm", dict.fromkeys(Level, 3.0)), ("3 mm and the slip's error", {level: max(3.0, e) for level, e in SLIP_ERROR_MM.items()})):
        called = [(truth, abs(slip) >= limit[level]) for truth, level, slip in known]
        print(f"slips of at least {title}: {sum(t and c for t, c in called)} of {sum(t for t, _ in called)} graded by readers are detected, "
              f"{sum(c and not t for t, c in called)} of {sum(not t for t, _ in called)} others")  # fmt: skip


if __name__ == "__main__":
    main()
