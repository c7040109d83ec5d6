"""Accuracy of the spine model's level names on phantoms, and whether wrong names are marked as doubtful.

    python recipes/spine/numbering.py [--model FOLDER] [--transitional 60] [--plain 100] [--first 0] [--outcomes FILE]
    python recipes/spine/numbering.py --patients ../shared/data

Phantoms with a lumbarised S1 and with a sacralised L5, half of each, and plain ones, of all sites. A phantom is named correctly if the centre of each of the
five levels lies within 10 mm of its true place. Prints how many are named correctly, how many of the others are doubted (`numbering.confident` is false),
the false alarms on plain phantoms with their interval (Wilson, 95 %), and the reliability of `numbering.probability`. A run that was interrupted resumes from
its table of outcomes. Images have half the matrix of their site.

`--patients` prints instead how many SPIDER T2 SPACE patients a stricter limit of the probability would mark, from the readers' masks of their middle slices.
"""

import argparse
import csv
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from reference_masks import segmentation_of, spider_volumes
from statsmodels.stats.proportion import proportion_confint

from lumbar.datasets.spider import read_space
from lumbar.domain.anatomy import Level
from lumbar.domain.study import Plane, Weighting
from lumbar.errors import InputError
from lumbar.models.registry import find_model
from lumbar.phantom.study import StudyOptions, make_study
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.spine_map import map_segmentation, map_spine

FIRST_SEED = 9000  # seeds that no training uses
SITES = "ABCDEFGHI"
NEAR_MM = 10.0
LIMITS = (0.9, 0.93, 0.955, 0.98)
BINS = (0.0, 0.5, 0.955, 0.97, 0.99, 1.0)


@dataclass(frozen=True)
class Outcome:
    """Level naming of one phantom."""

    variant: str
    correct: bool
    confident: bool
    probability: float | None


COLUMNS = ("number", "variant", "correct", "confident", "probability")  # of the table of outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--transitional", type=int, default=60)
    parser.add_argument("--plain", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--patients", type=Path, help="Folder of data.")
    parser.add_argument("--outcomes", type=Path, help="Table that a run resumes from (CSV).")
    arguments = parser.parse_args()
    if arguments.patients:
        print_patients(arguments.patients)
        return
    network = network_of(find_model(TASK, arguments.model, threads=1))
    variants = [("lumbarised", "sacralised")[k % 2] for k in range(arguments.transitional)] + ["none"] * arguments.plain
    known = read_outcomes(arguments.outcomes)
    outcomes = []
    for number, variant in enumerate(variants, start=arguments.first):
        if (number, variant) not in known:
            known[number, variant] = outcome(number, variant, network)
            append_outcome(arguments.outcomes, number, known[number, variant])
        outcomes.append(known[number, variant])
    for variant in ("lumbarised", "sacralised", "none"):
        own = [o for o in outcomes if o.variant == variant]
        if own:
            right = sum(o.correct for o in own)
            print(f"{variant}: {right} of {len(own)} named correctly, {sum(o.correct or not o.confident for o in own)} named correctly or doubted")
    plain = [o for o in outcomes if o.variant == "none"]
    if plain:
        alarms = sum(o.correct and not o.confident for o in plain)
        low, high = proportion_confint(alarms, len(plain), method="wilson")
        print(f"false alarms: {alarms} of {len(plain)} plain phantoms ({low:.1%} to {high:.1%})")
    print_reliability([o for o in outcomes if o.probability is not None])


def print_patients(data: Path) -> None:
    slices = read_space(data / "spider" / "t2_space")
    found = []
    for name in sorted({s.patient for s in slices}, key=int):
        own = [s for s in slices if s.patient == name]
        middle = len(own) // 2
        image, labels = spider_volumes(own[max(0, middle - 3) : middle + 4])
        numbering = map_segmentation(segmentation_of(labels, image), Plane.SAGITTAL, Weighting.T2).finding.numbering
        if numbering.probability is not None:
            found.append(numbering.probability)
    for limit in LIMITS:
        print(f"probability below {limit}: {sum(p < limit for p in found)} of {len(found)} patients whose sacrum is in view")


def read_outcomes(path: Path | None) -> dict[tuple[int, str], Outcome]:
    """Outcomes of an earlier run by number and variant of the phantom."""
    if path is None or not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        (int(row["number"]), row["variant"]): Outcome(
            row["variant"], row["correct"] == "True", row["confident"] == "True", float(row["probability"]) if row["probability"] else None
        )
        for row in rows
    }


def append_outcome(path: Path | None, number: int, found: Outcome) -> None:
    if path is None:
        return
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerow([number, found.variant, found.correct, found.confident, "" if found.probability is None else f"{found.probability:.4f}"])


def outcome(number: int, variant: str, network: Network) -> Outcome:
    study = make_study(StudyOptions(FIRST_SEED + number, site=SITES[number % len(SITES)], roles=("sagittal_t2",), variant=variant, matrix_scale=0.5))
    try:
        finding = map_spine(study.series["sagittal_t2"].volumes()[0], Plane.SAGITTAL, Weighting.T2, network).finding
    except InputError as error:
        print(f"phantom {number}, {variant}: {error}", flush=True)
        return Outcome(variant, False, False, None)
    places = {entry.level: np.array(entry.center_mm) for entry in finding.levels}
    true = {level: study.anatomy.disc(level.value).frame.center_mm for level in Level}
    correct = all(level in places and np.linalg.norm(places[level] - true[level]) <= NEAR_MM for level in Level)
    if not correct or not finding.numbering.confident:
        word = "correct" if correct else "WRONG"
        print(
            f"phantom {number}, site {study.site.name}, {variant}: {word}; {'confident' if finding.numbering.confident else finding.numbering.note}", flush=True
        )
    return Outcome(variant, correct, finding.numbering.confident, finding.numbering.probability)


def print_reliability(outcomes: list[Outcome]) -> None:
    for low, high in pairwise(BINS):
        own = [o for o in outcomes if low <= (o.probability or 0.0) < high or (high == 1.0 and o.probability == 1.0)]
        if own:
            mean = np.mean([o.probability or 0.0 for o in own])
            print(f"probability {low:.2f} to {high:.2f}: mean {mean:.3f}, named correctly {np.mean([o.correct for o in own]):.3f}, n = {len(own)}")


if __name__ == "__main__":
    main()
