"""Trains the shipped muscle packages: two networks, each on half of the people for the figures, then on all, and both together as one file.

    python recipes/muscle/train.py ../shared/data OUT --half 0 [--research] [--start OUT/half1/weights.pt] [--steps 2100] [--rate 2e-3]
    python recipes/muscle/train.py ../shared/data OUT2 --half 0 --pseudo-labels OUT/half0/weights.pt --start OUT/half0/weights.pt --rate 1.2e-3 [--research]
    python recipes/muscle/train.py ../shared/data OUT2 --half 0 --everybody --pseudo-labels OUT/half0/weights.pt OUT/half1/weights.pt \\
        --start OUT2/half0/weights.pt --steps 300 --rate 7e-4 [--research]
    python recipes/muscle/train.py ../shared/data OUT --package NAME --version 1.2.0 [--research] [--results FIGURES.json]

`--half 0` and `--half 1` each write a model folder OUT/half0 or OUT/half1 that `recipes/muscle/reader_masks.py --half` measures on the people left out.
Both are trained on half of the T1 people (reader masks, L4/L5), drawn slices and phantoms; half 1 also on TUM01 (Dixon), so that half 0 can be evaluated on it.
With `--research` they are also trained on half of the T2 slices, whose source states no licence, so these packages are for research only.
`--pseudo-labels` adds the 300 slices without masks (L3/L4 and L5/S1 of T1 people), those of a half labelled by the network of that half, so that nothing
passes from one half to the other. `--everybody` continues on the people of both halves and TUM01 and writes OUT/all0 and OUT/all1, on which nothing can be
measured but people of other data sets.
`--package` puts these two into one file with 8-bit convolutions, one of them applied to the mirror image.

The engine is our own U-Net (`lumbar.muscle.learn.mixture`), on one processor core, bfloat16. How many steps the shipped networks took is on their cards.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch

from lumbar.datasets.muscle_slices import half_of, read_muscle_t1, read_muscle_t2, read_unlabelled_t1
from lumbar.datasets.myosegmentum import read_dixon
from lumbar.models.card import Result, TrainingData
from lumbar.muscle.labels import PSOAS_LEFT, PSOAS_RIGHT
from lumbar.muscle.learn.build import BuildOptions, export, synthetic_examples
from lumbar.muscle.learn.data import training_slices
from lumbar.muscle.learn.ensemble import NetworkPair
from lumbar.muscle.learn.grey_slices import GreySlice, Source, from_dixon, from_reader
from lumbar.muscle.learn.mixture import MixtureModule, MixtureTraining, train_mixture
from lumbar.muscle.learn.pseudo_labels import FloatImage, Network, pseudo_labelled
from lumbar.training.fit import FitOptions

SYNTHETIC = 60  # drawn people, and as many phantoms
WEIGHTS = "weights.pt"
LAST = 300  # steps on everybody
CALIBRATION = 24  # slices for the 8-bit ranges
SUDIRMAN_IMAGES = "images of Sudirman et al., Mendeley k57fr854j2 (CC BY 4.0)"
PSEUDO = "300 slices of 150 of these people without masks; pseudo-labels by networks of the same training data where their predictions agree"
SUDIRMAN = f"{SUDIRMAN_IMAGES}; masks of 3Shot-LPM-Seg (Apache-2.0)"
TUM = "freely accessible (Burian 2019; its own licence was not found), masks redistributed in LPM_Segmentator (Apache-2.0)"


def main() -> None:
    options = _options()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    if options.package:
        package(options)
    else:
        train_half(options)


def train_half(options: argparse.Namespace) -> None:
    """Train one network and write it as a model folder."""
    halves = (0, 1) if options.everybody else (options.half,)
    examples = [one for half in halves for one in people(options.data, half, options.research)] + synthetic_examples(SYNTHETIC, SYNTHETIC)
    if options.pseudo_labels:
        for half, weights in zip(halves, options.pseudo_labels, strict=True):
            examples += pseudo_labels(options.data, half, weights, options.research)
    folder = options.out / f"{'all' if options.everybody else 'half'}{options.half}"
    fit = FitOptions(steps=options.steps, seed=options.seed + options.half, threads=1, average_decay=0.995, checkpoint_every=100)
    config = MixtureTraining(learning_rate=options.rate, fit=fit)
    module = train_mixture(examples, folder / "work", config, torch.load(options.start) if options.start else None)
    (folder / "model").mkdir(parents=True, exist_ok=True)
    torch.save(module.state_dict(), folder / WEIGHTS)
    words = BuildOptions(name=f"muscle-{folder.name}", threads=1, research_only=options.research)
    card = export(module.network, folder / "model", words, sources(options.research, pseudo=bool(options.pseudo_labels)))
    print(f"{folder}: {len(examples)} slices, {options.steps} steps; ONNX differs from PyTorch by at most {card.export_difference:.1e}")


def people(data: Path, half: int, research: bool) -> list[GreySlice]:
    """Training slices of one half, without the synthetic ones."""
    t1 = list(read_muscle_t1(data / "muscle_t1"))
    training = half_of([one.patient for one in t1], half)
    found = [from_reader(one, Source.T1, complete=False) for one in t1 if one.patient in training]
    if half == 1:
        case = next(iter(read_dixon(data / "dixon")))
        found += [from_dixon(one, Source.DIXON, complete=False) for one in training_slices(case.subject, case.water, case.fat, case.mask)]
    if research:
        t2 = list(read_muscle_t2(data / "muscle_t2"))
        training = half_of([one.patient for one in t2], half)
        found += [from_reader(one, Source.T2, complete=True) for one in t2 if one.patient in training]
    return found


def pseudo_labels(data: Path, half: int, weights: Path, research: bool) -> list[GreySlice]:
    """The slices of the people of one half that no reader outlined, with labels by that half's network, which has these `weights`."""
    training = half_of([one.patient for one in read_muscle_t1(data / "muscle_t1")], half)
    slices = [one for one in read_unlabelled_t1(data / "muscle_t1") if one.patient in training]
    found = list(pseudo_labelled(slices, [_probabilities(weights)], complete=research))
    print(f"half {half}: {len(found)} of {len(slices)} slices without masks get pseudo-labels", flush=True)
    return found


