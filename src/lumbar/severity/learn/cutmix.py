"""Blending training images and their labels: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class MixOptions:
    """Probabilities and strength of mixup and CutMix."""

    mixup_probability: float = 0.3  # of a batch
    cutmix_probability: float = 0.15  # of a batch that is not mixed up
    mixup_alpha: float = 0.4  # of the beta distribution of shares
    cut_share: tuple[float, float] = (0.1, 0.4)  # of the image that a pasted box covers


def mix(
    images: Sequence[torch.Tensor], labels: torch.Tensor, partner: torch.Tensor, options: MixOptions, generator: torch.Generator
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """`images` (n, …, rows, columns) blended with those of their `partner` (n,), and `labels` (n, …, 3) likewise; or both unchanged.

    Where one of two labels is unknown (all zeros) the other is used. A box is pasted at the same position in all images.
    """
    draw = float(torch.rand(1, generator=generator))
    if draw < options.mixup_probability:
        share = _beta(len(labels), options.mixup_alpha, generator)
        share = torch.maximum(share, 1 - share)
        mixed = [_along(share, x) * x + (1 - _along(share, x)) * x[partner] for x in images]
        return mixed, _blend(labels, partner, share)
    if draw < options.mixup_probability + (1 - options.mixup_probability) * options.cutmix_probability:
        low, high = options.cut_share
        area = low + (high - low) * float(torch.rand(1, generator=generator))
        corner = torch.rand(2, generator=generator) * (1 - area**0.5)
        pasted = []
        for x in images:
            top, left = (int(float(c) * n) for c, n in zip(corner, x.shape[-2:], strict=True))
            rows, columns = (max(1, round(area**0.5 * n)) for n in x.shape[-2:])
            box = ..., slice(top, top + rows), slice(left, left + columns)
            changed = x.clone()
            changed[box] = x[partner][box]
            pasted.append(changed)
        return pasted, _blend(labels, partner, torch.full((len(labels),), 1 - area))
    return list(images), labels


def _beta(count: int, alpha: float, generator: torch.Generator) -> torch.Tensor:
    """Samples of Beta(α, α) from pairs of gamma samples."""
    shape = torch.full((2, count), alpha)
    first, second = torch._standard_gamma(shape, generator=generator)
    return first / (first + second).clamp_min(1e-12)


def _along(share: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return share.reshape(-1, *[1] * (x.ndim - 1))


def _blend(labels: torch.Tensor, partner: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    other = labels[partner]
    both = (other.sum(-1, keepdim=True) > 0) & (labels.sum(-1, keepdim=True) > 0)
    part = _along(share, labels)
    return torch.where(both, part * labels + (1 - part) * other, labels)
