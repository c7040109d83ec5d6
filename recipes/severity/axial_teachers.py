"""Soft labels of the training studies of a fold, for self-distillation, by networks that saw neither the studies nor the held-out ones (needs lumbar[train]).

    python recipes/severity/axial_teachers.py ../shared/data/rsna2024 RUNS FORAMINA --fold 0     # `axial_experiments.py train … soft-labels` needs them

The packaged networks of the other folds were trained on the studies that fold 0 holds out, and so their predictions would carry these labels into its
training. Therefore a network is trained here for each other fold, on the studies of the remaining three, and predicts that fold. It starts from the
encoder of the foraminal network of the held-out fold (FORAMINA, see `foramina.py`), which was trained on grades of sagittal T1 alone.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lumbar.datasets.axial_crops import AxialCrop, read_crop_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.metrics.calibration import reweighted
from lumbar.metrics.classification import row_log_losses
from lumbar.severity.axial.data import level_numbers, stored_images, targets
from lumbar.severity.axial.network_input import network_input
from lumbar.severity.learn.axial.ensemble import FoldOptions, split
from lumbar.severity.learn.axial.network import Hybrid
from lumbar.severity.learn.axial.train import LabelledCrops, SeverityModule, SeverityTraining, default_training, train
from lumbar.severity.learn.foramina.out_of_fold import KIND as FORAMEN_KIND
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fit import LAST, averaged_weights
from lumbar.training.fold_runs import FoldRuns

HELD_BACK = ("100206310",)  # the study with images: left out of training, so that it can serve for evaluation
WIDE = (32, 48, 96, 160)  # channels of the encoder of the foraminal networks
STEPS = 300
AT_ONCE = 8  # studies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with axial_crops.csv, axial_crops/ and train.csv")
    parser.add_argument("runs", type=Path, help="folder of all experiments")
    parser.add_argument("foramina", type=Path, help="folder of the foraminal folds")
    parser.add_argument("--fold", type=int, default=0, help="fold whose training studies get soft labels")
    parser.add_argument("--parts", type=int, nargs="*", help="predict only these other folds (default: all)")
    arguments = parser.parse_args()
    images = arguments.data / "axial_crops"
    crops = [crop for crop in read_crop_table(arguments.data / "axial_crops.csv") if (images / crop.file).is_file()]
    labels = targets(crops, read_grades(arguments.data / "train.csv"))
    folds = fold_numbers(crops, labels, arguments.foramina, arguments.fold)
    data = LabelledCrops(cut(crops, arguments.data, arguments.runs), level_numbers(crops), np.array([crop.study_id for crop in crops]), labels)
    for part in arguments.parts or [other for other in range(FoldOptions().folds) if other != arguments.fold]:
        teach(data, folds, arguments, part)


def fold_numbers(crops: Sequence[AxialCrop], labels: np.ndarray, foramina: Path, fold: int) -> np.ndarray:
    """(n,) fold of each crop; the foraminal networks must hold out the same studies in `fold`."""
    fold_of = split(crops, labels, FoldOptions())
    elsewhere = FoldRuns(foramina, FORAMEN_KIND).splits()
    seen = [study for study, own in fold_of.items() if own == fold and elsewhere.get(study, fold) != fold]
    if seen:
        raise SystemExit(f"the foraminal network of fold {fold} was trained on {len(seen)} of the studies held out here; train it with the same split")
    return np.array([fold_of[crop.study_id] for crop in crops])


def teach(data: LabelledCrops, folds: np.ndarray, arguments: argparse.Namespace, part: int) -> None:
    """Train a network on the studies outside of the held-out fold and of `part`, and write its predictions for `part`."""
    path = predicted_path(arguments.runs, arguments.fold, part)
    if path.is_file():
        return
    config = settings(FoldOptions().seed + 10 * arguments.fold + part)
    own = ~np.isin(folds, (arguments.fold, part)) & ~np.isin(data.studies, HELD_BACK)
    start = SeverityModule(config)
    load_t1_encoder(start.network, arguments.foramina, arguments.fold)
    module = train(data.subset(own), path.parent / f"part{part}", config, None, start.state_dict())
    there = folds == part
    predicted = probabilities(module.network.eval(), data.subset(there))
    np.save(path, predicted)
    losses = [quality(predicted[:, places], data.targets[there][:, places]) for places in ([0], [3, 4])]
    print(f"fold {part} by a network trained on {int(own.sum())} crops: canal {losses[0]:.3f}, recesses {losses[1]:.3f}", flush=True)


def settings(seed: int) -> SeverityTraining:
    """Options of the training."""
    usual = default_training("hybrid", STEPS, threads=1)
    network = replace(usual.network, features=WIDE)
    return replace(usual, network=network, fit=replace(usual.fit, seed=seed, checkpoint_every=100, average_decay=0.98), learning_rate=1.5e-3)


def probabilities(network: torch.nn.Module, data: LabelledCrops) -> np.ndarray:
    """(n, 5, 3) probabilities of the network, one view."""
    names = np.unique(data.studies)
    result = np.empty((len(data.studies), 5, 3), np.float32)
    for start in range(0, len(names), AT_ONCE):
        rows = np.flatnonzero(np.isin(data.studies, names[start : start + AT_ONCE]))
        images = torch.from_numpy(np.stack([network_input(np.asarray(data.images[row])) for row in rows]))
        owners = torch.from_numpy(np.searchsorted(names, data.studies[rows]))
        with torch.no_grad():
            result[rows] = network(images, torch.from_numpy(data.levels[rows]), owners).softmax(-1).numpy()
    return result


def quality(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Weighted log loss."""
    y, p = labels.ravel(), predicted.reshape(-1, 3)
    known = y >= 0
    return float(np.average(row_log_losses(p[known].astype(np.float64), y[known]), weights=np.array(GRADE_WEIGHTS)[y[known]]))


