"""Assembly of trained networks for export: mirrored pairs, and a background bias."""

import torch

from lumbar.muscle.labels import LABELS, MIRRORED

_LEAST = 1e-4  # least probability, which bounds the rounding error of its logarithm


class MirrorPair(torch.nn.Module):
    """Mean of the predictions of `straight` on images and of `mirrored` on mirrored images, with sides swapped back.

    An ensemble of two networks at the cost of mirror test-time augmentation of one.
    """

    def __init__(self, straight: torch.nn.Module, mirrored: torch.nn.Module) -> None:
        super().__init__()
        self.straight, self.mirrored = straight, mirrored

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 5, rows, columns) of images (batch, 1, rows, columns) whose columns run from the patient's right to the left."""
        one = self.straight(image).softmax(dim=1)
        other = self.mirrored(image.flip(3)).softmax(dim=1)[:, list(MIRRORED)].flip(3)
        return ((one + other) / 2).clamp_min(_LEAST).log()


class BackgroundBias(torch.nn.Module):
    """`network` with `log_odds` added to the background: training with the Dice loss overestimates the size of muscles."""

    def __init__(self, network: torch.nn.Module, log_odds: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("shift", torch.tensor([log_odds] + [0.0] * len(LABELS)).reshape(1, -1, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of the network with the background bias."""
        return torch.as_tensor(self.network(image) + self.shift)
