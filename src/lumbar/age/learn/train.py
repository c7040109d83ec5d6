"""Training of the age network on a store of crops (needs lumbar[train])."""

import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from lumbar.age.calibration import HeldOut
from lumbar.age.engine import POSITION_UNIT_MM
from lumbar.age.learn.augment import AgeAugmentOptions, augment, inner
from lumbar.age.learn.losses import CONTRASTS
from lumbar.age.learn.network import AgeNetwork, AgeNetworkOptions, head_loss
from lumbar.age.segments import SEGMENTS, WHOLE
from lumbar.age.store import CropStore, unpacked
from lumbar.errors import UsageError
from lumbar.training.fit import FitOptions, fit, seed, steps_done
from lumbar.training.one_cycle import one_cycle

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]  # crops, position, present, sex, age, labels

_WHOLE = SEGMENTS.index(WHOLE)


@dataclass(frozen=True)
class AgeTraining:
    """Options of a training."""

    network: AgeNetworkOptions = field(default_factory=AgeNetworkOptions)
    contrast: str = "rank-n-contrast"  # one of losses.CONTRASTS
    contrast_weight: float = 1.0
    segment_weight: float = 0.5  # of the mean loss of the segments relative to that of the whole spine
    label_weight: float = 5.0  # of the mean loss of the levels' labels, in standard deviations, where the store has any
    mirror: bool = True  # mirror at random: age does not depend on the side
    augment: AgeAugmentOptions = field(default_factory=AgeAugmentOptions)
    people_per_batch: int = 24
    slices: int = 3  # sampled at each level in a step
    level_absence: float = 0.05  # probability that a level is left out
    sex_absence: float = 0.3  # probability that the sex is withheld
    learning_rate: float = 1e-3  # highest of the one-cycle schedule
    weight_decay: float = 0.05
    fit: FitOptions = field(default_factory=lambda: FitOptions(steps=1500, average_decay=0.995))


class RandomSets(IterableDataset[Batch]):
    """An endless stream of batches; every study is used once per epoch."""

    def __init__(self, store: CropStore, config: AgeTraining, start: int = 0) -> None:
        self.store, self.config, self.start = store, config, start
        self.labels = standardised(store.labels)

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng((self.config.fit.seed, self.start))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        queue: list[int] = []
        size = min(self.config.people_per_batch, len(self.store))
        for _ in itertools.count(self.start):
            while len(queue) < size:
                queue += rng.permutation(len(self.store)).tolist()
            drawn, queue = np.array(queue[:size]), queue[size:]
            yield self._batch(drawn, rng, generator)

    def _batch(self, drawn: NDArray[np.int64], rng: np.random.Generator, generator: torch.Generator) -> Batch:
        store, config = self.store, self.config
        rank = rng.random((len(drawn), *store.present.shape[1:]))
        slots = np.argsort(rank + 2 * (store.present[drawn] < 0.5), axis=2)[..., : config.slices]  # present ones first, in random order
        slots = np.sort(slots, axis=2)
        people, levels = drawn[:, None, None], np.arange(slots.shape[1])[None, :, None]
        crops = torch.from_numpy(unpacked(store.crops[people, levels, slots]))
        present = torch.from_numpy(store.present[people, levels, slots])
        present = present * torch.from_numpy(rng.random((*present.shape[:2], 1)) >= config.level_absence)
        sex = torch.from_numpy(store.sex[drawn] * (rng.random(len(drawn)) >= config.sex_absence)).float()
        shown = augment(crops, (config.network.rows, config.network.columns), config.augment, generator)
        position = torch.from_numpy(store.position_mm[people, levels, slots] / np.float32(POSITION_UNIT_MM))
        if config.mirror:
            position = position * torch.from_numpy(rng.choice(np.array([-1, 1], dtype=np.float32), (len(drawn), 1, 1)))
        return shown.float(), position, present.float(), sex, torch.from_numpy(store.age_years[drawn]), torch.from_numpy(self.labels[drawn])


