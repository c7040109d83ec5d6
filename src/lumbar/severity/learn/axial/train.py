"""Training of the grading networks on axial crops (needs lumbar[train])."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import cast

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch.utils.data import DataLoader, IterableDataset

from lumbar.severity.axial.data import UNLABELLED
from lumbar.severity.axial.network_input import network_input
from lumbar.severity.learn.axial.augment import FULL_SIZE, CropAugmentOptions, augment
from lumbar.severity.learn.axial.network import Hybrid, NetworkOptions, build
from lumbar.severity.learn.cutmix import MixOptions, mix
from lumbar.severity.learn.losses import any_severe_loss, blended_labels, distance_loss, soft_labels, threshold_loss, weighted_loss
from lumbar.severity.learn.study_stream import Size, StudyStream, partners
from lumbar.severity.score import Graded, official_score
from lumbar.training.best_weights import BestWeights
from lumbar.training.fit import FitOptions, Validation, fit, seed, steps_done
from lumbar.training.loader_idle import LoaderIdle
from lumbar.training.one_cycle import one_cycle
from lumbar.training.ranks import TellRank

CONFIG, RESULT = "config.json", "training.json"
_SCORE = "official_score"
_SETTLED = 0.6  # of the steps, after which the learning rate is low enough to stop early
_STUDIES_VALIDATED_AT_ONCE = 8

COARSE_SIZE = (64, 92)

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

ORDINAL: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Sequence[float]], torch.Tensor]] = {
    "distance": distance_loss,
    "thresholds": threshold_loss,
}


@dataclass(frozen=True)
class SeverityTraining:
    """Options of the training."""

    network: NetworkOptions = field(default_factory=NetworkOptions)
    augment: CropAugmentOptions = field(default_factory=CropAugmentOptions)
    fit: FitOptions = field(default_factory=lambda: FitOptions(average_decay=0.997))
    studies_per_batch: int = 8
    coarse_share: float = 0.65  # of the steps run at two thirds of the size in under half the time; 0 for the vit, which has a fixed size
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    # Weights of the conditions in the order of `Condition`: foramina are an auxiliary task, as an axial slice shows them only in part.
    condition_weights: tuple[float, ...] = (1.0, 0.25, 0.25, 0.5, 0.5)
    smoothing: float = 0.02  # label smoothing towards the neighbouring grades
    predicted_share: float = 0.0  # of the probabilities predicted by other networks in the labels, where the crops have them
    ordinal: str = ""  # loss of `ORDINAL` that is added to the cross-entropy
    ordinal_weight: float = 1.0
    frozen_encoder: bool = False  # of the hybrid: only what follows the encoder is trained
    alone_probability: float = 0.1  # the crops of a study do not attend to each other
    absence_probability: float = 0.1  # a crop is left out of its study
    mix: MixOptions = field(default_factory=MixOptions)  # of crops at the same level
    any_severe_weight: float = 0.1  # of the any-severe term of the official score in the loss
    validate_every: int = 200  # steps, if there are validation studies
    patience: int = 4  # validations without a better official score before training ends


@dataclass(frozen=True, eq=False)
class LabelledCrops:
    """Crops of one size with their grades."""

    images: NDArray[np.uint8]  # (n, rows, columns, 3); with a margin for augmentation
    levels: NDArray[np.int64]  # (n,), 0 … 4
    studies: NDArray[np.str_]  # (n,)
    targets: NDArray[np.int64]  # (n, 5) 0 … 2 in the order of `Condition`, or UNLABELLED
    predicted: NDArray[np.float32] | None = None  # (n, 5, 3) by networks trained without the crop's study; NaN: none

    def subset(self, chosen: NDArray[np.bool_]) -> "LabelledCrops":
        """The crops where `chosen` (n,) is true."""
        predicted = self.predicted[chosen] if self.predicted is not None else None
        return LabelledCrops(self.images[chosen], self.levels[chosen], self.studies[chosen], self.targets[chosen], predicted)

    def joined(self, others: "LabelledCrops") -> "LabelledCrops":
        """These and `others`, without predicted probabilities."""
        names = ("images", "levels", "studies", "targets")
        return LabelledCrops(*(np.concatenate([getattr(self, name), getattr(others, name)]) for name in names))


class RandomStudies(StudyStream[Batch]):
    """An endless stream of augmented batches of axial crops."""

    def __init__(self, crops: LabelledCrops, config: SeverityTraining, start: int = 0) -> None:
        super().__init__(crops.studies, config, start, (COARSE_SIZE, FULL_SIZE))
        self.crops, self.config = crops, config

    def batch(self, chosen: list[int], owners: list[int], rng: np.random.Generator, generator: torch.Generator, size: Size) -> Batch:
        """Augmented crops with levels, owners, soft labels and masks of known labels."""
        config = self.config
        images = torch.from_numpy(self.crops.images[chosen]).permute(0, 3, 1, 2).float() / 255
        grades = torch.from_numpy(self.crops.targets[chosen])
        x, places = augment(images, torch.arange(grades.numel()).reshape(grades.shape), config.augment, generator, size)
        targets = grades.flatten()[places]
        levels = torch.from_numpy(self.crops.levels[chosen])
        labels = soft_labels(targets, config.smoothing)
        if self.crops.predicted is not None:
            predicted = torch.from_numpy(self.crops.predicted[chosen]).flatten(0, 1)
            labels = blended_labels(labels, predicted[places], config.predicted_share)
        (x,), labels = mix([x], labels, partners(levels, generator), config.mix, generator)
        return x, levels, torch.tensor(owners), labels, (targets != UNLABELLED).float()


class HeldOutCrops(IterableDataset[Batch]):
    """Validation crops without augmentation in batches of whole studies, with grades in place of soft labels."""

    def __init__(self, crops: LabelledCrops) -> None:
        self.crops = crops

    def __iter__(self) -> Iterator[Batch]:
        names = np.unique(self.crops.studies)
        for start in range(0, len(names), _STUDIES_VALIDATED_AT_ONCE):
            rows = np.flatnonzero(np.isin(self.crops.studies, names[start : start + _STUDIES_VALIDATED_AT_ONCE]))
            images = torch.from_numpy(np.stack([network_input(self.crops.images[row]) for row in rows]))
            owners = torch.from_numpy(np.searchsorted(names, self.crops.studies[rows]))
            targets = torch.from_numpy(self.crops.targets[rows])
            yield images, torch.from_numpy(self.crops.levels[rows]), owners, targets, (targets != UNLABELLED).float()


class SeverityModule(lightning.LightningModule):
    """The network with its loss, AdamW and a one-cycle learning rate."""

    def __init__(self, config: SeverityTraining) -> None:
        super().__init__()
        self.config = config
        self.network = build(config.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if config.frozen_encoder:
            cast(Hybrid, self.network).encoder.requires_grad_(False).eval()  # Lightning keeps the mode of every part
        self._held_out: list[Graded] = []

    def train(self, mode: bool = True) -> "SeverityModule":
        """As of every module, but a frozen encoder keeps its batch statistics."""
        super().train(mode)
        if self.config.frozen_encoder:
            cast(Hybrid, self.network).encoder.eval()
        return self

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """The loss of one batch."""
        crops, levels, studies, labels, known = batch
        logits = self.network(crops.contiguous(memory_format=torch.channels_last), levels, studies).float()
        loss = weighted_loss(logits, labels, known, self.config.condition_weights)
        if self.config.ordinal:
            loss = loss + self.config.ordinal_weight * ORDINAL[self.config.ordinal](logits, labels, known, self.config.condition_weights)
        severe = any_severe_loss(logits[:, 0], labels[:, 0], known[:, 0], studies)
        self.log_dict({"loss": loss, "any_severe": severe})
        return loss + self.config.any_severe_weight * severe

    def validation_step(self, batch: Batch, _: int) -> None:
        """Collect the predictions of one batch."""
        crops, levels, studies, targets, _known = batch
        logits = self.network(crops, levels, studies).float()
        row, condition = np.nonzero(targets.cpu().numpy() != UNLABELLED)
        predictions = softmax(logits.cpu().numpy().astype(np.float64), axis=-1)[row, condition]
        self._held_out.append(
            Graded(studies.cpu().numpy()[row].astype(str), condition, levels.cpu().numpy()[row], targets.cpu().numpy()[row, condition], predictions)
        )

    def on_validation_epoch_end(self) -> None:
        """Log the mean of the parts of the official score with labels."""
        parts = [[getattr(rows, name) for rows in self._held_out] for name in ("studies", "conditions", "levels", "targets", "probabilities")]
        score = official_score(Graded(*(np.concatenate(part) for part in parts)))
        self.log(_SCORE, float(np.nanmean([score.spinal, score.foraminal, score.subarticular, score.any_severe_spinal])), sync_dist=True)
        self._held_out = []

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """Optimiser and learning-rate schedule for Lightning."""
        return one_cycle(self, self.config.learning_rate, self.config.weight_decay, self.config.fit.steps, rising=0.15)


def default_training(kind: str, steps: int, threads: int = 0) -> SeverityTraining:
    """The usual settings for a network of `kind`; `threads` 0 leaves the choice to PyTorch."""
    usual = SeverityTraining(network=NetworkOptions(kind=kind), coarse_share=0.65 if kind == "hybrid" else 0.0)
    return replace(usual, fit=replace(usual.fit, steps=steps, threads=threads))


def continued_training(kind: str, steps: int, threads: int = 0) -> SeverityTraining:
    """Settings for fine-tuning trained weights: half the learning rate, most steps at full size, and less mixup."""
    usual = default_training(kind, steps, threads)
    return replace(usual, learning_rate=usual.learning_rate / 2, coarse_share=usual.coarse_share / 2, mix=MixOptions(mixup_probability=0.15))


def train(
    crops: LabelledCrops, folder: Path, config: SeverityTraining, held_out: LabelledCrops | None = None, start_from: dict[str, torch.Tensor] | None = None
) -> SeverityModule:
    """Train on `crops` and return the module with its averaged weights; with crops `held_out`, those with the best official score on them.

    Training starts from the weights `start_from` if given. Checkpoints, logs, the configuration and the loader's idle share are written to `folder`; an
    interrupted run resumes from it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
    seed(config.fit)
    module = SeverityModule(config)
    if start_from is not None:
        module.load_state_dict(start_from)
    start = steps_done(folder)
    idle, best = LoaderIdle(), BestWeights(_SCORE, config.patience, round(_SETTLED * config.fit.steps))
    validation = Validation(DataLoader(HeldOutCrops(held_out), batch_size=None), config.validate_every) if held_out is not None else None
    stream = RandomStudies(crops, config, start)
    callbacks = (TellRank(stream), idle, *([best] if validation else []))
    fit(module, DataLoader(stream, batch_size=None), folder, config.fit, validation=validation, callbacks=callbacks)
    result = {"best_score": best.best if validation else None, "best_step": best.best_step, "loader_idle_share": idle.share}
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")
    return module
