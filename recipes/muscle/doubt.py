"""Does the doubtful mark find the bad masks? Chosen on one half of the people, reported on the other.

    python recipes/muscle/doubt.py ../shared/data OUT [--every 2]

OUT/half0/model and OUT/half1/model are the networks of `recipes/muscle/train.py --half`; each is measured on the people it was not trained on: T1, T2, and
slices that were altered as in `recipes/muscle/stress.py` (field of view that cuts the erectors, 70 mm strip, metal, noise, coils). The line from agreement and
certainty to expected Dice, and the threshold with the best sum of sensitivity and specificity for masks below 0.80, are fitted to half 0; the other half then
shows the share of masks that are marked, the Dice of marked and unmarked masks, and the share of the masks below 0.80 that are marked, by kind of slice;
and the same for the line and threshold of `lumbar.muscle.agreement`, which were fitted to the networks of version 1.1.0.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from reader_masks import people
from stress import CHANGES

from lumbar.datasets.muscle_slices import ReaderSlice, read_muscle_t1, read_muscle_t2
from lumbar.metrics.segmentation import dice
from lumbar.models.folder import Model, load_folder
from lumbar.muscle.agreement import DOUBTFUL
from lumbar.muscle.engine import run_model
from lumbar.muscle.labels import MASK_LABELS

POOR = 0.80
ALTERED = ("field of view cuts the erectors", "strip of 70 mm", "metal beside the spine", "noise of 15 %", "coils that see the back only")


@dataclass(frozen=True, eq=False)
class Masks:
    """One row a mask."""

    kind: np.ndarray  # "T1", "T2", or how the slice was altered
    dice: np.ndarray
    signals: np.ndarray  # (masks, 2) agreement and certainty
    shipped: np.ndarray  # Dice that `lumbar.muscle.agreement` expects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--every", type=int, default=2, help="every n-th person; of those, every third is altered in each way")
    options = parser.parse_args()
    chosen, other = (measured(load_folder(options.out / f"half{half}" / "model", 1), cases(options, half)) for half in (0, 1))
    design = np.column_stack([np.ones(len(chosen.dice)), chosen.signals])
    line = np.linalg.lstsq(design, chosen.dice, rcond=None)[0].round(2)
    print(f"expected Dice = {line[0]:+.2f} {line[1]:+.2f} × agreement {line[2]:+.2f} × certainty")
    threshold = best_threshold(expected(line, chosen.signals), chosen.dice < POOR)
    print(f"threshold chosen on half 0 ({len(chosen.dice)} masks): {threshold:.2f}")
    guess = expected(line, other.signals)
    print(f"half 1: {len(guess)} masks, correlation of expected and measured Dice {np.corrcoef(guess, other.dice)[0, 1]:.2f}")
    for kind in ("all", *dict.fromkeys(other.kind)):
        these = (other.kind == kind) | (kind == "all")
        show(kind, guess[these] < threshold, other.dice[these])
    print(f"as shipped, threshold {DOUBTFUL}: correlation {np.corrcoef(other.shipped, other.dice)[0, 1]:.2f}")
    for kind in ("all", *dict.fromkeys(other.kind)):
        these = (other.kind == kind) | (kind == "all")
        show(kind, other.shipped[these] < DOUBTFUL, other.dice[these])


def cases(options: argparse.Namespace, half: int) -> Iterator[tuple[str, ReaderSlice]]:
    """Slices of the people left out of a half's training, as they are and altered."""
    picked = argparse.Namespace(half=half, every=options.every)
    rng = np.random.default_rng(half)
    for name, slices in (("T1", read_muscle_t1(options.data / "muscle_t1")), ("T2", read_muscle_t2(options.data / "muscle_t2"))):
        found = people(list(slices), picked)
        yield from ((name, one) for one in found)
        for kind in ALTERED:
            yield from ((kind, CHANGES[kind](one, rng)) for one in found[::3])


def measured(model: Model, found: Iterator[tuple[str, ReaderSlice]]) -> Masks:
    """Dice and signals of every mask of a muscle or body that the reader labelled."""
    rows = []
    for kind, one in found:
        result = run_model(model, one.volume)
        mask = np.asarray(result.mask.array[0])
        for label in MASK_LABELS:
            if (one.labels == label).any() and result.agreement is not None:
                signals = result.agreement.of(label) or 0.0, result.agreement.certainty(label) or 0.0
                rows.append((kind, dice(one.labels == label, mask == label) or 0.0, *signals, result.agreement.expected_dice(label) or 0.0))
    kinds, values, *signals, shipped = zip(*rows, strict=True)
    return Masks(np.array(kinds), np.array(values), np.array(signals).T, np.array(shipped))


def expected(line: np.ndarray, signals: np.ndarray) -> np.ndarray:
    return np.clip(line[0] + signals @ line[1:], 0, 1)


def best_threshold(guess: np.ndarray, poor: np.ndarray) -> float:
    """The threshold in hundredths with the highest sensitivity + specificity."""
    levels = np.arange(0.5, 0.96, 0.01)
    return float(max(levels, key=lambda level: (guess[poor] < level).mean() - (guess[~poor] < level).mean()))


def show(kind: str, marked: np.ndarray, values: np.ndarray) -> None:
    """One line of the table."""
    poor = values < POOR
    of_marked = f"{values[marked].mean():.3f}" if marked.any() else "–"
    of_others = f"{values[~marked].mean():.3f}" if (~marked).any() else "–"
    caught = f"{marked[poor].mean():.0%} of {poor.sum()}" if poor.any() else "– of 0"
    print(
        f"{kind:32s} {len(values):5d} masks, marked {marked.mean():.0%}; Dice {of_marked} marked, {of_others} others; of those below {POOR} marked {caught}",
        flush=True,
    )


if __name__ == "__main__":
    main()
