"""Distributed training: each process needs other examples."""

from typing import Protocol

import lightning
import torch
from lightning.pytorch.callbacks import Callback


class Ranked(Protocol):
    """A stream of examples that depends on the process."""

    rank: int


class TellRank(Callback):
    """Sets the process number of a stream before its first example."""

    def __init__(self, stream: Ranked) -> None:
        self.stream = stream

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        self.stream.rank = trainer.global_rank


def is_helper() -> bool:
    """Whether this is not the main process, which alone writes files."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return together and torch.distributed.get_rank() > 0
