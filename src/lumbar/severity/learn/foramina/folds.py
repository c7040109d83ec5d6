"""Cross-validated training of the foraminal grader (needs lumbar[train])."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.foramina.grader import CROPS, LEVELS, LOGITS, RELATED_LOGITS, SIDE_NUMBERS, STUDIES
from lumbar.severity.learn.foramina.out_of_fold import KIND
from lumbar.severity.learn.foramina.train import ForamenTraining, LabelledForamina, train
from lumbar.training.export import export_onnx
from lumbar.training.fit import LAST, averaged_weights
from lumbar.training.fold_runs import NETWORK, FoldRuns
from lumbar.training.folds import assign_folds

FOLDS, SEED = 5, 20240717


def split(foramina: LabelledForamina, known: Mapping[str, int]) -> dict[str, int]:
    """Study → fold, stratified by severely affected studies; `known` studies keep their folds."""
    burden: dict[str, float] = {}
    for study, target in zip(foramina.studies.tolist(), foramina.targets[:, 0].tolist(), strict=True):
        if study not in known:
            burden[study] = burden.get(study, 0.0) + {2: 1.0, 1: 0.01}.get(target, 0.0)
    return {**{study: known[study] for study in np.unique(foramina.studies).tolist() if study in known}, **assign_folds(burden, FOLDS, SEED)}


@dataclass(frozen=True)
class Folds:
    """How studies are split, and where training begins."""

    fold_of: Mapping[str, int]
    held_back: Sequence[str] = ()  # studies left out of all training
    start: Path | None = None  # folder of an earlier training with the same splits, whose networks initialise the folds


def train_fold(foramina: LabelledForamina, folds: Folds, runs: Path, fold: int, config: ForamenTraining) -> Path:
    """Train on all studies but those of `fold` and those held back; returns the folder of the exported network. Interrupted runs resume.

    Raises:
        UsageError: the earlier training was split differently.
    """
    start = FoldRuns(folds.start, KIND) if folds.start else None
    if start:
        start.check_splits(folds.fold_of)
    chosen = np.array([folds.fold_of[study] != fold and study not in folds.held_back for study in foramina.studies.tolist()])
    config = replace(config, fit=replace(config.fit, seed=SEED + fold))

    def training(folder: Path) -> dict[str, object] | None:
        module = train(foramina.subset(chosen), folder, config, averaged_weights(start.path(fold) / LAST) if start else None)
        if module.global_rank:  # worker process of distributed training
            return None
        return {"difference": export_network(module.network, folder / NETWORK), "seed": config.fit.seed}

    return FoldRuns(runs, KIND).train(fold, training, config.fit.steps)


def export_network(network: torch.nn.Module, path: Path) -> float:
    """Write `network` as ONNX with 16-bit weights; the largest difference to PyTorch."""
    generator = torch.Generator().manual_seed(0)
    example = {
        CROPS: torch.randn(7, 1, CROP_ROWS, CROP_COLUMNS, generator=generator),
        LEVELS: torch.tensor([0, 1, 2, 3, 4, 3, 4]),
        SIDE_NUMBERS: torch.tensor([0, 0, 0, 1, 1, 1, 1]),
        STUDIES: torch.tensor([0, 0, 0, 0, 0, 1, 1]),
    }
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return export_onnx(network, example, path, (LOGITS, RELATED_LOGITS), dynamic={name: {0: "n"} for name in example}, tolerance=0.05, half=True)
