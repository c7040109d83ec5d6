"""Several processes that train one network: each has to see other examples."""

from typing import Protocol

import lightning
import torch
from lightning.pytorch.callbacks import Callback


class Ranked(Protocol):
    """A stream of examples that can tell processes apart."""

    rank: int


class TellRank(Callback):
    """Tells a stream which process it feeds, before it is first asked for examples."""

    def __init__(self, stream: Ranked) -> None:
        self.stream = stream

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        self.stream.rank = trainer.global_rank


def is_helper() -> bool:
    """Whether this process only helped another to train, so that it has nothing to write."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return together and torch.distributed.get_rank() > 0
