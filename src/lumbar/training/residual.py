"""The small residual network that encodes images in all graders of this package."""

from typing import cast

import torch
from torch import nn


class Encoder(nn.Module):
    """A small residual network (He et al. 2016) with squeeze-and-excitation (Hu et al. 2018); images in, mean features (n, channels) out."""

    def __init__(self, features: tuple[int, ...], blocks: tuple[int, ...], inputs: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(inputs, features[0], 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(features[0]), nn.ReLU(inplace=True))
        layers: list[nn.Module] = []
        before = features[0]
        for stage, (channels, count) in enumerate(zip(features, blocks, strict=True)):
            for block in range(count):
                layers.append(ResidualBlock(before, channels, stride=2 if stage and not block else 1))
                before = channels
        self.stages = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mean features (n, channels) of `x` (n, inputs, rows, columns)."""
        features: torch.Tensor = self.stages(self.stem(x))
        return features.mean(dim=(2, 3))


class ResidualBlock(nn.Module):
    """Two convolutions with squeeze-and-excitation and a skip connection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        nn.init.zeros_(cast(torch.Tensor, self.body[-1].weight))  # starts as the identity
        squeezed = max(8, outputs // 8)
        self.gate = nn.Sequential(nn.Linear(outputs, squeezed), nn.ReLU(inplace=True), nn.Linear(squeezed, outputs), nn.Sigmoid())
        self.around: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            pool: nn.Module = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
            self.around = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features at half the size where the stride is 2."""
        y = self.body(x)
        gate = self.gate(y.mean(dim=(2, 3)))
        return torch.relu(y * gate[:, :, None, None] + self.around(x))
