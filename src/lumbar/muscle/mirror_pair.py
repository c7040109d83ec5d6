"""Two networks as one: each looks at a slice one way round, so that both together cost what one costs that looks both ways."""

import torch

from lumbar.muscle.labels import MIRRORED

_LEAST = 1e-4  # probability; its logarithm is what differs after rounding


class MirrorPair(torch.nn.Module):
    """The mean of what `straight` says of pictures and `mirrored` of their mirror images, whose sides are changed back."""

    def __init__(self, straight: torch.nn.Module, mirrored: torch.nn.Module) -> None:
        super().__init__()
        self.straight, self.mirrored = straight, mirrored

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 5, rows, columns) of pictures (batch, 1, rows, columns) whose columns run from the patient's right to the left."""
        one = self.straight(image).softmax(dim=1)
        other = self.mirrored(image.flip(3)).softmax(dim=1)[:, list(MIRRORED)].flip(3)
        return ((one + other) / 2).clamp_min(_LEAST).log()
