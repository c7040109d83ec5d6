"""The slip of L5 on S1: usual step and error in people, readers' grades of slips, and phantoms.

    python recipes/spine/lumbosacral_slip.py ../shared/data [--model FOLDER] [--phantoms 27] [--table FILE]

* People: near-mid-sagittal T1 and T2 images of SPIDER patients in which the sacrum is in view. Readers graded each disc for spondylolisthesis. No mask of a
  reader shows S1 and no image of a person taught it to the network. `USUAL_STEP_MM` and `SLIP_ERROR_MM` were chosen on the patients with even numbers whose
  names are not doubted; those with odd numbers are the test. `--table` writes the slip of every image.
* Phantoms: the network's masks against the geometry.
"""

import argparse
import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from measurements import found_in, scan
from norms import NUMBERS
from numpy.typing import NDArray
from phantom_truth import slip_mm

from lumbar.datasets.spider import read_midsagittal
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding, SpineFinding
from lumbar.domain.study import Plane, Weighting
from lumbar.errors import InputError
from lumbar.metrics.classification import roc_auc
from lumbar.models.registry import find_model
from lumbar.spine.morphometry import USUAL_STEP_MM
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.segment import segment_image
from lumbar.spine.spine_map import SpineMap, map_segmentation


@dataclass(frozen=True)
class Case:
    """One image whose slip of L5 was measured, or could not be."""

    series: str
    graded: bool  # by the reader
    slip_mm: float | None
    called: bool  # Meyerding grade of at least 1
    sure: bool  # the names are not doubted

    @property
    def patient(self) -> int:
        return int(self.series.split("_")[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--phantoms", type=int, default=27)
    parser.add_argument("--table", type=Path)
    arguments = parser.parse_args()
    network = network_of(find_model(TASK, arguments.model, threads=1))
    cases = measured(arguments.data / "spider", network)
    if arguments.table:
        with arguments.table.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow([field.name for field in fields(Case)])
            table.writerows(astuple(case) for case in cases)
    for title, odd in (("even numbers (chosen on)", 0), ("odd numbers (test)", 1)):
        own = [case for case in cases if case.patient % 2 == odd]
        show(f"patients with {title}, names not doubted", [case for case in own if case.sure])
        show(f"patients with {title}, names doubted", [case for case in own if not case.sure])
    phantoms(arguments.phantoms, network)


def measured(spider: Path, network: Network) -> list[Case]:
    with (spider / "radiological_gradings.csv").open(newline="", encoding="utf-8") as file:
        number = NUMBERS[Level.L5_S1]
        graded = {row["Patient"]: row["Spondylolisthesis"] == "1" for row in csv.DictReader(file) if row["IVD label"] == number}
    cases = []
    for image in read_midsagittal(spider / "midsagittal", spider / "overview.csv"):
        upright = [spine_in(turned, image.pixel_mm, network) for turned in (image.image, image.image[::-1].copy())]  # some of the images are upside down
        likely = max((spine for spine in upright if spine), key=lambda spine: spine.names.numbering.probability or 0.0, default=None)
        level = at_sacrum(likely.finding) if likely else None
        if likely and level and image.patient in graded:
            sure = likely.names.numbering.confident
            cases.append(Case(image.series, graded[image.patient], level.slip_mm, bool(level.meyerding_grade), sure))
    return cases


def spine_in(image: NDArray[np.float32], pixel_mm: float, network: Network) -> SpineMap | None:
    """The spine of an image with the sacrum in view."""
    try:
        spine = map_segmentation(segment_image(image, pixel_mm, network), Plane.SAGITTAL, Weighting.UNKNOWN)
    except InputError:
        return None
    return spine if spine.chain.sacrum_mm is not None else None


def at_sacrum(finding: SpineFinding) -> LevelFinding | None:
    return next((level for level in finding.levels if level.level is Level.L5_S1), None)


def show(title: str, cases: list[Case]) -> None:
    known = [case for case in cases if case.slip_mm is not None]
    slips, graded = np.array([case.slip_mm for case in known], float), np.array([case.graded for case in known])
    low, middle, high = np.percentile(slips[~graded], (2.5, 50, 97.5))
    robust = 1.4826 * np.median(np.abs(slips[~graded] - middle))
    called = np.array([case.called for case in known])
    print(f"{title}: {len(cases)} images of {len({case.patient for case in cases})} patients, slip measured in {len(known)}")
    print(f"  no slip graded: median {middle:+.1f} mm ({low:+.1f} to {high:+.1f}), step {middle + USUAL_STEP_MM[Level.L5_S1]:+.1f} mm, "
          f"1.96 robust SD {1.96 * robust:.1f} mm, called {sum(called & ~graded)} of {sum(~graded)}")  # fmt: skip
    print(f"  slip graded: {', '.join(f'{case.series} {case.slip_mm:+.1f}' for case in known if case.graded)}; called {sum(called & graded)} of {sum(graded)}"
          + (f"; AUC {roc_auc(slips, graded):.3f}" if graded.any() else ""))  # fmt: skip


def phantoms(count: int, network: Network) -> None:
    pairs = []
    for number in range(count):
        study = scan(number)
        finding = found_in(study, network)
        level = at_sacrum(finding) if finding else None
        if level and level.slip_mm is not None:
            pairs.append((slip_mm(study.anatomy, Level.L5_S1), level.slip_mm))
    away = np.diff(np.array(pairs))
    print(f"phantoms: measured in {len(pairs)} of {count}, bias {away.mean():+.2f} mm, 1.96 SD {1.96 * away.std(ddof=1):.2f} mm, true slips "
          f"{min(t for t, _ in pairs):+.1f} to {max(t for t, _ in pairs):+.1f} mm")  # fmt: skip


if __name__ == "__main__":
    main()