def read_predicted(runs: Path, folds: np.ndarray, fold: int) -> np.ndarray:
    """(n, 5, 3) soft labels of the crops in `folds` (n,), NaN where none were predicted, as for those held out in `fold`.

    A network trained on the weighted loss predicts probabilities times the weights of the grades. They are divided by the weights, as the loss of the
    training with soft labels multiplies by them again.
    """
    result = np.full((len(folds), 5, 3), np.nan, np.float32)
    parts = [part for part in np.unique(folds[folds != fold]).tolist() if predicted_path(runs, fold, part).is_file()]
    if not parts:
        raise SystemExit(f"{runs} has no soft labels for fold {fold}; run axial_teachers.py first")
    for part in parts:
        result[folds == part] = reweighted(np.load(predicted_path(runs, fold, part)), 1 / np.array(GRADE_WEIGHTS))
    return result


def predicted_path(runs: Path, fold: int, part: int) -> Path:
    """File of the predictions for the studies of `part` with `fold` held out."""
    return runs / "teachers" / f"fold{fold}" / f"{part}.npy"


def load_t1_encoder(network: Hybrid, foramina: Path, fold: int) -> None:
    """Load the encoder of the foraminal network of `fold`; the slice of the disc counts twice as much as each neighbour."""
    prefix = "network.encoder."
    trained = averaged_weights(FoldRuns(foramina, FORAMEN_KIND).path(fold) / LAST)
    weights = {name.removeprefix(prefix): value for name, value in trained.items() if name.startswith(prefix)}
    weights["stem.0.weight"] = weights["stem.0.weight"] * torch.tensor([0.25, 0.5, 0.25])[:, None, None]
    network.encoder.load_state_dict(weights)


def cut(crops: Sequence[AxialCrop], data: Path, runs: Path) -> np.ndarray:
    """(n, 112, 160, 3) images, cut once and kept in the folder of the experiments."""
    cache = runs / "images.npy"
    if not cache.is_file():
        np.save(cache, stored_images(crops, data / "axial_crops"))
    return np.load(cache)


if __name__ == "__main__":
    main()
