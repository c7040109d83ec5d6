"""Canal and recess grades from axial crops: trains five folds by study and prints the out-of-fold table.

python recipes/severity_axial_crops.py train    ../shared/data/rsna2024 runs/severity    # resumes where it was killed
python recipes/severity_axial_crops.py evaluate ../shared/data/rsna2024 runs/severity    # prints the table from the saved folds
python recipes/severity_axial_crops.py pack     ../shared/data/rsna2024 runs/severity -o models/severity-axial-crops
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from lumbar.datasets.axial_crops import AxialCrop, read_crop_table, read_picture
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.domain.anatomy import Condition, Severity
from lumbar.io.staging import staged_folder
from lumbar.metrics.calibration import expected_calibration_error, reliability
from lumbar.metrics.classification import confusion_matrix, quadratic_kappa, roc_auc, weighted_log_loss
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import Model, write_card
from lumbar.models.runtime import Network
from lumbar.severity.calibrate import COVERAGE, as_parameters, crossfitted, fit_calibration
from lumbar.severity.crops import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.data import level_numbers, stored_pictures, targets
from lumbar.severity.folds import assign_folds
from lumbar.severity.grader import TASK, raw_probabilities
from lumbar.severity.network import NetworkOptions
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.severity.train import LabelledCrops, SeverityTraining, train
from lumbar.training.export import export_onnx

WEIGHTS = np.array(GRADE_WEIGHTS)
FOLDS = 5
SEED = 20240717
HELD_BACK = ("100206310",)  # the study that comes with its images: never trained on, so that grading it stays honest


def main() -> None:
    arguments = parse()
    if arguments.action == "train":
        for fold in arguments.folds:
            train_fold(arguments, fold)
    elif arguments.action == "evaluate":
        print_table(out_of_fold(arguments))
    else:
        pack(arguments, out_of_fold(arguments))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "evaluate", "pack"])
    parser.add_argument("data", type=Path, help="folder with axial_crops.csv, axial_crops/ and train.csv")
    parser.add_argument("runs", type=Path, help="folder of checkpoints, splits and networks")
    parser.add_argument("--kind", default="hybrid", choices=["hybrid", "vit"])
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="model folder that `pack` writes")
    return parser.parse_args()


def usable_crops(data: Path) -> list[AxialCrop]:
    return [crop for crop in read_crop_table(data / "axial_crops.csv") if (data / "axial_crops" / crop.file).exists()]


def splits(crops: list[AxialCrop], labels: np.ndarray) -> dict[str, int]:
    burden: dict[str, float] = {}
    for crop, row in zip(crops, labels, strict=True):
        burden[crop.study_id] = max(burden.get(crop.study_id, 0), float(row.max())) + 0.001 * np.maximum(row, 0).sum()
    return assign_folds(burden, FOLDS, SEED)


def train_fold(arguments: argparse.Namespace, fold: int) -> None:
    folder = arguments.runs / f"{arguments.kind}_fold{fold}"
    target = folder / "model.onnx"
    if target.exists():
        print(f"{target} is there, fold {fold} is not trained again")
        return
    crops = usable_crops(arguments.data)
    labels = targets(crops, read_grades(arguments.data / "train.csv"))
    fold_of = splits(crops, labels)
    folder.mkdir(parents=True, exist_ok=True)
    (arguments.runs / "splits.json").write_text(json.dumps(fold_of, indent=1))
    data = LabelledCrops(stored(arguments, crops), level_numbers(crops), np.array([c.study_id for c in crops]), labels)
    chosen = np.array([fold_of[c.study_id] != fold and c.study_id not in HELD_BACK for c in crops])
    config = SeverityTraining(network=NetworkOptions(kind=arguments.kind))
    config = replace(config, fit=replace(config.fit, steps=arguments.steps, threads=arguments.threads, seed=SEED + fold))
    begun = time.monotonic()
    module = train(data.subset(chosen), folder, config)
    print(f"fold {fold}: {chosen.sum()} crops, {arguments.steps} steps in {(time.monotonic() - begun) / 60:.1f} minutes", flush=True)
    difference = export_network(module.network, target)
    print(f"fold {fold}: largest |ONNX − PyTorch| {difference:.2g}", flush=True)
    (folder / "export.json").write_text(json.dumps({"difference": difference, "config": str(config)}))


def stored(arguments: argparse.Namespace, crops: list[AxialCrop]) -> np.ndarray:
    cache = arguments.runs / "pictures.npy"
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.save(cache, stored_pictures(crops, arguments.data / "axial_crops"))
    return np.load(cache, mmap_mode="r")


def export_network(network: torch.nn.Module, path: Path) -> float:
    generator = torch.Generator().manual_seed(0)
    example = {
        "crops": torch.randn(7, 3, CROP_ROWS, CROP_COLUMNS, generator=generator),
        "levels": torch.tensor([0, 1, 2, 3, 4, 3, 4]),
        "studies": torch.tensor([0, 0, 0, 0, 0, 1, 1]),
    }
    network = network.to(memory_format=torch.contiguous_format)
    return export_onnx(network, example, path, ("logits",), dynamic={name: {0: "crops"} for name in example}, tolerance=0.05, half=True)


@dataclass(frozen=True)
class OutOfFold:
    """Crops with raw grades from networks that had not seen their studies."""

    crops: list[AxialCrop]  # of the folds that are trained
    targets: np.ndarray  # (n, 5)
    raw: np.ndarray  # (n, 5, 3) from the network that has not seen the study
    folds: np.ndarray  # (n,)


def out_of_fold(arguments: argparse.Namespace) -> OutOfFold:
    crops = usable_crops(arguments.data)
    labels = targets(crops, read_grades(arguments.data / "train.csv"))
    fold_of = json.loads((arguments.runs / "splits.json").read_text())
    folds = np.array([fold_of[crop.study_id] for crop in crops])
    raw = np.full((len(crops), 5, 3), np.nan)
    for fold in arguments.folds:
        folder = arguments.runs / f"{arguments.kind}_fold{fold}"
        if not (folder / "model.onnx").exists():
            continue
        own = np.flatnonzero(folds == fold)
        if not (folder / "held_out.npy").exists():
            network = Network((folder / "model.onnx").read_bytes(), f"fold {fold}", arguments.threads)
            model = Model(folder, card({}, (), 0.0), (network,), "")
            chosen = [crops[i] for i in own]
            pictures = [read_picture(arguments.data / "axial_crops" / crop.file) for crop in chosen]
            np.save(folder / "held_out.npy", raw_probabilities(model, pictures, [c.level for c in chosen], [c.study_id for c in chosen]))
        raw[own] = np.load(folder / "held_out.npy")
    there = np.isfinite(raw[:, 0, 0])
    return OutOfFold([crop for crop, is_in in zip(crops, there, strict=True) if is_in], labels[there], raw[there], folds[there])


def print_table(oof: OutOfFold) -> dict[str, dict[str, float]]:
    """Print and return the out-of-fold figures; temperatures and conformal thresholds are fitted on the other folds."""
    several = len(np.unique(oof.folds)) > 1
    grades, sets = crossfitted(oof.raw, oof.targets, oof.folds) if several else (None, None)
    levels = level_numbers(oof.crops)
    result = {}
    studies = len({crop.study_id for crop in oof.crops})
    print(f"{len(oof.crops)} crops of {studies} studies, each graded by a network that has not seen it (folds {np.unique(oof.folds).tolist()})")
    for name, places in (("canal", (0,)), ("foramen", (1, 2)), ("left recess", (3,)), ("right recess", (4,)), ("recess", (3, 4))):
        y = np.concatenate([oof.targets[:, p] for p in places])
        known = y >= 0
        y = y[known]
        where = np.tile(levels, len(places))[known]
        fold = np.tile(oof.folds, len(places))[known]

        def rows(p: np.ndarray, places: tuple[int, ...] = places, known: np.ndarray = known) -> np.ndarray:
            return np.concatenate([p[:, place] for place in places])[known]

        raw = rows(oof.raw)
        figures = {"prior": weighted_log_loss(level_prior(y, where, fold), y, WEIGHTS), "loss": weighted_log_loss(raw, y, WEIGHTS)}
        if grades is not None and sets is not None:
            metric, clinical, held = rows(grades.metric), rows(grades.clinical), rows(sets)
            confusion = confusion_matrix(clinical.argmax(1), y, 3)
            figures |= {
                "calibrated loss": weighted_log_loss(metric, y, WEIGHTS),
                "accuracy": float((clinical.argmax(1) == y).mean()),
                "commonest": float(np.bincount(y).max() / len(y)),
                "kappa": quadratic_kappa(confusion),
                "AUC severe": roc_auc(clinical[:, 2], y == 2),
                "ECE": expected_calibration_error(reliability(clinical, y)),
                "coverage": float(held[np.arange(len(y)), y].mean()),
                "set size": float(held.sum(1).mean()),
            }
        result[name] = figures
        print(f"{name:<13}" + "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
    losses = [np.mean([result[side]["calibrated loss" if several else "loss"] for side in ("left recess", "right recess")])]
    print(f"mean of left and right recess: {losses[0]:.3f}")
    return result


def level_prior(y: np.ndarray, levels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Shares of the grades at each level in the other folds, times the weights."""
    result = np.empty((len(y), 3))
    for fold in np.unique(folds):
        for level in range(5):
            others = y[(folds != fold) & (levels == level)] if len(np.unique(folds)) > 1 else y[levels == level]
            shares = np.bincount(others, minlength=3) * WEIGHTS
            result[(folds == fold) & (levels == level)] = shares / shares.sum()
    return result


