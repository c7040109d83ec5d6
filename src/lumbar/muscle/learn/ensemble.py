"""Two trained networks as one, each of which looks at the image one way round and answers for itself."""

import torch

from lumbar.muscle.labels import MIRRORED


class NetworkPair(torch.nn.Module):
    """What `straight` says of images and `mirrored` of their mirror images, whose sides are changed back.

    Both together cost what one costs that looks both ways; where they differ, the mask is in doubt.
    """

    def __init__(self, straight: torch.nn.Module, mirrored: torch.nn.Module) -> None:
        super().__init__()
        self.straight, self.mirrored = straight, mirrored

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 2, classes, rows, columns) of images (batch, 1, rows, columns) whose columns run from the patient's right to the left."""
        other = self.mirrored(image.flip(3))[:, list(MIRRORED)].flip(3)
        return torch.stack([self.straight(image), other], dim=1)
