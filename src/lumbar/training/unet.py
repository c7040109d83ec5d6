"""The segmentation network: a plain 2-D U-Net, small enough for a laptop's processor."""

import torch
from torch import nn


class UNet(nn.Module):
    """U-Net with instance normalisation (Ronneberger 2015; Isensee 2021 for the choice of norm and activation).

    Maps images (batch, inputs, rows, columns), each of zero mean and unit variance, to logits (batch, classes, rows, columns). Rows and columns must
    divide by 2 to the power of `len(features) - 1`.
    """

    def __init__(self, classes: int, features: tuple[int, ...], inputs: int = 1) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(_block(a, b) for a, b in zip((inputs, *features[:-1]), features, strict=True))
        pairs = list(zip(features[:0:-1], features[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(deep, shallow, 2, 2) for deep, shallow in pairs)
        self.decoder = nn.ModuleList(_block(2 * shallow, shallow) for _, shallow in pairs)
        self.head = nn.Conv2d(features[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of images."""
        skips: list[torch.Tensor] = []
        for depth, block in enumerate(self.encoder):
            x = block(nn.functional.max_pool2d(x, 2) if depth else x)
            skips.append(x)
        for up, block, skip in zip(self.up, self.decoder, skips[-2::-1], strict=True):
            x = block(torch.cat([up(x), skip], dim=1))
        return self.head(x)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1, bias=False), nn.InstanceNorm2d(outputs, affine=True), nn.LeakyReLU(0.01, inplace=True)]
    return nn.Sequential(*layers)