def card(parameters: dict, results: tuple[Result, ...], difference: float) -> Card:
    return Card(
        name="severity-axial-crops",
        version="1",
        task=TASK,
        description="Spinal canal, subarticular and (less surely) foraminal stenosis on axial T2 crops at disc level: five residual networks of"
        " 1.4 M weights with attention over the crops of a study; left and right share all weights by mirroring.",
        intended_use="Research on graded lumbar MRI. Not a medical device; not for decisions about patients.",
        inputs=(
            TensorSpec(
                "crops",
                ("crops", 3, CROP_ROWS, CROP_COLUMNS),
                "three neighbouring axial T2 slices, zero mean and unit variance, the patient's left at the right edge",
            ),
            TensorSpec("levels", ("crops",), "0 for L1/L2 to 4 for L5/S1"),
            TensorSpec("studies", ("crops",), "equal numbers for crops of one study"),
        ),
        outputs=(
            TensorSpec("logits", ("crops", 5, 3), "conditions in the order of parameters.conditions; grades as in classes; trained with weights 1, 2, 4"),
        ),
        classes=tuple(severity.value for severity in Severity),
        training_data=(
            TrainingData(
                "RSNA 2024 lumbar spine degenerative classification, axial crops of 454 studies by takanami12",
                "trained on RSNA 2024 data, non-commercial research only",
                "each of the five networks saw four fifths of the studies; study 100206310 was seen by none",
            ),
        ),
        results=results,
        research_only=True,
        export_difference=difference,
        parameters={"conditions": [c.value for c in Condition], **parameters},
    )


def pack(arguments: argparse.Namespace, oof: OutOfFold) -> None:
    """Write the model folder: the networks of all folds, the calibration, and the figures of the table."""
    figures = print_table(oof)
    data = f"out of fold, {len(oof.crops)} real crops of {len({c.study_id for c in oof.crops})} studies, one network each"
    wanted = ("calibrated loss", "prior", "AUC severe", "kappa", "ECE", "coverage")
    results = tuple(Result(f"{name}: {key}", round(values[key], 4), data) for name, values in figures.items() for key in wanted)
    parameters = {"calibration": as_parameters(fit_calibration(oof.raw, oof.targets)), "conformal_coverage": COVERAGE}
    with staged_folder(arguments.out, overwrite=False) as folder:
        differences = []
        for fold in arguments.folds:
            source = arguments.runs / f"{arguments.kind}_fold{fold}"
            (folder / f"fold{fold}.onnx").write_bytes((source / "model.onnx").read_bytes())
            differences.append(json.loads((source / "export.json").read_text())["difference"])
        write_card(folder, card(parameters, results, max(differences)))
    print(f"{arguments.out}: {sum(p.stat().st_size for p in arguments.out.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
