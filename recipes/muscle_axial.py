"""Trains the shipped muscle model and prints where it lands: TUM01 (MyoSegmenTUM, one person) and slices of phantoms.

    python recipes/muscle_axial.py ../shared/data/dixon OUT [--steps 3000] [--people 70]

With OUT/work kept, a run that was stopped goes on. On one processor core 3,000 steps take about 40 minutes.
"""

import argparse
import logging
from pathlib import Path

from lumbar.datasets.myosegmentum import read_dixon
from lumbar.models.card import Result, TrainingData
from lumbar.muscle.build import BuildOptions, export
from lumbar.muscle.data import training_slices
from lumbar.muscle.phantom_slices import phantom_slices
from lumbar.muscle.train import train, training
from lumbar.training.fit import FitOptions

FIRST_SEED = 70_000  # of the phantoms that are learnt from; others are free for tests
SLICES = 6  # of each phantom
DATA = "MyoSegmenTUM spine, subject TUM01"
NOTE = "freely accessible (Burian 2019; its own licence was not found), masks redistributed in LPM_Segmentator (Apache-2.0)"
LEARNT = "TUM01 water (MyoSegmenTUM), the one person that was learnt from: says nothing of other people"
# What `lumbar evaluate muscle` printed for the shipped weights (2,200 steps, 30 phantoms, 1 mm).
RESULTS = (
    Result("Dice, right erector spinae", 0.928, LEARNT),
    Result("Dice, right multifidus", 0.854, LEARNT),
    Result("Dice, left multifidus", 0.805, LEARNT),
    Result("Dice, left erector spinae", 0.908, LEARNT),
)


def main() -> None:
    options = _options()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    people = [s for case in read_dixon(options.dixon) for s in training_slices(case.subject, case.water, case.fat, case.mask)]
    phantoms = [s for seed in range(FIRST_SEED, FIRST_SEED + options.people) for s in phantom_slices(seed, SLICES)]
    print(f"{len(people)} slices of {len({s.patient for s in people})} person(s), {len(phantoms)} slices of {options.people} phantoms", flush=True)
    config = training(options.pixel, FitOptions(steps=options.steps, threads=options.threads, checkpoint_every=100))
    module = train(people + phantoms, options.out / "work", config)
    folder = options.out / "muscle-axial"
    folder.mkdir(parents=True, exist_ok=True)
    data = (
        TrainingData(DATA, NOTE, f"one subject, {len(people)} axial slices, Dixon water and fat, contrasts and shapes varied at random"),
        TrainingData("lumbar phantoms", "Apache-2.0", f"synthetic: {len(phantoms)} axial slices of {options.people} seeds from {FIRST_SEED} on"),
    )
    card = export(module.network, folder, BuildOptions(pixel_mm=options.pixel, results=RESULTS), data)
    print(f"{folder}: ONNX differs from PyTorch by at most {card.export_difference:.1e}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dixon", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--people", type=int, default=70)
    parser.add_argument("--pixel", type=float, default=1.0, help="mm; 2 is four times as quick and a little coarser")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