def _probabilities(weights: Path) -> Network:
    """The network with `weights`, for `pseudo_labelled`."""
    module = MixtureModule(MixtureTraining())
    module.load_state_dict(torch.load(weights))
    network = module.eval().network

    def look(image: FloatImage) -> FloatImage:
        with torch.no_grad():
            return np.asarray(network(torch.from_numpy(image)[None, None]).softmax(1))

    return look


def package(options: argparse.Namespace) -> None:
    """Both networks, after training on all people, as one model folder."""
    networks = []
    for half in (0, 1):
        module = MixtureModule(MixtureTraining())
        module.load_state_dict(torch.load(options.out / f"all{half}" / WEIGHTS))
        networks.append(module.eval().network)
    results = tuple(Result(**one) for one in json.loads(options.results.read_text(encoding="utf-8"))) if options.results else ()
    folder = options.out / options.package
    folder.mkdir(parents=True, exist_ok=True)
    how = (
        f"Two networks of at least {options.steps} steps of 8 views; all but the last {LAST} steps on one half of the people each, which gives the figures for "
        "people left out, the last on all; the second is applied to the mirror image."
    )
    withheld = () if options.research else (PSOAS_RIGHT, PSOAS_LEFT)  # labelled on synthetic slices only: Dice 0.69 on readers' T2 masks
    words = BuildOptions(options.package, options.version, how=how, research_only=options.research, withheld=withheld, results=results)
    examples = people(options.data, 1, options.research)
    card = export(NetworkPair(*networks), folder, words, sources(options.research, pseudo=True), examples[:: max(1, len(examples) // CALIBRATION)])
    size = (folder / "model.onnx").stat().st_size / 2**20
    print(f"{folder}: {size:.1f} MB; before the step to 8 bits ONNX differs from PyTorch by at most {card.export_difference:.1e}")


def sources(research: bool, *, pseudo: bool) -> tuple[TrainingData, ...]:
    """Training data of both halves, for the card."""
    found = [
        TrainingData("Sudirman lumbar MRI, axial T1 at L4/L5", SUDIRMAN, "310 people, reader masks of erector spinae and multifidus"),
        TrainingData(
            "MyoSegmenTUM spine, subject TUM01", TUM, "29 axial slices, Dixon water and fat; the network that is measured on it did not learn from it"
        ),
        TrainingData("lumbar synthetic slices", "Apache-2.0", f"drawn slices and phantoms of {SYNTHETIC} people each"),
    ]
    if pseudo:
        found.append(TrainingData("Sudirman lumbar MRI, axial T1 at L3/L4 and L5/S1", SUDIRMAN_IMAGES, PSEUDO))
    if research:
        found.append(
            TrainingData("axial T2 of sillyboy1213's public repository", "the source states no licence: research only", "136 slices with reader masks")
        )
    return tuple(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--half", type=int, choices=(0, 1))
    what.add_argument("--package", help="name of the package to make of both halves")
    parser.add_argument("--research", action="store_true", help="also train on muscle_t2")
    parser.add_argument("--everybody", action="store_true", help="continue on the people of both halves")
    parser.add_argument("--start", type=Path, help="weights of another run to begin with")
    parser.add_argument("--pseudo-labels", type=Path, nargs="+", metavar="WEIGHTS", help="of the networks that label the slices without masks, one a half")
    parser.add_argument("--steps", type=int, default=2100)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=20240601)
    parser.add_argument("--version", default="1.0.0")
    parser.add_argument("--results", type=Path, help="figures for the card, as JSON")
    options = parser.parse_args()
    if options.pseudo_labels and len(options.pseudo_labels) != (2 if options.everybody else 1):
        parser.error("--pseudo-labels takes the weights of this half's network, and with --everybody those of half 0 and half 1")
    return options


if __name__ == "__main__":
    main()
