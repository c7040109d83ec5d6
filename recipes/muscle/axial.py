"""Trains the U-Net used as teacher in `recipes/muscle/nnunet.py`, and prints Dice on TUM01 (MyoSegmenTUM, one person), drawn slices and phantoms.

    python recipes/muscle/axial.py ../shared/data/dixon OUT [--leave-out person|lower|upper|even|odd] [--steps 6000] [--people 120] [--drawn 150]
        [--start CHECKPOINT]

`--leave-out person` trains on drawn slices and phantoms only and gives the only figure for an unseen person; `lower` and `upper` leave out half of
TUM01's slices, `even` and `odd` every second block of five. Dice is that of `lumbar segment muscle` on each contrast separately: Dixon water and fat,
and mixtures of both that resemble T1 and T2.

Version 0.2.1, shipped before 0.3.0, took 1,000 steps with `--people 60 --drawn 90` from the weights of 0.2.0 (2,300 steps with `--people 90 --drawn 120`),
which started from those of 0.1.0 (2,400 steps with `--people 120`, from 2,200 at 1 mm); 1,000 steps take 5 minutes on one core. Without `--start`,
which loads the averaged weights of another run's checkpoint, use 6,000 or more. Interrupted runs resume if OUT/work is kept.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from lumbar.datasets.myosegmentum import DixonCase, read_dixon
from lumbar.domain.volume import Volume
from lumbar.metrics.segmentation import brought_onto, dice
from lumbar.models.card import Result, TrainingData
from lumbar.models.folder import load_folder
from lumbar.muscle.axial import to_axial
from lumbar.muscle.engine import run_model
from lumbar.muscle.labels import LABELS
from lumbar.muscle.learn.build import FIRST_DRAWN, SLICES, BuildOptions, export
from lumbar.muscle.learn.data import on_one_scale, training_slices
from lumbar.muscle.learn.drawn_slices import drawn_slices
from lumbar.muscle.learn.phantom_slices import phantom_slices
from lumbar.muscle.learn.synthesis import contrasts
from lumbar.muscle.learn.train import train, training
from lumbar.muscle.learn.views import AxialSlice
from lumbar.training.fit import FitOptions, averaged_weights

FIRST_SEED = FIRST_DRAWN  # also of the training phantoms; other seeds are free for tests
LEAVE_OUT = ("nobody", "person", "lower", "upper", "even", "odd")
BLOCK = 5  # slices per block of "even" and "odd"
GAP = 1  # slices between training and test slices
DATA = "MyoSegmenTUM spine, subject TUM01"
FREE = "freely accessible (Burian 2019; its own licence was not found)"
NOTE = f"{FREE}, masks redistributed in LPM_Segmentator (Apache-2.0)"
LEFT_OUT = "TUM01, {}, left out of training ({} left out)"
STRANGER = "TUM01 (MyoSegmenTUM), {}: a network of the same kind trained on synthetic slices only, without this person"
LEARNT = "TUM01 (MyoSegmenTUM), {}: the one training subject, so not an estimate for other people"


def main() -> None:
    options = _options()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    case = next(iter(read_dixon(options.dixon)))
    learnt, tested = split(training_slices(case.subject, case.water, case.fat, case.mask), options.leave_out)
    phantoms, drawn = synthetic(options.people, options.drawn)
    print(f"{len(learnt)} slices of people, {len(phantoms)} of {options.people} phantoms, {len(drawn)} drawn", flush=True)
    config = training(options.pixel, FitOptions(steps=options.steps, threads=options.threads, checkpoint_every=100))
    start = averaged_weights(options.start) if options.start else None
    module = train(learnt + phantoms + drawn, options.out / "work", config, start)
    folder = options.out / "muscle-axial"
    folder.mkdir(parents=True, exist_ok=True)
    data = sources(learnt=len(learnt), taught=0, phantoms=len(phantoms), drawn=len(drawn))
    build = BuildOptions(version=options.version, pixel_mm=options.pixel)
    export(module.network, folder, build, data)
    results = on_the_card(scores(folder, case, tested), LEARNT if options.leave_out == "nobody" else LEFT_OUT.format("{}", options.leave_out))
    if options.stranger:
        print("without TUM01:", flush=True)
        results += on_the_card(scores(options.stranger, case, tested), STRANGER)
    card = export(module.network, folder, BuildOptions(version=options.version, pixel_mm=options.pixel, results=results), data)
    print(f"{folder}: ONNX differs from PyTorch by at most {card.export_difference:.1e}")


def synthetic(people: int, drawn: int) -> tuple[list[AxialSlice], list[AxialSlice]]:
    """(slices of that many phantoms, drawn slices of that many simulated people)."""
    phantoms = [s for seed in range(FIRST_SEED, FIRST_SEED + people) for s in phantom_slices(seed, SLICES)]
    return phantoms, [s for seed in range(FIRST_SEED, FIRST_SEED + drawn) for s in drawn_slices(seed, SLICES)]


def sources(learnt: int, taught: int, phantoms: int, drawn: int) -> tuple[TrainingData, ...]:
    """Training data on the card: number of slices of each kind."""
    seeds = f"of seeds from {FIRST_SEED} on, {SLICES} each"
    found = {
        TrainingData(DATA, NOTE, f"one subject, {learnt} axial slices, Dixon water and fat, contrasts and shapes varied at random"): learnt,
        TrainingData("MyoSegmenTUM spine, sagittal water", FREE, f"{taught} axial strips of 24 other subjects, pseudo-labelled by a network"): taught,
        TrainingData("lumbar phantoms", "Apache-2.0", f"synthetic: {phantoms} axial slices {seeds}"): phantoms,
        TrainingData("lumbar drawn slices", "Apache-2.0", f"synthetic: {drawn} slices {seeds}"): drawn,
    }
    return tuple(one for one, count in found.items() if count)


def on_the_card(found: dict[str, list[float]], where: str) -> tuple[Result, ...]:
    """Dice by contrast as card results."""
    return tuple(
        Result(f"{side.value} {muscle.value.replace('_', ' ')}", "dice", round(value, 3), where.format(contrast))
        for contrast, values in found.items()
        for (muscle, side), value in zip(LABELS.values(), values, strict=True)
    )


def split(slices: list, leave_out: str) -> tuple[list, list[int]]:
    """(training slices, indices of test slices); slices run from foot to head. All slices of TUM01 show muscle."""
    count, half = len(slices), len(slices) // 2
    left_out = {
        "nobody": [],
        "person": list(range(count)),
        "lower": list(range(half)),
        "upper": list(range(half, count)),
        "even": [k for k in range(count) if k // BLOCK % 2 == 0],
        "odd": [k for k in range(count) if k // BLOCK % 2 == 1],
    }[leave_out]
    near = {k + step for k in left_out for step in range(-GAP, GAP + 1)}
    return [one for k, one in enumerate(slices) if k not in near], left_out or list(range(count))


def scores(folder: Path, case: DixonCase, tested: list[int]) -> dict[str, list[float]]:
    """Dice of the four labels on each contrast; printed, too."""
    model = load_folder(folder, 1)
    grid = to_axial(case.water).grid
    reference = np.asarray(brought_onto(grid, case.mask).array, np.uint8)
    water, fat = on_one_scale(case.water, case.fat, Volume(reference, grid))
    found = {}
    for contrast, image in contrasts(water, fat).items():
        labels = np.asarray(run_model(model, Volume(image, grid)).mask.array)
        values = [dice(reference[tested] == label, labels[tested] == label) or 0.0 for label in LABELS]
        found[contrast] = values
        sides = [dice(np.isin(reference[tested], pair), np.isin(labels[tested], pair)) or 0.0 for pair in ((1, 2), (3, 4))]  # both muscles together
        print(
            f"{contrast:6s}" + "".join(f"{value:7.3f}" for value in values) + f"   mean {np.mean(values):.3f}   sides {sides[0]:.3f} {sides[1]:.3f}", flush=True
        )
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dixon", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--leave-out", choices=LEAVE_OUT, default="nobody")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--people", type=int, default=120)
    parser.add_argument("--drawn", type=int, default=150, help="number of simulated people with drawn slices")
    parser.add_argument("--pixel", type=float, default=1.25, help="mm; 2 is four times as fast and slightly coarser")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--stranger", type=Path, help="model folder of a run with --leave-out person, whose Dice is added to the card")
    return parser.parse_args()


if __name__ == "__main__":
    main()
