"""Training of one muscle network on a mixture of sources."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import lightning
import torch
from torch.utils.data import DataLoader

from lumbar.muscle.labels import MIRRORED
from lumbar.muscle.learn.batches import Batch, BatchOptions, RandomBatches
from lumbar.muscle.learn.grey_slices import GreySlice
from lumbar.muscle.learn.partial_labels import marginal_loss
from lumbar.muscle.learn.shuffled_unet import ShuffledUNet
from lumbar.training.fit import FitOptions, fit, seed, steps_done

CLASSES = len(MIRRORED)


@dataclass(frozen=True)
class MixtureTraining:
    """What is trained and how long."""

    features: tuple[int, ...] = (32, 64, 96, 128, 160)
    learning_rate: float = 2e-3
    batches: BatchOptions = field(default_factory=BatchOptions)
    fit: FitOptions = field(default_factory=lambda: FitOptions(steps=2400, average_decay=0.995))


class MixtureModule(lightning.LightningModule):
    """The muscle network with its loss, AdamW and a one-cycle learning rate."""

    def __init__(self, config: MixtureTraining) -> None:
        super().__init__()
        self.network = ShuffledUNet(CLASSES, config.features).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """Loss of one batch."""
        image, target, complete = batch
        loss = marginal_loss(self.network(image.contiguous(memory_format=torch.channels_last)), target, complete)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """Optimiser and schedule."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.config.learning_rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.config.learning_rate, total_steps=self.config.fit.steps, pct_start=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train_mixture(slices: Sequence[GreySlice], folder: Path, config: MixtureTraining, start_from: dict[str, torch.Tensor] | None = None) -> MixtureModule:
    """Train on `slices`, from the weights `start_from` if given, and return the module with its averaged weights; `folder` takes checkpoints and logs."""
    seed(config.fit)
    module = MixtureModule(config)
    if start_from is not None:
        module.load_state_dict(start_from)
    stream = RandomBatches(slices, config.batches, (config.fit.seed, steps_done(folder)))
    fit(module, DataLoader(stream, batch_size=None), folder, config.fit)
    return module
