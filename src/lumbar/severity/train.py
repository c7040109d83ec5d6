"""Training of the grading networks on axial crops (needs lumbar[train])."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from lumbar.severity.augment import FULL_SIZE, CropAugmentOptions, augment
from lumbar.severity.data import UNLABELLED
from lumbar.severity.network import GRADES, NetworkOptions, build
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fit import FitOptions, fit

_MEAN_WEIGHT = 1.3  # about the mean weight of a labelled row; keeps the loss near 1 without depending on what a batch happens to hold

COARSE_SIZE = (64, 92)

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class SeverityTraining:
    """What is trained, how, and how long."""

    network: NetworkOptions = field(default_factory=NetworkOptions)
    augment: CropAugmentOptions = field(default_factory=CropAugmentOptions)
    fit: FitOptions = field(default_factory=lambda: FitOptions(average_decay=0.997))
    studies_per_batch: int = 8
    coarse_share: float = 0.65  # of the steps are made at two thirds of the size, which takes under half the time; 0 for the vit, whose size is fixed
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    # Weights of the conditions in the order of `Condition`: the foramina are a side task, as an axial slice shows them only in part.
    condition_weights: tuple[float, ...] = (1.0, 0.25, 0.25, 0.5, 0.5)
    smoothing: float = 0.02  # share of each label that goes to the neighbouring grades
    alone_probability: float = 0.1  # a study's crops do not see each other
    absence_probability: float = 0.1  # a crop is left out of its study
    mix_probability: float = 0.3  # mixup (Zhang et al. 2018) of crops at the same level


@dataclass(frozen=True, eq=False)
class LabelledCrops:
    """Crops of one size with their grades."""

    pictures: NDArray[np.uint8]  # (n, rows, columns, 3); a little larger than what the network sees
    levels: NDArray[np.int64]  # (n,), 0 … 4
    studies: NDArray[np.str_]  # (n,)
    targets: NDArray[np.int64]  # (n, 5) 0 … 2 in the order of `Condition`, or UNLABELLED

    def subset(self, chosen: NDArray[np.bool_]) -> "LabelledCrops":
        """The crops where `chosen` (n,) is true."""
        return LabelledCrops(self.pictures[chosen], self.levels[chosen], self.studies[chosen], self.targets[chosen])


class RandomStudies(IterableDataset[Batch]):
    """An endless stream of augmented batches; each study comes once before any comes again."""

    def __init__(self, crops: LabelledCrops, config: SeverityTraining, start: int = 0) -> None:
        self.crops, self.config, self.start = crops, config, start
        self.members = [np.flatnonzero(crops.studies == name) for name in np.unique(crops.studies)]

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.config.fit.seed, self.start))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        queue: list[int] = []
        for step in itertools.count(self.start):
            size = COARSE_SIZE if step < self.config.coarse_share * self.config.fit.steps else FULL_SIZE
            while len(queue) < self.config.studies_per_batch:
                queue += rng.permutation(len(self.members)).tolist()
            drawn, queue = queue[: self.config.studies_per_batch], queue[self.config.studies_per_batch :]
            yield self._batch(drawn, rng, generator, size)

    def _batch(self, drawn: Sequence[int], rng: np.random.Generator, generator: torch.Generator, size: tuple[int, int]) -> Batch:
        config = self.config
        chosen, owners = [], []
        for place, study in enumerate(drawn):
            members = self.members[study]
            kept = members[rng.random(len(members)) >= config.absence_probability]
            kept = kept if len(kept) else members
            alone = rng.random() < config.alone_probability
            chosen += kept.tolist()
            owners += [100 * (place + 1) + (i if alone else 0) for i in range(len(kept))]
        pictures = torch.from_numpy(self.crops.pictures[chosen]).permute(0, 3, 1, 2).float() / 255
        x, targets = augment(pictures, torch.from_numpy(self.crops.targets[chosen]), config.augment, generator, size)
        levels = torch.from_numpy(self.crops.levels[chosen])
        labels = soft_labels(targets, config.smoothing)
        x, labels = self._mix(x, labels, levels, rng)
        return x, levels, torch.tensor(owners), labels, (targets != UNLABELLED).float()

    def _mix(self, x: torch.Tensor, labels: torch.Tensor, levels: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Blend some crops with another of the same level; unlabelled conditions of either keep what label there is."""
        if rng.random() >= self.config.mix_probability:
            return x, labels
        partner = np.arange(len(x))
        for level in np.unique(levels.numpy()):
            members = np.flatnonzero(levels.numpy() == level)
            partner[members] = rng.permutation(members)
        share = torch.from_numpy(np.maximum(s := rng.beta(0.4, 0.4, len(x)), 1 - s)).float()
        other, own = labels[partner], labels
        both = (other.sum(-1, keepdim=True) > 0) & (own.sum(-1, keepdim=True) > 0)
        mixed = torch.where(both, share[:, None, None] * own + (1 - share[:, None, None]) * other, own)
        blend = share[:, None, None, None]
        return blend * x + (1 - blend) * x[partner], mixed


