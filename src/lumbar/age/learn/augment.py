"""Augmentation of crops: position of the level and appearance of the scanner (needs lumbar[train])."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class AgeAugmentOptions:
    """Sizes of the changes; 0 turns one off."""

    turn_degrees: float = 6.0  # standard deviations
    zoom: float = 0.05
    shift_pixels: float = 1.6
    gamma: float = 0.18  # of the logarithm of the exponent
    gain: float = 0.08
    offset: float = 0.05
    tilt: float = 0.12  # brightness changes so much from edge to edge
    noise: float = 0.04  # largest standard deviation
    blur_probability: float = 0.3


def augment(crops: Tensor, size: tuple[int, int], options: AgeAugmentOptions, generator: torch.Generator) -> Tensor:
    """Crops (people, levels, slices, rows, columns) rotated, zoomed, shifted, cropped to `size` and changed in contrast.

    Geometry changes by level and alike for its slices; grey values by person, alike for all levels, because levels are compared with each other.
    """
    people, levels, slices = crops.shape[:3]
    moved = _moved(crops.reshape(people * levels, slices, *crops.shape[3:]), size, options, generator).view(people, levels, slices, *size)

    def normal(spread: float) -> Tensor:
        return spread * torch.randn(people, 1, 1, 1, 1, generator=generator)

    shown = moved.clamp_min(0) ** normal(options.gamma).exp() * (1 + normal(options.gain)) + normal(options.offset)
    ramps = [torch.linspace(-0.5, 0.5, n).view(shape) for n, shape in ((size[0], (1, 1, 1, -1, 1)), (size[1], (1, 1, 1, 1, -1)))]
    shown = shown * (1 + sum(normal(options.tilt) * ramp for ramp in ramps))
    if float(torch.rand(1, generator=generator)) < options.blur_probability:
        flat = shown.reshape(-1, 1, *size)
        shown = functional.avg_pool2d(functional.pad(flat, (1, 1, 1, 1), mode="replicate"), 3, stride=1).view_as(shown) * 0.5 + 0.5 * shown
    level = options.noise * torch.rand(people, 1, 1, 1, 1, generator=generator)
    return shown + level * torch.randn(shown.shape, generator=generator)


def inner(crops: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of crops (…, rows, columns)."""
    top, left = (crops.shape[-2] - size[0]) // 2, (crops.shape[-1] - size[1]) // 2
    return crops[..., top : top + size[0], left : left + size[1]]


def _moved(crops: Tensor, size: tuple[int, int], options: AgeAugmentOptions, generator: torch.Generator) -> Tensor:
    """Crops (n, slices, rows, columns), each sampled on a turned, zoomed and shifted grid of `size`."""
    n, _, rows, columns = crops.shape
    angle = torch.deg2rad(options.turn_degrees * torch.randn(n, generator=generator))
    zoom = (options.zoom * torch.randn(n, generator=generator)).exp()
    shift = options.shift_pixels * torch.randn(n, 2, generator=generator)
    r, c = torch.meshgrid(*(torch.arange(k) - (k - 1) / 2 for k in size), indexing="ij")
    cos, sin = (torch.cos(angle) * zoom)[:, None, None], (torch.sin(angle) * zoom)[:, None, None]
    row = cos * r - sin * c + shift[:, 0, None, None]
    column = sin * r + cos * c + shift[:, 1, None, None]
    grid = torch.stack([2 * column / (columns - 1), 2 * row / (rows - 1)], dim=-1)
    return functional.grid_sample(crops, grid, mode="bilinear", padding_mode="border", align_corners=True)
