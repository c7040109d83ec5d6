"""The share of training time spent waiting for the next batch."""

from time import perf_counter

import lightning
from lightning.pytorch.callbacks import Callback


class LoaderIdle(Callback):
    """Measures the share of wall time between batches; `share` after training."""

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.worked_s = 0.0
        self._since: float | None = None

    @property
    def share(self) -> float:
        """Of the time from the first batch's end; 0 before."""
        total = self.waited_s + self.worked_s
        return self.waited_s / total if total else 0.0

    def on_train_batch_start(self, *_: object) -> None:
        now = perf_counter()
        if self._since is not None:
            self.waited_s += now - self._since
        self._since = now

    def on_train_batch_end(self, *_: object) -> None:
        now = perf_counter()
        if self._since is not None:
            self.worked_s += now - self._since
        self._since = now

    def on_validation_start(self, *_: object) -> None:
        self._since = None  # validation is neither

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._since = None
