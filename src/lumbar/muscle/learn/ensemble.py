"""Two trained networks in one graph, one on the image and one on its mirror image, with separate outputs."""

import torch

from lumbar.muscle.labels import MIRRORED


class NetworkPair(torch.nn.Module):
    """Predictions of `straight` on images and of `mirrored` on mirrored images, with sides swapped back.

    The pair costs as much as one network with mirror averaging; disagreement between the two marks a mask as doubtful.
    """

    def __init__(self, straight: torch.nn.Module, mirrored: torch.nn.Module) -> None:
        super().__init__()
        self.straight, self.mirrored = straight, mirrored

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 2, classes, rows, columns) of images (batch, 1, rows, columns) whose columns run from the patient's right to the left."""
        other = self.mirrored(image.flip(3))[:, list(MIRRORED)].flip(3)
        return torch.stack([self.straight(image), other], dim=1)
