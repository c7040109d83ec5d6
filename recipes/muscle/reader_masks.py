"""A muscle model on people with reader masks: axial T1 (310), axial T2 (136) and the Dixon pair TUM01.

    python recipes/muscle/reader_masks.py ../shared/data [--models DIR] [--half 0|1] [--only t1 t2 dixon] [--every 1]

The slices run through the same inference as `lumbar segment muscle`. `--half` excludes the people in the training set of `recipes/muscle/train.py
--half`, so that the figures are out of fold. The shipped packages combine the networks of both halves, so only data sets outside the training of both measure
generalization; the card names them. The pixel size of the T2 slices is an estimate.

Readers who outline alike draw both sides of a slice alike, so the overlap of the mirrored left outline with the right one shows how much of the disagreement
with a model is the readers' own.

Prints Dice of every label with the mean of the four back muscles and its 95 % interval (people resampled), the fifth percentile of people's lowest label,
the agreement of cross-sectional areas, and how Dice differs between masks that are marked as doubtful and the others.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from lumbar.datasets.muscle_slices import ReaderSlice, half_of, read_muscle_t1, read_muscle_t2
from lumbar.datasets.myosegmentum import read_dixon
from lumbar.metrics.agreement import agreement
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.segmentation import brought_onto, dice
from lumbar.models.folder import Model
from lumbar.models.registry import find_model
from lumbar.muscle.agreement import DOUBTFUL
from lumbar.muscle.engine import run_model
from lumbar.muscle.labels import BACK, MASK_LABELS, label_name
from lumbar.muscle.predict import TASK

MUSCLES = {"erector spinae": (1, 4), "multifidus": (2, 3), "psoas": (5, 6), "vertebra or disc": (7,)}
SIDES = ("erector spinae", "multifidus")  # muscles that are alike on both sides of most people


@dataclass(frozen=True, eq=False)
class Scores:
    """One row a person, one column a label."""

    labels: tuple[int, ...]
    dice: np.ndarray
    areas_mm2: np.ndarray  # (2, people, labels) reader's and model's
    expected: np.ndarray  # Dice that the model expects; not a number where it gives none
    sides: np.ndarray  # (2, people, muscles of SIDES) overlap of the left mask, mirrored, with the right: reader's and model's


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1), help="exclude the people in this half, on which the network was trained")
    parser.add_argument("--only", nargs="+", choices=("t1", "t2", "dixon"), default=("t1", "t2", "dixon"))
    parser.add_argument("--every", type=int, default=1, help="take every n-th person only")
    options = parser.parse_args()
    model = find_model(TASK, options.models, 1)
    print(f"{model.card.name} {model.card.version}; trained on: {model.card.trained_on}")
    known = [n for n in MASK_LABELS if n < len(model.card.classes) and n not in model.card.parameters.get("withheld", ())]
    if "t1" in options.only:
        show("T1, L4/L5", scored(model, people(list(read_muscle_t1(options.data / "muscle_t1")), options), BACK))
    if "t2" in options.only:
        show("T2", scored(model, people(list(read_muscle_t2(options.data / "muscle_t2")), options), tuple(known)))
    if "dixon" in options.only:
        show_dixon(model, options.data / "dixon")


def people(slices: list[ReaderSlice], options: argparse.Namespace) -> list[ReaderSlice]:
    """Those to measure on."""
    training = half_of([one.patient for one in slices], options.half) if options.half is not None else set()
    return [one for one in slices if one.patient not in training][:: options.every]


def scored(model: Model, slices: Sequence[ReaderSlice], labels: tuple[int, ...]) -> Scores:
    """Dice, areas and agreement of every person."""
    rows, areas, guessed, sides = [], [], [], []
    for one in slices:
        found = run_model(model, one.volume)
        mask = np.asarray(found.mask.array[0])
        rows.append([dice(one.labels == n, mask == n) or 0.0 for n in labels])
        areas.append([[float((m == n).sum()) * one.pixel_mm**2 for n in labels] for m in (one.labels, mask)])
        guessed.append([np.nan if found.agreement is None else found.agreement.expected_dice(n) or 0.0 for n in labels])
        sides.append([[side_overlap(m, *MUSCLES[muscle]) for muscle in SIDES] for m in (one.labels, mask)])
    return Scores(labels, np.array(rows), np.array(areas).transpose(1, 0, 2), np.array(guessed), np.array(sides).transpose(1, 0, 2))


def side_overlap(labels: np.ndarray, right: int, left: int) -> float:
    """Dice of the right mask and the mirrored left one, moved onto it: how alike the two outlines are; not a number where one is missing."""
    one, other = labels == right, (labels == left)[:, ::-1]
    if not one.any() or not other.any():
        return np.nan
    shift = np.array(ndimage.center_of_mass(one)) - ndimage.center_of_mass(other)
    return dice(one, np.roll(other, np.round(shift).astype(int), (0, 1))) or 0.0


def show(name: str, found: Scores) -> None:
    """Print the scores of one data set."""
    four = found.dice[:, [found.labels.index(n) for n in BACK]]
    line = f"{name}, {len(four)} people: mean Dice of the four {interval(four.mean(axis=1))}, lowest of a person, 5th percentile "
    print(f"{line}{np.quantile(four.min(axis=1), 0.05):.3f}")
    for muscle, labels in MUSCLES.items():
        columns = [found.labels.index(n) for n in labels if n in found.labels]
        if columns:
            print(f"  {muscle}: Dice {interval(found.dice[:, columns].mean(axis=1))}; {areas(*found.areas_mm2[:, :, columns].mean(axis=2))}")
    alike = "; ".join(f"{muscle} {a:.3f} and {b:.3f}" for muscle, a, b in zip(SIDES, *np.nanmean(found.sides, axis=1), strict=True))
    print(f"  left outline, mirrored, against the right one of the same slice, reader's and model's: {alike}")
    print("  each label: " + ", ".join(f"{label_name(n)} {value:.3f}" for n, value in zip(found.labels, found.dice.mean(axis=0), strict=True)))
    if np.isfinite(found.expected).any():
        marked = found.expected < DOUBTFUL
        good, bad = found.dice[~marked], found.dice[marked]
        worst = f"{bad.mean():.3f}" if bad.size else "–"
        print(f"  marked as doubtful: {marked.sum()} of {marked.size} masks, Dice {worst} against {good.mean():.3f} of the others;", end=" ")
        print(f"of masks below 0.8 {np.mean(marked[found.dice < 0.8]) if (found.dice < 0.8).any() else 1:.0%} are marked", flush=True)


def interval(values: np.ndarray) -> str:
    """Mean over people and its interval."""
    found = bootstrap_interval(lambda rows: float(values[rows].mean()), np.arange(len(values)))
    return f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"


def areas(reference: np.ndarray, measured: np.ndarray) -> str:
    """Agreement of areas: mean of both sides, person by person."""
    found = agreement(reference, measured)
    share = 100 / reference.mean()
    limits = f"{share * found.loa_low:+.0f} to {share * found.loa_high:+.0f} %"
    verdict = "equivalent" if found.equivalent else "not equivalent"
    icc = f"{found.icc_2_1:.3f} ({found.icc_2_1_low:.3f} to {found.icc_2_1_high:.3f})"
    return f"area ICC(2,1) {icc}, bias {share * found.bias:+.1f} %, limits {limits}, {verdict} at 5 %"


def show_dixon(model: Model, folder: Path) -> None:
    """Dice of TUM01's volume, by each contrast alone and by both."""
    case = next(iter(read_dixon(folder)))
    reference = np.asarray(brought_onto(case.water.grid, case.mask).array)
    for name, image, fat in (("water", case.water, None), ("fat", case.fat, None), ("water and fat", case.water, case.fat)):
        mask = np.asarray(run_model(model, image, fat).mask.array)
        values = [dice(reference == n, mask == n) or 0.0 for n in BACK]
        print(
            f"Dixon TUM01, {name}: mean Dice {np.mean(values):.3f}; " + ", ".join(f"{label_name(n)} {v:.3f}" for n, v in zip(BACK, values, strict=True)),
            flush=True,
        )


if __name__ == "__main__":
    main()
