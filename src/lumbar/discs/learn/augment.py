"""Augmentation of disc crops: position, rotation, scale and contrast."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from lumbar.discs.crops import BODY, CANAL, COLUMNS, DISC, ROWS, STORED_COLUMNS, STORED_ROWS


@dataclass(frozen=True)
class DiscAugmentOptions:
    """Ranges of the augmentation. All discs of an image share the change of contrast, as grades compare them; geometry is sampled per disc."""

    rotation_degrees: float = 8.0
    scale: float = 0.15  # of the logarithm
    shift: float = 0.07  # of the crop's size
    turn_over: float = 0.5  # probability that the crops of an image are mirrored head to foot
    gamma: float = 0.25  # of the logarithm
    gain: float = 0.12  # likewise
    offset: float = 0.06  # of the grey range
    suppress: float = 0.15  # probability of darkened marrow, as in STIR
    noise: float = 0.05  # largest standard deviation, of the grey range
    blur: float = 0.3  # probability


def disc_input(greys: torch.Tensor, tissues: torch.Tensor) -> torch.Tensor:
    """(n, 3, rows, columns) network input: grey values around 0, the mask of the disc, and canal 1, bone -1."""
    return torch.stack([greys / 100 - 1, (tissues == DISC).float(), (tissues == CANAL).float() - (tissues == BODY).float()], dim=1)


def augment_discs(
    greys: torch.Tensor, tissues: torch.Tensor, images: torch.Tensor, options: DiscAugmentOptions, generator: torch.Generator, size: tuple[int, int]
) -> torch.Tensor:
    """Random network inputs (n, 3, *size) from stored uint8 crops (n, rows, columns) of `images` (n,) 0 … m − 1."""
    count, owners = len(greys), images
    many = int(images.max()) + 1

    def spread(number: int) -> torch.Tensor:
        return torch.rand(number, generator=generator) * 2 - 1

    turned = torch.where(torch.rand(many, generator=generator) < options.turn_over, -1.0, 1.0)[owners]
    angle = torch.deg2rad(spread(count) * options.rotation_degrees)
    scale = torch.exp(spread(count) * options.scale)
    grid = _grid(angle, scale, torch.stack([spread(count), spread(count)], 1) * options.shift, turned, size)
    grey = functional.grid_sample(greys[:, None].float() / 200, grid, mode="bilinear", align_corners=False)[:, 0]
    tissue = functional.grid_sample(tissues[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0].round().long()
    marrow = (torch.rand(many, generator=generator) < options.suppress).float() * (0.3 + 0.5 * torch.rand(many, generator=generator))
    grey = grey * (1 - marrow[owners, None, None] * (tissue == BODY).float())
    gamma = torch.exp(spread(many) * options.gamma)[owners, None, None]
    gain = torch.exp(spread(many) * options.gain)[owners, None, None]
    grey = gain * grey.clamp_min(0) ** gamma + (spread(many) * options.offset)[owners, None, None]
    blurred = functional.avg_pool2d(grey[:, None], 3, stride=1, padding=1, count_include_pad=False)[:, 0]
    chosen = (torch.rand(many, generator=generator) < options.blur)[owners, None, None]
    grey = torch.where(chosen, blurred, grey)
    sigma = (torch.rand(many, generator=generator) * options.noise)[owners, None, None]
    grey = grey + sigma * torch.randn(grey.shape, generator=generator)
    return disc_input(grey.clamp(0, 1.275) * 200, tissue)


def _grid(angle: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, turned: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Sampling grid (n, *size, 2) in the stored crop's coordinates −1 … 1; a scale above 1 magnifies."""
    share = torch.tensor([COLUMNS / STORED_COLUMNS, ROWS / STORED_ROWS])
    half = torch.tensor([STORED_COLUMNS / 2, STORED_ROWS / 2])
    cosine, sine = torch.cos(angle), torch.sin(angle)
    turn = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1) / scale[:, None, None]
    turn = turn @ torch.diag_embed(torch.stack([torch.ones_like(turned), turned], 1))
    matrix = turn * share[None, None, :] * half[None, None, :] / half[None, :, None]
    theta = torch.cat([matrix, (shift * share)[:, :, None]], dim=2)
    grid: torch.Tensor = functional.affine_grid(theta, [len(angle), 1, *size], align_corners=False)
    return grid
