"""Image encoders by name: the small residual network of this package, or any of timm's where timm and torchvision are installed."""

import torch
from torch import nn

from lumbar.errors import UsageError
from lumbar.training.residual import Encoder

# Name → channels of the stages and residual blocks of each. Adding one is a line here; `timm/NAME` needs none.
_RESIDUAL: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "tiny": ((4, 8), (1, 1)),
    "small": ((16, 32, 64, 128), (1, 1, 2, 1)),
    "medium": ((24, 48, 96, 160), (1, 2, 2, 2)),
    "large": ((32, 64, 128, 256), (2, 3, 4, 2)),
}


def build_encoder(name: str, channels: int, pretrained: bool) -> tuple[nn.Module, int]:
    """A module from images (n, channels, rows, columns) to features (n, width), and that width.

    Raises:
        UsageError: there is no encoder `name`, or its package is not installed.
    """
    if name in _RESIDUAL:
        features, blocks = _RESIDUAL[name]
        return Encoder(features, blocks, channels), features[-1]
    family, _, model = name.partition("/")
    if family != "timm" or not model:
        raise UsageError(f"unknown encoder {name!r}; choose from {', '.join(_RESIDUAL)} or timm/NAME")
    try:
        import timm  # noqa: PLC0415  (not part of the training extra: it needs a torchvision that fits PyTorch's build)
    except ModuleNotFoundError as error:
        raise UsageError(f"the encoder {name} needs {error.name}, which is not installed: pip install timm torchvision, builds that fit PyTorch's") from error
    try:
        module = timm.create_model(model, pretrained=pretrained, in_chans=channels, num_classes=0)
    except RuntimeError as error:
        raise UsageError(f"timm has no encoder {model!r} ({error})") from error
    module.eval()
    with torch.no_grad():
        width = int(module(torch.zeros(1, channels, 64, 64)).shape[1])
    return module.train(), width
