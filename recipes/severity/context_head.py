"""Level context on frozen features: a small head per fold corrects the packaged axial grades by the crops above and below (needs lumbar[train]).

    python recipes/severity/context_head.py features ../shared/data/rsna2024 RUNS [--folds 0 1]     # features of the packaged networks, about a minute a fold
    python recipes/severity/context_head.py table ../shared/data/rsna2024 RUNS                      # several heads on all folds that have features
    python recipes/severity/context_head.py export ../shared/data/rsna2024 RUNS                     # networks with heads, for `axial_crops.py pack`

Each head is trained on features of the studies that its network was trained on, under augmentation, and evaluated on the held-out fold with five views
of the stored images. `features` and `export` start from the packaged networks without their heads, so that a second run gives the same again.

Measured on 2,397 crops of 455 studies (uncalibrated; change with 95 % interval by study), three heads averaged:

    packaged without heads          canal 0.3448                                recesses 0.6193
    4 epochs                        canal 0.3376 -0.0072 (-0.0130 to -0.0014)   recesses 0.6164 -0.0029 (-0.0056 to -0.0002)
    8 epochs                        canal 0.3389 -0.0059 (-0.0124 to +0.0008)   recesses 0.6158 -0.0035 (-0.0069 to -0.0001)
    12 epochs                       canal 0.3399 -0.0049 (-0.0122 to +0.0025)   recesses 0.6143 -0.0050 (-0.0088 to -0.0011)
    wider, more dropout, 12 epochs  canal 0.3404 -0.0044 (-0.0114 to +0.0026)   recesses 0.6157 -0.0036 (-0.0073 to +0.0002)

Two heads of 4 epochs are packaged (0.25 MB more a network): canal 0.3376 -0.0072 (-0.0131 to -0.0014), recesses 0.6162 -0.0031 (-0.0057 to -0.0005). The
setting was chosen on the same folds among four, so these gains are a little optimistic.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lumbar.datasets.axial_crops import read_crop_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import row_log_losses
from lumbar.models.registry import find_folder
from lumbar.severity.axial.data import level_numbers, stored_images, targets
from lumbar.severity.axial.grader import TASK
from lumbar.severity.axial.network_input import VIEWS, network_input
from lumbar.severity.learn.axial.augment import FULL_SIZE, CropAugmentOptions, augment
from lumbar.severity.learn.axial.context import ContextHead, Corrected, FrozenCrops, HeadOptions, corrected, fit_head
from lumbar.severity.learn.axial.ensemble import HEADS as HEADS_ENTRY
from lumbar.severity.learn.axial.ensemble import FoldOptions, export_network, split
from lumbar.severity.learn.axial.network import Hybrid, NetworkOptions
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fold_runs import NETWORK, PREDICTIONS, FoldRuns, write_record
from lumbar.training.onnx_weights import load_exported

HELD_BACK = ("100206310",)  # the study with images: left out of training, so that it can serve for evaluation
DRAWS = 4  # of augmentation
AT_ONCE = 12  # studies
HEADS = 2  # trained from different seeds and averaged; each adds 0.13 MB to a network
AUGMENT = CropAugmentOptions(mirror_probability=0.0, erase_probability=0.0, noise=0.08)
TRIED = {
    "4 epochs": HeadOptions(),
    "8 epochs": HeadOptions(epochs=8),
    "12 epochs": HeadOptions(epochs=12),
    "wider, more dropout, 12 epochs": HeadOptions(hidden=128, dropout=0.5, weight_decay=0.3, epochs=12),
}
SHIPPED = "4 epochs"
PARTS = {"canal": (0,), "recesses": (3, 4)}


@dataclass(frozen=True, eq=False)
class Crops:
    """All axial crops."""

    images: np.ndarray  # (n, 112, 160, 3)
    labels: torch.Tensor  # (n, 5)
    levels: torch.Tensor  # (n,)
    studies: torch.Tensor  # (n,) numbers
    folds: np.ndarray  # (n,)
    trained: np.ndarray  # (n,) False for studies left out of all training
    fold_of: dict[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["features", "table", "export"])
    parser.add_argument("data", type=Path, help="folder with axial_crops.csv, axial_crops/ and train.csv")
    parser.add_argument("runs", type=Path, help="folder of the features")
    parser.add_argument("--folds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    crops = read(arguments.data, arguments.runs)
    if arguments.action == "features":
        for fold in arguments.folds:
            save_features(crops, fold, arguments.runs / f"features{fold}.pt")
    if arguments.action == "table":
        table(crops, arguments.runs)
    if arguments.action == "export":
        for fold in arguments.folds:
            export(crops, fold, arguments.runs)


def read(data: Path, runs: Path) -> Crops:
    """All crops; their images are cached in `runs`."""
    crops = [crop for crop in read_crop_table(data / "axial_crops.csv") if (data / "axial_crops" / crop.file).is_file()]
    cache = runs / "images.npy"
    if not cache.is_file():
        np.save(cache, stored_images(crops, data / "axial_crops"))
    labels = targets(crops, read_grades(data / "train.csv"))
    fold_of = split(crops, labels, FoldOptions())
    names, numbers = np.unique([crop.study_id for crop in crops], return_inverse=True)
    folds = np.array([fold_of[crop.study_id] for crop in crops])
    trained = ~np.isin(names, HELD_BACK)[numbers]
    tensors = (torch.from_numpy(values) for values in (labels, level_numbers(crops), numbers))
    return Crops(np.load(cache, mmap_mode="r"), *tensors, folds, trained, fold_of)


def save_features(crops: Crops, fold: int, path: Path) -> None:
    """Features of the packaged network of `fold`: `DRAWS` draws of the training crops, and the five views of the held-out ones."""
    if path.is_file():
        return
    network = packaged(fold)
    held = np.flatnonzero(crops.folds == fold)
    training = np.flatnonzero((crops.folds != fold) & crops.trained)
    draws = [frozen(network, crops, training, torch.Generator().manual_seed(draw), 0) for draw in range(DRAWS)]
    views = [frozen(network, crops, held, None, view) for view in range(VIEWS)]
    kept = {"held": held, "training": training, "draws": [vars(one) for one in draws], "views": [vars(one) for one in views]}
    torch.save(kept, path)
    print(f"{path}: {len(training)} training and {len(held)} held-out crops", flush=True)


def packaged(fold: int) -> Hybrid:
    """The packaged network of `fold`, without its heads."""
    network = Hybrid(NetworkOptions())
    load_exported(network, find_folder(TASK) / f"fold{fold}.onnx")
    return network.eval()


def frozen(network: Hybrid, crops: Crops, rows: np.ndarray, generator: torch.Generator | None, view: int) -> FrozenCrops:
    """Features and logits of the crops `rows`, augmented with `generator`, or in one of the views of test-time augmentation."""
    studies = crops.studies[rows]
    parts = []
    for names in torch.split(torch.unique(studies), AT_ONCE):
        own = rows[torch.isin(studies, names).numpy()]
        if generator is None:
            x = torch.from_numpy(np.stack([network_input(np.asarray(crops.images[row]), view) for row in own]))
        else:
            stored = torch.from_numpy(np.stack([crops.images[row] for row in own])).permute(0, 3, 1, 2).float() / 255
            x, _ = augment(stored, crops.labels[own], AUGMENT, generator, FULL_SIZE)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=generator is not None):
            left, right = network.sides(x)
            logits = network.grade(left, right, crops.levels[own], crops.studies[own])
        parts.append((torch.from_numpy(own), left.float(), right.float(), logits.float()))
    order, left, right, logits = (torch.cat(values) for values in zip(*parts, strict=True))
    back = torch.argsort(order)
    return FrozenCrops(left[back], right[back], logits[back], crops.levels[rows], studies)


def table(crops: Crops, runs: Path) -> None:
    """Print the held-out losses of all heads in `TRIED`."""
    folds = [fold for fold in range(FoldOptions().folds) if (runs / f"features{fold}.pt").is_file()]
    grades = {name: np.full((len(crops.folds), 5, 3), np.nan) for name in ("packaged", *TRIED)}
    for fold in folds:
        kept = torch.load(runs / f"features{fold}.pt", weights_only=False)
        draws, views = ([FrozenCrops(**one) for one in kept[name]] for name in ("draws", "views"))
        held, labels = kept["held"], crops.labels[kept["training"]]
        grades["packaged"][held] = np.mean([view.logits.softmax(-1).numpy() for view in views], axis=0)
        for name, options in TRIED.items():
            heads = [fit_head(draws, labels, torch.arange(len(labels)), options, seed) for seed in range(HEADS)]
            grades[name][held] = predictions(heads, views)
        rows = np.isin(crops.folds, folds[: folds.index(fold) + 1])
        print(f"folds {folds[: folds.index(fold) + 1]}, {int(rows.sum())} crops, change by the head with 95 % interval by study", flush=True)
        for name, raw in grades.items():
            print(f"  {name:<32}" + "   ".join(change(crops, rows, raw, grades["packaged"], places, part) for part, places in PARTS.items()), flush=True)
    np.savez(runs / "held_out.npz", **grades)


def predictions(heads: Sequence[ContextHead], views: Sequence[FrozenCrops]) -> np.ndarray:
    """(n, 5, 3) mean probabilities over the views, as `axial.grader` averages them."""
    with torch.no_grad():
        return np.mean([corrected(heads, view).softmax(-1).numpy().astype(np.float64) for view in views], axis=0)


def export(crops: Crops, fold: int, runs: Path) -> None:
    """Write the packaged network of `fold` with its heads, and its held-out predictions, in the folder that `axial_crops.py` expects."""
    kept = torch.load(runs / f"features{fold}.pt", weights_only=False)
    labels = crops.labels[kept["training"]]
    draws, views = ([FrozenCrops(**one) for one in kept[name]] for name in ("draws", "views"))
    heads = [fit_head(draws, labels, torch.arange(len(labels)), TRIED[SHIPPED], seed) for seed in range(HEADS)]
    trained = FoldRuns(runs, "hybrid")
    trained.keep_splits(crops.fold_of)
    folder = trained.path(fold)
    folder.mkdir(exist_ok=True)
    network = Corrected(NetworkOptions(), heads)
    network.load_state_dict(packaged(fold).state_dict(), strict=False)  # all but the heads
    difference = export_network(network.eval(), folder / NETWORK)
    np.save(folder / PREDICTIONS, predictions(heads, views))
    write_record(folder, {"difference": difference, HEADS_ENTRY: HEADS, "options": str(TRIED[SHIPPED])})
    print(f"{folder / NETWORK}: differs by {difference:.2g}", flush=True)


def change(crops: Crops, rows: np.ndarray, after: np.ndarray, before: np.ndarray, places: tuple[int, ...], part: str) -> str:
    """Weighted log loss (five views, uncalibrated) of a part, and its difference to that before."""
    y = np.concatenate([crops.labels.numpy()[rows, place] for place in places])
    owner = np.tile(np.unique(crops.studies.numpy()[rows], return_inverse=True)[1], len(places))
    known = y >= 0
    weights = np.array(GRADE_WEIGHTS)[y[known]]
    sums = [
        np.bincount(owner[known], weights * row_log_losses(np.concatenate([raw[rows, place] for place in places])[known], y[known])) for raw in (after, before)
    ]
    total = np.bincount(owner[known], weights)
    difference = sums[0] - sums[1]
    interval = bootstrap_interval(lambda drawn: float(difference[drawn].sum() / total[drawn].sum()), np.arange(len(total)))
    return f"{part} {sums[0].sum() / total.sum():.4f} {difference.sum() / total.sum():+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


if __name__ == "__main__":
    main()
