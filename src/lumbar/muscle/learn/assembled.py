"""What is done to trained networks before they are exported: two become one, and the background gets its due."""

import torch

from lumbar.muscle.labels import LABELS, MIRRORED

_LEAST = 1e-4  # probability; its logarithm is what differs after rounding


class MirrorPair(torch.nn.Module):
    """The mean of what `straight` says of images and `mirrored` of their mirror images, whose sides are changed back.

    Each looks at an image one way round, so both together cost what one costs that looks both ways.
    """

    def __init__(self, straight: torch.nn.Module, mirrored: torch.nn.Module) -> None:
        super().__init__()
        self.straight, self.mirrored = straight, mirrored

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 5, rows, columns) of images (batch, 1, rows, columns) whose columns run from the patient's right to the left."""
        one = self.straight(image).softmax(dim=1)
        other = self.mirrored(image.flip(3)).softmax(dim=1)[:, list(MIRRORED)].flip(3)
        return ((one + other) / 2).clamp_min(_LEAST).log()


class Favoured(torch.nn.Module):
    """`network` with `log_odds` more for the background: who is taught by Dice calls pixels muscle that are as likely not, so muscles come out too large."""

    def __init__(self, network: torch.nn.Module, log_odds: float) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("shift", torch.tensor([log_odds] + [0.0] * len(LABELS)).reshape(1, -1, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits as the network's."""
        return torch.as_tensor(self.network(image) + self.shift)