class AgeModule(lightning.LightningModule):
    """The network with its losses, AdamW and a one-cycle learning rate."""

    def __init__(self, config: AgeTraining, labels: int = 0) -> None:
        """`labels` is the number of labels of a level; their heads are not part of the network and are not exported."""
        super().__init__()
        if config.contrast not in CONTRASTS:
            raise UsageError(f"contrast is one of {', '.join(CONTRASTS)}, not {config.contrast!r}")
        self.config = config
        self.network = AgeNetwork(config.network)
        self.labels = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(config.network.features, labels)) if labels else None

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """The loss of one batch."""
        slices, position, present, sex, age, labels = batch
        levels = self.network.levels(slices, position, present)
        outputs, features = self.network.set.joined(levels, present, sex)[1:]
        own = [head_loss(outputs[:, k].float(), age, self.config.network) for k in range(len(SEGMENTS))]
        segments = torch.stack([loss for k, loss in enumerate(own) if k != _WHOLE]).mean()
        contrast = CONTRASTS[self.config.contrast](features[:, _WHOLE].float(), age)
        loss = own[_WHOLE] + self.config.segment_weight * segments + self.config.contrast_weight * contrast
        if self.labels is not None:
            auxiliary = label_loss(self.labels(levels).float(), labels, present)
            loss = loss + self.config.label_weight * auxiliary
            self.log("labels", auxiliary)
        self.log_dict({"loss": loss, "whole": own[_WHOLE], "segments": segments, "contrast": contrast})
        return loss

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """Optimiser and learning-rate schedule for Lightning."""
        return one_cycle(self, self.config.learning_rate, self.config.weight_decay, self.config.fit.steps + 1, rising=0.1)


def standardised(labels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Labels (n, levels, k) in standard deviations from the mean of each level; unknown ones stay NaN, constant ones become 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a label without any value
        mean, spread = np.nanmean(labels, axis=0), np.nanstd(labels, axis=0)
    return np.asarray((labels - mean) / np.where(spread > 0, spread, 1), dtype=np.float32)


def label_loss(found: torch.Tensor, labels: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Mean smooth absolute error of labels (n, levels, k) over those that are known (not NaN) at levels with a slice (n, levels, slices); 0 without any."""
    known = ~labels.isnan() & (present.sum(dim=2) > 0)[..., None]
    error = torch.nn.functional.smooth_l1_loss(found, labels.nan_to_num(), beta=0.5, reduction="none")
    return (error * known).sum() / known.sum().clamp_min(1)


def train(store: CropStore, folder: Path, config: AgeTraining, start_from: dict[str, torch.Tensor] | None = None) -> AgeNetwork:
    """Train on `store` and return the network with its averaged weights.

    Args:
        store: studies to train on.
        folder: for checkpoints and logs; an interrupted run resumes from there.
        config: options of the training.
        start_from: weights to start from, as `network.state_dict()` gives them.
    """
    seed(config.fit)
    module = AgeModule(config, store.labels.shape[2])
    if start_from is not None:
        module.network.load_state_dict(start_from)
    start = steps_done(folder)
    fit(module, DataLoader(RandomSets(store, config, start), batch_size=None), folder, config.fit)
    return module.network.eval()


@torch.no_grad()
def held_out(network: AgeNetwork, store: CropStore) -> HeldOut:
    """Outputs for all slices of all studies of `store`."""
    network = network.eval()
    years, features = [], []
    for number in range(len(store)):
        crops = inner(torch.from_numpy(unpacked(store.crops[number : number + 1])), (network.options.rows, network.options.columns))
        used = int(store.present[number].sum(axis=1).max())
        present = torch.from_numpy(store.present[number : number + 1, :, :used])
        position = torch.from_numpy(store.position_mm[number : number + 1, :, :used] / np.float32(POSITION_UNIT_MM))
        ages, _, described = network(crops[:, :, :used].contiguous(), position, present, torch.from_numpy(store.sex[number : number + 1]))
        years.append(ages[0].double().numpy())
        features.append(described[0, _WHOLE].double().numpy())
    table = np.array(years)
    segments = {name: table[:, k] for k, name in enumerate(SEGMENTS)}
    return HeldOut(store.age_years.astype(np.float64), segments, np.array(features), store.healthy)
