"""Cross-validated training of the axial crop grader, and the model folder of its ensemble (needs lumbar[train])."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lumbar.datasets.axial_crops import AxialCrop
from lumbar.domain.anatomy import Condition, Severity
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.severity.axial.data import level_numbers, stored_images
from lumbar.severity.axial.grader import CROPS, LEVELS, LOGITS, STUDIES, TASK
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.learn.axial.out_of_fold import HEADLINES, OutOfFold, PartFigures
from lumbar.severity.learn.axial.train import LabelledCrops, SeverityTraining, train
from lumbar.severity.learn.calibrate import COVERAGE, as_parameters, fit_calibration
from lumbar.training.eight_bit import store_eight_bit
from lumbar.training.export import export_onnx
from lumbar.training.fit import LAST, averaged_weights
from lumbar.training.fold_runs import NETWORK, FoldRuns
from lumbar.training.folds import assign_folds

VERSION = "4"  # of the packed model
HEADS = "heads"  # in the record of a fold whose network has heads
HEADS_TEXT = " Heads on their frozen features correct canals and recesses by the levels above and below."
_IMAGES = "images.npy"


@dataclass(frozen=True)
class FoldOptions:
    """How studies are split."""

    folds: int = 5
    seed: int = 20240717
    held_back: tuple[str, ...] = ()  # studies left out of all training
    start: Path | None = None  # folder of an earlier training with the same splits, whose networks initialise the folds
    stopping_parts: int = 0  # early stopping on one of this many parts of the training studies; 0: none, training on all for all steps


def split(crops: Sequence[AxialCrop], targets: NDArray[np.int64], options: FoldOptions) -> dict[str, int]:
    """Study → fold, stratified by severely affected studies."""
    burden: dict[str, float] = {}
    for crop, row in zip(crops, targets, strict=True):
        burden[crop.study_id] = max(burden.get(crop.study_id, 0.0), float(row.max())) + 0.001 * float(np.maximum(row, 0).sum())
    return assign_folds(burden, options.folds, options.seed)


def train_fold(
    crops: Sequence[AxialCrop],
    targets: NDArray[np.int64],
    images: Path,
    runs: Path,
    fold: int,
    *,
    config: SeverityTraining,
    options: FoldOptions,
    beside: LabelledCrops | None = None,
) -> Path:
    """Train one fold on the studies of the others and export it to `runs`; an existing fold is kept, and an interrupted one resumes.

    Crops `beside` are of other studies, such as synthetic ones: they are used for training in every fold and for evaluation in none.
    """
    fold_runs = FoldRuns(runs, config.network.kind)
    fold_of = split(crops, targets, options)
    start = FoldRuns(options.start, config.network.kind) if options.start else None
    if start:
        start.check_splits(fold_of)
    config = replace(config, fit=replace(config.fit, seed=options.seed + fold))

    def training(folder: Path) -> dict[str, object] | None:
        fold_runs.keep_splits(fold_of)
        data = LabelledCrops(_images(crops, images, runs), level_numbers(crops), np.array([c.study_id for c in crops]), targets)
        chosen = np.array([fold_of[c.study_id] != fold and c.study_id not in options.held_back for c in crops])
        own, aside = _set_aside(data.subset(chosen), options)
        own = own.joined(beside) if beside is not None else own
        module = train(own, folder, config, aside, averaged_weights(start.path(fold) / LAST) if start else None)
        if module.global_rank:  # worker process of distributed training
            return None
        return {"difference": export_network(module.network, folder / NETWORK), "config": str(config)}

    return fold_runs.train(fold, training, config.fit.steps)


def _set_aside(data: LabelledCrops, options: FoldOptions) -> tuple[LabelledCrops, LabelledCrops | None]:
    """The training crops, and those of the studies for early stopping."""
    if not options.stopping_parts:
        return data, None
    burden = {name: float(data.targets[data.studies == name].max()) for name in np.unique(data.studies).tolist()}
    part_of = assign_folds(burden, options.stopping_parts, options.seed + 1)
    aside = np.array([part_of[name] == 0 for name in data.studies.tolist()])
    return data.subset(~aside), data.subset(aside)


def export_network(network: torch.nn.Module, path: Path) -> float:
    """Write `network` as ONNX with 16-bit weights; the largest difference to PyTorch."""
    generator = torch.Generator().manual_seed(0)
    example = {
        CROPS: torch.randn(7, 3, CROP_ROWS, CROP_COLUMNS, generator=generator),
        LEVELS: torch.tensor([0, 1, 2, 3, 4, 3, 4]),
        STUDIES: torch.tensor([0, 0, 0, 0, 0, 1, 1]),
    }
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return export_onnx(network, example, path, (LOGITS,), dynamic={name: {0: "n"} for name in example}, tolerance=0.05, half=True)


def write_ensemble(folder: Path, runs: Path, kind: str, oof: OutOfFold, measured: dict[str, PartFigures], data: tuple[TrainingData, ...]) -> Card:
    """Write the networks of all trained folds to `folder`, with the calibration fitted on `oof` and the figures `measured`; returns the card."""
    trained, folds = FoldRuns(runs, kind), np.unique(oof.folds).tolist()
    difference = trained.pack(folds, folder, store_eight_bit)
    networks = f"{kind} networks trained on the folds of a cross-validation by study." + (HEADS_TEXT if HEADS in trained.record(folds[0]) else "")
    studies = len({crop.study_id for crop in oof.crops})
    where = f"out of fold, {len(oof.crops)} real crops of {studies} studies, one network each"
    names = ("loss", "prior", "auc_severe", "kappa", "ece", "coverage")
    results = tuple(
        Result(part, name, round(asdict(values)[name], 4), where, headline=(part, name) in HEADLINES) for part, values in measured.items() for name in names
    )
    parameters = {"calibration": as_parameters(fit_calibration(oof.raw, oof.targets)), "conformal_coverage": COVERAGE}
    return write_card(folder, _card(networks, parameters, results, data, difference))


def _card(networks: str, parameters: dict[str, object], results: tuple[Result, ...], data: tuple[TrainingData, ...], difference: float) -> Card:
    crop = "three neighbouring axial T2 slices, zero mean and unit variance, the patient's left at the right edge"
    return Card(
        name="severity-axial-crops",
        version=VERSION,
        task=TASK,
        description=f"Spinal canal, subarticular and, less surely, foraminal stenosis on axial T2 crops at disc level: an ensemble of {networks}"
        " Losses are weighted 1, 2, 4 as in the official score of RSNA 2024.",
        intended_use="Research on graded lumbar MRI. Not a medical device; not for decisions about patients.",
        inputs=(
            TensorSpec(CROPS, ("n", 3, CROP_ROWS, CROP_COLUMNS), crop),
            TensorSpec(LEVELS, ("n",), "0 for L1/L2 to 4 for L5/S1"),
            TensorSpec(STUDIES, ("n",), "equal numbers for crops of one study"),
        ),
        outputs=(TensorSpec(LOGITS, ("n", 5, 3), "conditions as in parameters.conditions, grades as in classes"),),
        classes=tuple(severity.value for severity in Severity),
        training_data=data,
        results=results,
        research_only=True,
        export_difference=difference,
        parameters={"conditions": [c.value for c in Condition], **parameters},
    )


def _images(crops: Sequence[AxialCrop], images: Path, runs: Path) -> NDArray[np.uint8]:
    """The stored images, decoded once and then mapped from disk."""
    cache = runs / _IMAGES
    if not cache.exists():
        draft = cache.with_suffix(f".{os.getpid()}.npy")  # folds that are trained side by side write it at the same time
        np.save(draft, stored_images(crops, images))
        draft.replace(cache)
    stored: NDArray[np.uint8] = np.load(cache, mmap_mode="r")
    return stored
