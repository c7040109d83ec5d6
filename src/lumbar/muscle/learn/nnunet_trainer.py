"""nnU-Net's training program with a custom trainer: without mirroring (left and right have labels) and of a given length.

    python -m lumbar.muscle.learn.nnunet_trainer EPOCHS ITERATIONS VALIDATION_ITERATIONS THREADS LEARNING_RATE -- <arguments of nnUNetv2_train>

A learning rate of 0 selects nnU-Net's own optimiser.

nnU-Net looks up a trainer by importing all of its trainers, which fails if one of them lacks a library (such as torchvision). The class is passed directly
here instead.
"""

import sys
from functools import partial
from typing import Any

import nnunetv2.run.run_training as program
import numpy as np
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import nnUNetTrainerNoMirroring

_TURN = np.deg2rad(15)  # nnU-Net rotates a fifth of square images by any angle, but patients are not scanned upside down


def trainer_of(epochs: int, iterations: int, validation_iterations: int, threads: int, learning_rate: float) -> type:
    """The trainer class; its arguments are spelt out, as nnU-Net inspects their names."""

    class nnUNetTrainerLumbar(nnUNetTrainerNoMirroring):  # type: ignore[misc]  # noqa: N801  (nnU-Net's way of naming; folders get this name)
        def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device = torch.device("cuda")) -> None:  # type: ignore[type-arg]  # noqa: B008
            super().__init__(plans=plans, configuration=configuration, fold=fold, dataset_json=dataset_json, device=device)
            self.num_epochs = epochs
            self.num_iterations_per_epoch = iterations
            self.num_val_iterations_per_epoch = validation_iterations
            self.save_every = 1 if device.type == "cpu" else 10  # epochs that an interrupted run loses at most
            if device.type == "cpu":
                torch.set_num_threads(threads)  # nnU-Net uses all cores by default

        def initialize(self) -> None:
            super().initialize()
            if self.device.type == "cpu":
                self.network.forward = partial(_in_half_precision, self.network.forward)

        def configure_optimizers(self) -> tuple[Any, Any]:
            if not learning_rate:
                found: tuple[Any, Any] = super().configure_optimizers()
                return found
            # As in nnU-Net's own trainers with Adam.
            optimizer = torch.optim.AdamW(self.network.parameters(), lr=learning_rate, weight_decay=self.weight_decay, amsgrad=True)
            return optimizer, PolyLRScheduler(optimizer, learning_rate, self.num_epochs)

        def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self) -> tuple[Any, ...]:  # noqa: N802
            _, *rest = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
            return ((-_TURN, _TURN), *rest)

        def perform_actual_validation(self, save_probabilities: bool = False) -> None:
            """Skipped: with the fold "all", nnU-Net would predict its own training cases."""

    return nnUNetTrainerLumbar


def _in_half_precision(forward: Any, image: torch.Tensor) -> Any:
    """bfloat16 autocast, as nnU-Net uses on a GPU; on a CPU with such instructions it takes 40 % less time."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = forward(image)
    return [one.float() for one in found] if isinstance(found, list | tuple) else found.float()


def main() -> None:
    """Run nnU-Net's training with the arguments of the command line."""
    split = sys.argv.index("--")
    *lengths, rate = sys.argv[1:split]
    trainer = trainer_of(*(int(word) for word in lengths), float(rate))  # type: ignore[call-arg]
    program.recursive_find_trainer_class_by_name = lambda _: trainer
    sys.argv = ["nnUNetv2_train", *sys.argv[split + 1 :]]
    program.run_training_entry()


if __name__ == "__main__":
    main()
