"""Canal and recess grades from axial crops: trains five folds by study and prints the out-of-fold table.

python recipes/severity_axial_crops.py train    ../shared/data/rsna2024 runs/severity    # resumes where it was killed
python recipes/severity_axial_crops.py evaluate ../shared/data/rsna2024 runs/severity    # prints the table from the saved folds
python recipes/severity_axial_crops.py pack     ../shared/data/rsna2024 runs/severity -o models/severity-axial-crops
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lumbar.datasets.axial_crops import AxialCrop, read_crop_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.severity.crops import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.data import level_numbers, stored_pictures, targets
from lumbar.severity.folds import assign_folds
from lumbar.severity.network import NetworkOptions
from lumbar.severity.train import LabelledCrops, SeverityTraining, train
from lumbar.training.export import export_onnx

FOLDS = 5
SEED = 20240717
HELD_BACK = ("100206310",)  # the study that comes with its images: never trained on, so that grading it stays honest


def main() -> None:
    arguments = parse()
    if arguments.action == "train":
        for fold in arguments.folds:
            train_fold(arguments, fold)


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


if __name__ == "__main__":
    main()
