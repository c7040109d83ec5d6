"""Early stopping: keep the weights with the best validation result, and stop when it has not improved for some time."""

from math import inf

import lightning
import torch

from lumbar.training.fit import FinalWeights


class BestWeights(FinalWeights):
    """Monitors a logged value that should be low; placed after `WeightAverage`, whose averaged weights it validates."""

    def __init__(self, monitor: str, patience: int, not_before: int = 0) -> None:
        self.monitor = monitor
        self.patience = patience  # validations without a new best one before training ends
        self.not_before = not_before  # step; while the learning rate is high, validation does not predict the final result
        self.best = inf
        self.best_step = 0
        self.since = 0
        self.weights: dict[str, torch.Tensor] = {}
        self._reached: dict[str, torch.Tensor] = {}

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._reached = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}  # the average, at this moment

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        value = float(trainer.callback_metrics[self.monitor])
        if value < self.best:
            self.best, self.best_step, self.since = value, trainer.global_step, 0
            self.weights = self._reached
        elif trainer.global_step >= self.not_before:
            self.since += 1
            trainer.should_stop = trainer.should_stop or self.since >= self.patience
        self._reached = {}

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self.weights:
            pl_module.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, object]:
        return {"best": self.best, "best_step": self.best_step, "since": self.since, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        self.best, self.best_step = float(state_dict["best"]), int(state_dict["best_step"])  # type: ignore[arg-type, call-overload]
        self.since, self.weights = int(state_dict["since"]), state_dict["weights"]  # type: ignore[call-overload, assignment]
