"""Trains the shipped muscle model with nnU-Net v2, or a cross-validation model, and prints Dice on TUM01.

    python recipes/muscle/nnunet.py ../shared/data/dixon ../shared/data/sagittal OUT --teacher MODEL [--leave-out person|lower|upper|even|odd] [--views 9600]
        [--epochs 80] [--people 60] [--drawn 150] [--beside OUT2] [--also MODEL]

Only one person has masks (TUM01), so nnU-Net's raw data set consists of random views: slices of TUM01 deformed, with other fat fractions and contrasts,
slices of phantoms, drawn slices, and strips of the backs of 24 other people of MyoSegmenTUM (VB3_*), pseudo-labelled by MODEL
(`lumbar.muscle.learn.pseudo_labels`). MODEL is the result of `recipes/muscle/axial.py` with the same --leave-out: a teacher trained on the slices left
out for testing would leak them. Interrupted runs resume if OUT/work is kept.

The shipped weights (0.3.0) are two networks, this one and that of the run `odd` (--beside). This one: MODEL 0.2.1 (in the history of this repository
before 0.3.0), `--views 12000 --epochs 70` (80 for the first 31 epochs). The run `person` on their card: MODEL from `recipes/muscle/axial.py --leave-out person
--people 40 --drawn 150 --steps 2400`, `--leave-out person --views 6400 --epochs 30`. `even` and `odd` had the same MODEL and started from the weights of
`person`: `--start …/checkpoint_final.pth --views 4800 --epochs 12`. An epoch takes a minute on one core.
"""

import argparse
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from axial import LEARNT, LEAVE_OUT, LEFT_OUT, on_the_card, scores, sources, split, synthetic
from pseudo_labels import people

from lumbar.datasets.myosegmentum import read_dixon
from lumbar.datasets.nnunet_raw import RawCase
from lumbar.models.folder import load_folder
from lumbar.muscle.engine import INPUT, OUTPUT
from lumbar.muscle.learn.assembled import BackgroundBias, MirrorPair
from lumbar.muscle.learn.build import BuildOptions, export
from lumbar.muscle.learn.data import training_slices
from lumbar.muscle.learn.nnunet_cases import view_cases
from lumbar.muscle.learn.nnunet_import import ImportOptions, trained_network
from lumbar.muscle.learn.nnunet_train import NnunetTraining, train_nnunet
from lumbar.muscle.learn.pseudo_labels import PIXEL_MM, FloatImage, pseudo_labelled_slices, strips
from lumbar.muscle.learn.train import MuscleTraining, training
from lumbar.muscle.learn.views import AxialSlice
from lumbar.training.fit import FitOptions

ITERATIONS = 100  # per epoch
# Log odds. For 0, 0.5, 1, 1.5 and 2 the Dice of `even` and `odd` on left-out slices (water and T2-like) was 0.906, 0.911, 0.912, 0.911 and 0.908,
# and their volumes were +9, +5, +3, 0 and -4 % off; with 1, other people's erector spinae lost muscle beside streaks of fat.
BACKGROUND = 0.5
BELOW_MM = 15.0  # extent of the strips below the middle of L5
COUNTS = "slices.json"  # of each kind, in OUT


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    case = next(iter(read_dixon(options.dixon)))
    learnt, tested = split(training_slices(case.subject, case.water, case.fat, case.mask), options.leave_out)
    config = training(PIXEL_MM, FitOptions(seed=options.seed))
    size = {"patch": config.view, "batch": config.batch, "features": config.features}
    length = {"epochs": options.epochs, "iterations": ITERATIONS, "learning_rate": config.learning_rate}
    nnunet = NnunetTraining(**size, **length, start=options.start, threads=options.threads)
    trained = train_nnunet(cases(learnt, config, options), (options.out / "work").resolve(), nnunet)
    network = trained_network(trained, ImportOptions("muscle-axial"))
    how = f"Trained with nnU-Net v2 (2d, {options.epochs * ITERATIONS} steps of {config.batch} views of {config.view[0]} × {config.view[1]} pixels)."
    if options.beside:
        network = MirrorPair(network, trained_network(next((options.beside / "work" / "results").glob("*/*")), ImportOptions("muscle-axial")))
        how = f"Two networks, one on the image and one on its mirror image; the second was trained alike on a part of TUM01. {how}"
    network = BackgroundBias(network, BACKGROUND)
    build = BuildOptions(version=options.version, pixel_mm=PIXEL_MM, how=how, both_ways=options.beside is None)
    folder = options.out / "muscle-axial"
    folder.mkdir(parents=True, exist_ok=True)
    data = sources(**json.loads((options.out / COUNTS).read_text(encoding="utf-8")))
    export(network, folder, build, data)
    results = on_the_card(scores(folder, case, tested), LEARNT if options.leave_out == "nobody" else LEFT_OUT.format("{}", options.leave_out))
    for other in options.also:
        results += load_folder(other, 1).card.results
    card = export(network, folder, replace(build, results=results), data)
    print(f"{folder}: ONNX differs from PyTorch by at most {card.export_difference:.1e}")


def cases(learnt: list[AxialSlice], config: MuscleTraining, options: argparse.Namespace) -> Iterator[RawCase]:
    """Views of all training data; a resumed training does not read them again."""
    phantoms, drawn = synthetic(options.people, options.drawn)
    taught = strips_of(options.sagittal, options.teacher)
    counts = {"learnt": len(learnt), "taught": len(taught), "phantoms": len(phantoms), "drawn": len(drawn)}
    (options.out / COUNTS).write_text(json.dumps(counts), encoding="utf-8")
    print(f"slices: {counts}", flush=True)
    yield from view_cases([*learnt, *taught, *phantoms, *drawn], options.views, config)


def strips_of(sagittal: Path, teacher: Path) -> list[AxialSlice]:
    """Strips of all people except TUM01, with pseudo-labels of the teacher."""
    model = load_folder(teacher, 1)

    def network(inputs: FloatImage) -> FloatImage:
        return np.asarray(model.run({INPUT: inputs})[OUTPUT], np.float32)

    found = []
    for name, image, mask in people(sagittal, "VB3"):
        found += pseudo_labelled_slices(name, strips(image, mask, (1, 5), beyond_mm=BELOW_MM), network)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dixon", type=Path)
    parser.add_argument("sagittal", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--teacher", type=Path, required=True, help="model folder that labels the strips")
    parser.add_argument("--leave-out", choices=LEAVE_OUT, default="nobody")
    parser.add_argument("--views", type=int, default=9600)
    parser.add_argument("--epochs", type=int, default=80, help="of 100 steps of 6 views")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--drawn", type=int, default=150, help="number of simulated people with drawn slices")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="checkpoint of another run with initial weights, trained without the left-out slices as well")
    parser.add_argument("--seed", type=int, default=20240601)
    parser.add_argument("--version", default="0.3.0")
    parser.add_argument("--beside", type=Path, help="OUT of another run, whose network is combined with this one; the ensemble is more robust")
    parser.add_argument("--also", type=Path, action="append", default=[], help="model folder of a cross-validation run, whose Dice is added to the card")
    return parser.parse_args()


if __name__ == "__main__":
    main()
