"""The muscle network: a U-Net whose first and last layers fold 2 × 2 pixels into channels.

Input and output have the full resolution, but the largest feature maps have a quarter of the pixels (sub-pixel convolution, Shi et al. 2016).
"""

import torch
from torch import nn

from lumbar.training.unet import UNet

FOLD = 2


class ShuffledUNet(nn.Module):
    """Maps images (batch, 1, rows, columns) of zero mean and unit variance to logits (batch, classes, rows, columns).

    Rows and columns must divide by 2 to the power of `len(features)`.
    """

    def __init__(self, classes: int, features: tuple[int, ...]) -> None:
        super().__init__()
        self.inner = UNet(classes * FOLD**2, features, inputs=FOLD**2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        folded = nn.functional.pixel_unshuffle(image, FOLD)
        return nn.functional.pixel_shuffle(self.inner(folded), FOLD)
