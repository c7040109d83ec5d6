"""nnU-Net's training program with a trainer of ours: without mirroring (left and right have labels) and of the wanted length.

    python -m lumbar.muscle.nnunet_trainer EPOCHS ITERATIONS VALIDATION_ITERATIONS -- <arguments of nnUNetv2_train>

nnU-Net looks a trainer up by importing all that it has, which fails where only one of them misses a library (torchvision, say). The class is handed to
it here instead.
"""

import sys

import nnunetv2.run.run_training as program
import torch
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import nnUNetTrainerNoMirroring

NAME = "nnUNetTrainerLumbar"


def trainer_of(epochs: int, iterations: int, validation_iterations: int) -> type:
    """The trainer; nnU-Net reads the names of its arguments, so they are spelt out."""

    class nnUNetTrainerLumbar(nnUNetTrainerNoMirroring):  # type: ignore[misc]  # noqa: N801  (nnU-Net's way of naming; folders get this name)
        def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device = torch.device("cuda")) -> None:  # type: ignore[type-arg]  # noqa: B008
            super().__init__(plans=plans, configuration=configuration, fold=fold, dataset_json=dataset_json, device=device)
            self.num_epochs = epochs
            self.num_iterations_per_epoch = iterations
            self.num_val_iterations_per_epoch = validation_iterations

    return nnUNetTrainerLumbar


def main() -> None:
    """Run nnU-Net's training with what the command line says."""
    split = sys.argv.index("--")
    trainer = trainer_of(*(int(word) for word in sys.argv[1:split]))
    program.recursive_find_trainer_class_by_name = lambda _: trainer
    sys.argv = ["nnUNetv2_train", *sys.argv[split + 1 :]]
    program.run_training_entry()


if __name__ == "__main__":
    main()
