"""Cross-validated training of the grader of whole studies (needs lumbar[train])."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lumbar.severity.axial.grader import LOGITS
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.learn.studies.network import StudyNetworkOptions
from lumbar.severity.learn.studies.train import StudyTraining, train_studies
from lumbar.severity.studies.data import StudySet
from lumbar.severity.studies.grader import INPUTS
from lumbar.severity.studies.views import LEVELS, MEASURES, SEEN_PIXELS, SLOTS
from lumbar.training.export import export_onnx
from lumbar.training.fold_runs import NETWORK, FoldRuns, write_record
from lumbar.training.folds import assign_folds

_PARTS = 10  # early stopping on one of this many parts of a fold's training studies


@dataclass(frozen=True)
class StudyFoldOptions:
    """How studies are split."""

    folds: int = 5
    seed: int = 20240717
    held_back: tuple[str, ...] = ()  # studies left out of all training


def split_studies(sources: Sequence[StudySet], folds: int, seed: int) -> dict[str, int]:
    """Study → fold, stratified by severely affected studies; a study in several sources has one fold."""
    burden: dict[str, float] = {}
    for source in sources:
        for name, grades in zip(source.names.tolist(), source.targets, strict=True):
            burden[name] = max(burden.get(name, 0.0), float(grades.max()) + 0.001 * float(np.maximum(grades, 0).sum()))
    return assign_folds(burden, folds, seed)


@dataclass(frozen=True)
class FoldNote:
    """Training record of one network, stored beside it."""

    difference: float  # largest |ONNX − PyTorch|
    loader_idle_share: float
    best_score: float  # official score on the studies for early stopping
    best_step: int
    stopped_by: tuple[str, ...]  # those studies
    helper: bool = False  # worker process of distributed training, which exports nothing


def train_study_fold(sources: Sequence[StudySet], runs: Path, fold: int, config: StudyTraining, options: StudyFoldOptions) -> FoldNote:
    """Train one fold on the studies of the others and export it to `runs`; an existing fold is kept, and an interrupted one resumes.

    Early stopping uses a tenth of the training studies of the first source, so that the held-out fold does not influence training.
    """
    fold_runs, notes = FoldRuns(runs, config.network.kind), list[FoldNote]()
    config = replace(config, fit=replace(config.fit, seed=options.seed + fold))

    def training(folder: Path) -> dict[str, object] | None:
        fold_of = split_studies(sources, options.folds, options.seed)
        fold_runs.keep_splits(fold_of)
        kept = [source.subset(_chosen(source, fold_of, fold, options)) for source in sources]
        notes.append(_trained(kept, folder, config, options.seed))
        return None if notes[0].helper else asdict(notes[0])

    fold_runs.train(fold, training)
    return notes[0] if notes else FoldNote(**fold_runs.record(fold))


def train_and_export(sources: Sequence[StudySet], folder: Path, config: StudyTraining, seed: int) -> FoldNote:
    """Train on all studies except a tenth of the first source, used for early stopping, and write network and record to `folder`."""
    note = _trained(sources, folder, config, seed)
    if not note.helper:
        write_record(folder, asdict(note))
    return note


def _trained(sources: Sequence[StudySet], folder: Path, config: StudyTraining, seed: int) -> FoldNote:
    stopping = split_studies(sources[:1], _PARTS, seed + 1)
    aside = {name for name, part in stopping.items() if part == 0}
    held_out = sources[0].subset(np.isin(sources[0].names, list(aside)))
    training = [source.subset(~np.isin(source.names, list(aside))) for source in sources]
    trained = train_studies(training, held_out, folder, config)
    if trained.rank:
        return FoldNote(0.0, trained.loader_idle_share, trained.best_score, trained.best_step, (), helper=True)
    difference = export_study_network(trained.module.network, config.network, folder / NETWORK)
    return FoldNote(difference, trained.loader_idle_share, trained.best_score, trained.best_step, tuple(sorted(aside)))


def export_study_network(network: torch.nn.Module, options: StudyNetworkOptions, path: Path) -> float:
    """Write `network` as ONNX with 16-bit weights; the largest difference to PyTorch."""
    generator = torch.Generator().manual_seed(0)
    n, levels, size = 3, len(LEVELS), (SEEN_PIXELS, SEEN_PIXELS)
    sagittal = options.sagittal_channels, *size
    shapes = ((n, levels, 1, *sagittal), (n, levels, 2, *sagittal), (n, levels, 1, options.channels, CROP_ROWS, CROP_COLUMNS))
    example = {name: torch.randn(shape, generator=generator) for name, shape in zip(INPUTS, shapes, strict=False)}
    present = torch.ones(n, levels, len(SLOTS))
    present[0, 0] = present[1, :, 3] = 0.0
    example |= {"present": present, "measures": torch.randn(n, levels, 2 * len(MEASURES), generator=generator)}
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return export_onnx(network, example, path, (LOGITS,), dynamic={name: {0: "n"} for name in example}, tolerance=0.05, half=True)


def _chosen(source: StudySet, fold_of: dict[str, int], fold: int, options: StudyFoldOptions) -> NDArray[np.bool_]:
    return np.array([fold_of[name] != fold and name not in options.held_back for name in source.names.tolist()], bool)
