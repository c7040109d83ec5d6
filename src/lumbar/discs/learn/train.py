"""Training of the disc network (needs lumbar[train])."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from lumbar.discs.crops import COLUMNS, ROWS
from lumbar.discs.learn.augment import DiscAugmentOptions, augment_discs
from lumbar.discs.learn.network import GRADES, DiscNetwork, DiscNetworkOptions
from lumbar.training.fit import FitOptions, fit, seed, steps_done
from lumbar.training.one_cycle import one_cycle

UNGRADED = -1
COARSE_SIZE = (ROWS * 5 // 8, COLUMNS * 5 // 8)

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class DiscTraining:
    """Options of the training."""

    network: DiscNetworkOptions = field(default_factory=DiscNetworkOptions)
    augment: DiscAugmentOptions = field(default_factory=DiscAugmentOptions)
    fit: FitOptions = field(default_factory=lambda: FitOptions(steps=900, average_decay=0.99))
    images_per_batch: int = 14
    coarse_share: float = 0.6  # of the steps run at five eighths of the size
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    findings_weight: float = 0.5  # weight of the loss of the findings relative to that of the Pfirrmann grade
    ordinal_weight: float = 1.0  # of the squared distance between cumulative probabilities, which penalises distant errors
    smoothing: float = 0.04  # label smoothing towards each neighbouring grade
    absence_probability: float = 0.15  # a disc is left out of its image
    measured_noise: float = 0.3  # added to scaled measurements
    measured_absence: float = 0.3  # probability that the measurements of an image are masked


@dataclass(frozen=True, eq=False)
class LabelledDiscs:
    """Discs of many images with their reference grades."""

    greys: NDArray[np.uint8]  # (n, rows, columns), stored size
    tissues: NDArray[np.uint8]  # (n, rows, columns)
    steps_up: NDArray[np.int64]  # (n,)
    measurements: NDArray[np.float32]  # (n, k) scaled, 0 where missing
    images: NDArray[np.int64]  # (n,) equal numbers for discs of one image
    grades: NDArray[np.int64]  # (n,) Pfirrmann 0 … 4, or UNGRADED
    findings: NDArray[np.int64]  # (n, findings) 1 yes, 0 no, or UNGRADED
    weights: NDArray[np.float32]  # (n,) sampling weight of the image

    def subset(self, chosen: NDArray[np.bool_]) -> "LabelledDiscs":
        """The discs where `chosen` (n,) is true."""
        return LabelledDiscs(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


class RandomImages(IterableDataset[Batch]):
    """An endless stream of augmented batches of whole images."""

    def __init__(self, discs: LabelledDiscs, config: DiscTraining, start: int = 0) -> None:
        self.discs, self.config, self.start = discs, config, start
        self.members = [np.flatnonzero(discs.images == number) for number in np.unique(discs.images)]
        self.weights = np.array([discs.weights[rows[0]] for rows in self.members])

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.config.fit.seed, self.start))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        queue: list[int] = []
        for step in itertools.count(self.start):
            size = COARSE_SIZE if step < self.config.coarse_share * self.config.fit.steps else (ROWS, COLUMNS)
            while len(queue) < self.config.images_per_batch:
                drawn = np.floor(self.weights + rng.random(len(self.weights))).astype(int)
                queue += rng.permutation(np.repeat(np.arange(len(self.members)), drawn)).tolist()
            drawn_now, queue = queue[: self.config.images_per_batch], queue[self.config.images_per_batch :]
            yield self._batch(drawn_now, rng, generator, size)

    def _batch(self, drawn: list[int], rng: np.random.Generator, generator: torch.Generator, size: tuple[int, int]) -> Batch:
        config, discs = self.config, self.discs
        rows: list[int] = []
        owners: list[int] = []
        for place, number in enumerate(drawn):
            members = self.members[number]
            kept = members[rng.random(len(members)) >= config.absence_probability]
            kept = kept if len(kept) else members
            rows += kept.tolist()
            owners += [place] * len(kept)
        owner = torch.tensor(owners)
        x = augment_discs(torch.from_numpy(discs.greys[rows]), torch.from_numpy(discs.tissues[rows]), owner, config.augment, generator, size)
        measured = torch.from_numpy(discs.measurements[rows])
        measured = measured + config.measured_noise * torch.randn(measured.shape, generator=generator)
        hidden = torch.rand(len(drawn), generator=generator) < config.measured_absence
        measured = torch.where(hidden[owner][:, None], 0.0, measured)
        steps = torch.from_numpy(discs.steps_up[rows])
        return x, steps, owner, measured, torch.from_numpy(discs.grades[rows]), torch.from_numpy(discs.findings[rows])


def disc_loss(logits: torch.Tensor, grades: torch.Tensor, findings: torch.Tensor, config: DiscTraining) -> torch.Tensor:
    """Cross-entropy of the grade with its distance term, and of the findings, over graded discs."""
    graded, seen = grades != UNGRADED, findings != UNGRADED
    shares = soft_grades(grades.clamp_min(0), config.smoothing)
    log_p = logits[:, :GRADES].log_softmax(-1)
    entropy = -(shares * log_p).sum(-1)
    distance = ((log_p.exp().cumsum(-1) - shares.cumsum(-1)) ** 2).sum(-1)
    of_grades = ((entropy + config.ordinal_weight * distance) * graded).sum() / graded.sum().clamp_min(1)
    each = functional.binary_cross_entropy_with_logits(logits[:, GRADES:], findings.clamp_min(0).float(), reduction="none")
    of_findings = (each * seen).sum() / seen.sum().clamp_min(1)
    return of_grades + config.findings_weight * of_findings


def soft_grades(grades: torch.Tensor, smoothing: float) -> torch.Tensor:
    """(n, 5) smoothed one-hot labels: `smoothing` goes to each neighbouring grade."""
    table = torch.eye(GRADES)
    for grade in range(GRADES):
        for other in (grade - 1, grade + 1):
            if 0 <= other < GRADES:
                table[grade, other] = smoothing
                table[grade, grade] -= smoothing
    return table[grades]


class DiscModule(lightning.LightningModule):
    """The network with its loss, AdamW and a one-cycle learning rate."""

    def __init__(self, config: DiscTraining) -> None:
        super().__init__()
        self.config = config
        self.network = DiscNetwork(config.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """The loss of one batch."""
        x, steps, owners, measured, grades, findings = batch
        logits = self.network(x.contiguous(memory_format=torch.channels_last), steps, owners, measured).float()
        loss = disc_loss(logits, grades, findings, self.config)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """Optimiser and learning-rate schedule for Lightning."""
        return one_cycle(self, self.config.learning_rate, self.config.weight_decay, self.config.fit.steps, rising=0.15)


def train_discs(discs: LabelledDiscs, folder: Path, config: DiscTraining) -> DiscModule:
    """Train on `discs` and return the module with its averaged weights; checkpoints and logs go to `folder`, from which interrupted runs resume."""
    seed(config.fit)
    module = DiscModule(config)
    start = steps_done(folder)
    fit(module, DataLoader(RandomImages(discs, config, start), batch_size=None), folder, config.fit)
    return module
