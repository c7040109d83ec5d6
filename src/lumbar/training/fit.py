"""The Lightning set-up that all tasks share: logging, checkpoints, averaged weights, resuming of interrupted runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader


@dataclass(frozen=True)
class FitOptions:
    """Length and hardware of a training; the defaults suit a laptop's processor."""

    steps: int = 2000
    seed: int = 20240601
    precision: str = "bf16-mixed"  # Lightning's names; "32-true" where the processor has no bfloat16 instructions
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = 0  # 0: as many as PyTorch chooses
    average_decay: float = 0.998  # of the exponential moving average of the weights
    checkpoint_every: int = 250  # steps


LAST = "last.ckpt"  # in a run's folder


class FinalWeights(Callback):
    """A callback that selects the final weights, from a state that is part of checkpoints."""


class WeightAverage(FinalWeights):
    """Exponential moving average of the weights, stored in checkpoints and applied when training ends."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, torch.Tensor] = {}
        self._trained: dict[str, torch.Tensor] = {}  # kept while validation uses the average

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object) -> None:
        decay = min(self.decay, (1 + trainer.global_step) / (10 + trainer.global_step))
        for name, value in pl_module.state_dict().items():
            kept = self.average.get(name)
            if kept is None or not value.dtype.is_floating_point:
                self.average[name] = value.detach().clone()
            else:
                kept.lerp_(value.detach(), 1 - decay)

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.average:
            self._trained = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}
            pl_module.load_state_dict(self.average)

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._trained:
            pl_module.load_state_dict(self._trained)
            self._trained = {}

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        pl_module.load_state_dict(self.average)

    def state_dict(self) -> dict[str, object]:
        return {"average": self.average}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        self.average = state_dict["average"]  # type: ignore[assignment]


@dataclass(frozen=True)
class Validation:
    """Batches that are validated at intervals, with the averaged weights."""

    batches: DataLoader[Any]
    every_steps: int


def seed(options: FitOptions) -> None:
    """Seed all random generators. Call it before a network is built, because its initial weights are random."""
    lightning.seed_everything(options.seed, verbose=False)


def fit(
    module: lightning.LightningModule,
    batches: DataLoader[Any],
    folder: Path,
    options: FitOptions,
    *,
    validation: Validation | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train `module` for `options.steps` optimiser steps; an interrupted run resumes from `folder/last.ckpt`. Afterwards it holds the averaged weights.

    `callbacks` come after the shared ones. Logs go to TensorBoard's files where it is installed, and to CSV otherwise.
    """
    if options.threads:
        torch.set_num_threads(options.threads)
    seed(options)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=options.checkpoint_every, save_last=True, save_top_k=1)
    trainer = lightning.Trainer(
        max_steps=options.steps,
        max_epochs=-1,
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        precision=options.precision,  # type: ignore[arg-type]
        callbacks=[checkpoints, WeightAverage(options.average_decay), LearningRateMonitor(), *callbacks],
        logger=TensorBoardLogger(folder, name="log") if find_spec("tensorboard") else CSVLogger(folder, name="log"),
        log_every_n_steps=25,
        gradient_clip_val=5.0,
        enable_model_summary=False,
        val_check_interval=validation.every_steps if validation else None,
        check_val_every_n_epoch=None if validation else 1,
        num_sanity_val_steps=0,
    )
    if steps_done(folder) >= options.steps:  # Lightning would return without applying the final weights
        _finish(module, folder, trainer)
        return
    last = folder / LAST
    trainer.fit(module, batches, validation.batches if validation else None, ckpt_path=last if last.exists() else None)


def steps_done(folder: Path) -> int:
    """Optimiser steps of the run in `folder`; 0 where there is none. Streams of batches add it to their seed, so that a resumed run draws new batches."""
    last = folder / LAST
    return int(torch.load(last, weights_only=False)["global_step"]) if last.exists() else 0


def _finish(module: lightning.LightningModule, folder: Path, trainer: lightning.Trainer) -> None:
    """Apply the final weights of a finished training to `module`."""
    states = torch.load(folder / LAST, weights_only=False)["callbacks"]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, FinalWeights):
            callback.load_state_dict(states[callback.state_key])
            callback.on_train_end(trainer, module)


def averaged_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of the module that was trained to `checkpoint`."""
    weights: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=False)["callbacks"][WeightAverage.__name__]["average"]
    return weights
