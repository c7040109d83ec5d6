"""The Lightning set-up that every task shares: logging, checkpoints, averaged weights, resuming after a kill."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader


@dataclass(frozen=True)
class FitOptions:
    """How long and on what to train; the defaults suit a laptop's processor."""

    steps: int = 2000
    seed: int = 20240601
    precision: str = "bf16-mixed"  # Lightning's names; "32-true" where the processor has no bfloat16 instructions
    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = 0  # 0: as many as PyTorch chooses
    average_decay: float = 0.998  # of the exponential moving average of the weights
    checkpoint_every: int = 250  # steps


class WeightAverage(Callback):
    """Exponential moving average of the weights, kept in the checkpoint and put in place when training ends."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, torch.Tensor] = {}

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object) -> None:
        decay = min(self.decay, (1 + trainer.global_step) / (10 + trainer.global_step))
        for name, value in pl_module.state_dict().items():
            kept = self.average.get(name)
            if kept is None or not value.dtype.is_floating_point:
                self.average[name] = value.detach().clone()
            else:
                kept.lerp_(value.detach(), 1 - decay)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        pl_module.load_state_dict(self.average)

    def state_dict(self) -> dict[str, object]:
        return {"average": self.average}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        self.average = state_dict["average"]  # type: ignore[assignment]


def fit(module: lightning.LightningModule, batches: DataLoader[Any], folder: Path, options: FitOptions) -> None:
    """Train `module` for `options.steps` optimiser steps; a run that was killed goes on from `folder/last.ckpt`. The averaged weights end up in it."""
    if options.threads:
        torch.set_num_threads(options.threads)
    lightning.seed_everything(options.seed, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=options.checkpoint_every, save_last=True, save_top_k=1)
    trainer = lightning.Trainer(
        max_steps=options.steps,
        max_epochs=-1,
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        precision=options.precision,  # type: ignore[arg-type]
        callbacks=[checkpoints, WeightAverage(options.average_decay), LearningRateMonitor()],
        logger=CSVLogger(folder, name="log"),
        log_every_n_steps=25,
        gradient_clip_val=5.0,
        enable_model_summary=False,
    )
    last = folder / "last.ckpt"
    trainer.fit(module, batches, ckpt_path=last if last.exists() else None)