def soft_labels(targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    """(n, 5, 3) shares: the grade itself, and `smoothing` to each grade next to it; zeros where unlabelled."""
    table = torch.eye(GRADES)
    for grade in range(GRADES):
        neighbours = [other for other in (grade - 1, grade + 1) if 0 <= other < GRADES]
        for other in neighbours:
            table[grade, other] = smoothing
        table[grade, grade] = 1 - smoothing * len(neighbours)
    table = torch.cat([table, torch.zeros(1, GRADES)])
    return table[targets]  # UNLABELLED is −1: the last row


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, condition_weights: Sequence[float]) -> torch.Tensor:
    """Cross-entropy with the official weights of the grades, averaged over the labelled rows of each condition, then over conditions."""
    weights = labels * torch.tensor(GRADE_WEIGHTS)
    rows = -(weights * logits.log_softmax(-1)).sum(-1) * known / _MEAN_WEIGHT
    per_condition = rows.sum(0) / known.sum(0).clamp_min(1)
    share = torch.tensor(condition_weights)
    return (per_condition * share).sum() / share.sum()


class SeverityModule(lightning.LightningModule):
    """The network with its loss, AdamW and a one-cycle learning rate."""

    def __init__(self, config: SeverityTraining) -> None:
        super().__init__()
        self.config = config
        self.network = build(config.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """The loss of one batch."""
        crops, levels, studies, labels, known = batch
        logits = self.network(crops.contiguous(memory_format=torch.channels_last), levels, studies).float()
        loss = weighted_loss(logits, labels, known, self.config.condition_weights)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """AdamW without decay for norms and offsets."""
        kept = [p for p in self.parameters() if p.ndim > 1]
        free = [p for p in self.parameters() if p.ndim <= 1]  # norms and offsets are not pulled towards zero
        groups = [{"params": kept, "weight_decay": self.config.weight_decay}, {"params": free, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=self.config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.config.learning_rate, total_steps=self.config.fit.steps, pct_start=0.15)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def default_training(kind: str, steps: int, threads: int = 0) -> SeverityTraining:
    """The usual settings for a network of `kind`; `threads` 0 leaves the choice to PyTorch."""
    usual = SeverityTraining(network=NetworkOptions(kind=kind), coarse_share=0.65 if kind == "hybrid" else 0.0)
    return replace(usual, fit=replace(usual.fit, steps=steps, threads=threads))


def train(crops: LabelledCrops, folder: Path, config: SeverityTraining) -> SeverityModule:
    """Train on `crops` and return the module with its averaged weights; `folder` takes checkpoints and logs, and a killed run goes on from there."""
    module = SeverityModule(config)
    last = folder / "last.ckpt"
    start = int(torch.load(last, weights_only=False)["global_step"]) if last.exists() else 0
    fit(module, DataLoader(RandomStudies(crops, config, start), batch_size=None), folder, config.fit)
    return module
