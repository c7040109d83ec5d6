"""Augmentation of axial crops: placement, size, grey values and slice selection. All crops of a batch at once, in PyTorch."""

from dataclasses import dataclass

import torch

from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS

# Conditions in the order of `domain.anatomy.Condition`: canal, left and right foramen, left and right recess.
SWAPPED_SIDES = (0, 2, 1, 4, 3)


@dataclass(frozen=True)
class CropAugmentOptions:
    """Ranges of the augmentation; each crop is sampled separately."""

    shift: float = 0.08  # fraction of the crop's width and height, in either direction
    rotation_degrees: float = 12.0
    zoom: tuple[float, float] = (0.85, 1.2)  # above 1 magnifies
    stretch: float = 0.12  # of width against height, in either direction
    gamma: float = 0.5  # in log units, in either direction
    contrast: float = 0.3
    noise: float = 0.12  # standard deviations of the image, at most
    blur_probability: float = 0.15
    slice_flip_probability: float = 0.5
    slice_shift_probability: float = 0.15  # a neighbouring slice replaces the slice of the disc
    slice_loss_probability: float = 0.15  # a neighbour is replaced by the middle slice
    mirror_probability: float = 0.5
    erase_probability: float = 0.2


FULL_SIZE = (CROP_ROWS, CROP_COLUMNS)


def augment(
    crops: torch.Tensor, targets: torch.Tensor, options: CropAugmentOptions, generator: torch.Generator, size: tuple[int, int] = FULL_SIZE
) -> tuple[torch.Tensor, torch.Tensor]:
    """Augmented images (n, 3, *size), zero mean and unit variance, and their targets, from `crops` (n, 3, rows, columns) of 0 … 1.

    The sides of `targets` (n, 5) are swapped where a crop is mirrored.
    """
    crops = change_slices(crops, options, generator)
    mirrored = _Draw(len(crops), generator)(0, 1) < options.mirror_probability
    targets = torch.where(mirrored[:, None], targets[:, list(SWAPPED_SIDES)], targets)
    return change(crops, mirrored, options, generator, size), targets


def change(
    crops: torch.Tensor,
    mirrored: torch.Tensor,
    options: CropAugmentOptions,
    generator: torch.Generator,
    size: tuple[int, int],
    nearer: float = 1.0,
    grey: int = 3,
) -> torch.Tensor:
    """Augmented images (n, channels, rows, columns) with given slices and mirroring (n,).

    `nearer` above 1 magnifies all images by that factor. The first `grey` channels are images, the others class masks, which are transformed with the
    images but keep their values.
    """
    draw = _Draw(len(crops), generator)
    placed = _place(crops, mirrored, options, draw, size, nearer)
    x, classes = placed[:, :grey], placed[:, grey:]
    x = x.clamp(0, 1) ** torch.exp(draw(-options.gamma, options.gamma, 1, 1, 1))
    x = standardized(x)
    blurred = draw(0, 1) < options.blur_probability
    if bool(blurred.any()):
        x[blurred] = torch.nn.functional.avg_pool2d(x[blurred], 3, 1, 1, count_include_pad=False)
    x = torch.clamp(x, max=4) * (1 + draw(-options.contrast, options.contrast, 1, 1, 1))
    x = x + draw(0, options.noise, 1, 1, 1) * torch.randn(x.shape, generator=generator)
    _erase(x, options, draw)
    return torch.cat([standardized(x), classes], dim=1)


def standardized(x: torch.Tensor) -> torch.Tensor:
    """Images (n, slices, rows, columns) of zero mean and unit variance each."""
    return (x - x.mean((1, 2, 3), True)) / x.std((1, 2, 3), keepdim=True).clamp_min(1e-3)


@dataclass(frozen=True)
class _Draw:
    """Uniform samples, one or more for each of `count` crops."""

    count: int
    generator: torch.Generator

    def __call__(self, low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.generator)


def change_slices(crops: torch.Tensor, options: CropAugmentOptions, generator: torch.Generator) -> torch.Tensor:
    """`crops` (n, 3, rows, columns) with reordered or duplicated slices."""
    draw = _Draw(len(crops), generator)
    order = torch.tensor([0, 1, 2]).repeat(len(crops), 1)
    order = torch.where((draw(0, 1) < options.slice_flip_probability)[:, None], order.flip(1), order)
    shift = draw(0, 1)
    order = torch.where((shift < options.slice_shift_probability / 2)[:, None], order[:, [0, 0, 1]], order)
    order = torch.where((shift > 1 - options.slice_shift_probability / 2)[:, None], order[:, [1, 2, 2]], order)
    lost = draw(0, 1, 3) < options.slice_loss_probability
    order = torch.where(lost, order[:, 1:2], order)
    return slices_in_order(crops, order)


def slices_in_order(crops: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Slices `order` (n, any) of `crops` (n, slices, rows, columns)."""
    return torch.gather(crops, 1, order[:, :, None, None].expand(-1, -1, *crops.shape[2:]))


def _place(crops: torch.Tensor, mirrored: torch.Tensor, options: CropAugmentOptions, draw: _Draw, size: tuple[int, int], nearer: float = 1.0) -> torch.Tensor:
    """Rotated, scaled, shifted and mirrored views of `size`; 0 beyond the edge of the crop."""
    angle = torch.deg2rad(draw(-options.rotation_degrees, options.rotation_degrees))
    zoom = nearer * torch.exp(draw(*torch.log(torch.tensor(options.zoom)).tolist()))
    stretch = torch.exp(draw(-options.stretch, options.stretch))
    wide, high = crops.shape[3] / crops.shape[2], size[1] / size[0]
    sign = torch.where(mirrored, -1.0, 1.0)
    # From output units, x and y in −1 … 1, to isotropic units for the rotation, and back to input units.
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    theta = torch.zeros(len(crops), 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = sign * cos * stretch * high / wide, -sin / wide
    theta[:, 1, 0], theta[:, 1, 1] = sign * sin * stretch * high, cos
    theta[:, :, 2] = draw(-2 * options.shift, 2 * options.shift, 2)
    grid = torch.nn.functional.affine_grid(theta, [*crops.shape[:2], *size], align_corners=False)
    return torch.nn.functional.grid_sample(crops, grid, align_corners=False)


def _erase(x: torch.Tensor, options: CropAugmentOptions, draw: _Draw) -> None:
    """Blank a random box of some images, in place."""
    chosen = draw(0, 1) < options.erase_probability
    places, sizes = draw(0, 1, 2), draw(0.05, 0.25, 2)
    for index in torch.nonzero(chosen).flatten().tolist():
        top, left = (places[index] * torch.tensor(x.shape[2:])).long().tolist()
        rows, columns = (sizes[index] * torch.tensor(x.shape[2:])).long().tolist()
        x[index, :, top : top + rows, left : left + columns] = 0.0
