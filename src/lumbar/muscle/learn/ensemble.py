"""Two trained networks in one graph, one on the image and one on its mirror image, with separate outputs."""

import torch

from lumbar.muscle.labels import MIRRORED


class NetworkPair(torch.nn.Module):
    """Predictions of `straight` on images and of `mirrored` on mirrored images, with sides swapped back.

    Both together cost what one costs that looks both ways; where they differ, the mask is in doubt.
    """

    def __init__(self, straight: torch.nn.Module, mirrored: torch.nn.Module) -> None:
        super().__init__()
        self.straight, self.mirrored = straight, mirrored

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 2, classes, rows, columns) of images (batch, 1, rows, columns) whose columns run from the patient's right to the left."""
        other = self.mirrored(image.flip(3))[:, list(MIRRORED)].flip(3)
        return torch.stack([self.straight(image), other], dim=1)
