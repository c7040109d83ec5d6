"""The contrast of other sequences, coils and scanners on training slices, for a whole batch at once.

The curve that maps grey values is anchored at the grey value of the muscles and at that of fat, so that slices of one sequence resemble T1, T2,
Dixon water and Dixon fat; random curves that resemble no sequence are used as well (Billot et al., SynthSeg, 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from lumbar.muscle.learn.grey_slices import GreySlice
from lumbar.muscle.learn.partial_labels import UNSURE

_TOP = 1.5  # end of the curves: half as bright again as fat


@dataclass(frozen=True)
class ContrastOptions:
    """How often each change is made."""

    like_t2: float = 0.25  # shares of the curves; the rest are gamma curves
    like_water: float = 0.2
    any_rising: float = 0.12
    anything: float = 0.1
    tissue_probability: float = 0.2
    field_probability: float = 0.5
    degrade_probability: float = 0.4
    window_probability: float = 0.4
    noise_probability: float = 0.4
    void_probability: float = 0.08


def random_images(planes: torch.Tensor, labels: torch.Tensor, chosen: Sequence[GreySlice], options: ContrastOptions, rng: Generator) -> torch.Tensor:
    """(batch, rows, columns) images, about 0 to 1, from the planes (batch, 2, rows, columns) of `chosen` seen through the same views."""
    images = torch.empty_like(planes[:, 0])
    for k, one in enumerate(chosen):
        if len(one.planes) == 2:
            images[k] = _of_pair(planes[k] / 100.0, options, rng)
        else:
            images[k] = _mapped(planes[k, 0] / one.bright, one.muscle / one.bright, options, rng)
        if rng.random() < options.tissue_probability:
            images[k] *= _tissue_gain(labels[k], rng)
        images[k] = _scanned(images[k], options, rng)
    return images


def _of_pair(pair: torch.Tensor, options: ContrastOptions, rng: Generator) -> torch.Tensor:
    """An image from water and fat, whose muscle water is 0.7 and whose fat is about 1."""
    water, fat = pair
    kind = rng.random()
    if kind < 0.25:
        image = water
    elif kind < 0.45:
        image = fat
    elif kind < 0.65:
        image = fat + water * rng.uniform(0.15, 0.6)
    elif kind < 0.9:
        muscle = rng.uniform(0.05, 0.35)
        knots = [0, 0.35, 0.6, 0.8, 1.1, 2.0]
        image = fat * rng.uniform(0.4, 1.1) + _curve(water, knots, [0, muscle * 0.8, muscle, muscle * rng.uniform(0.9, 1.4), *rng.uniform(0.05, 1.0, 2)])
    else:
        image = (water + rng.choice([-1.0, 1.0]) * fat).abs()
    image = image / float(torch.quantile(image.flatten()[::7], 0.98).clamp_min(1e-3))
    if rng.random() < 0.25:
        return _random_curve(image, rng.random() < 0.6, rng)
    return image.clamp_min(0) ** float(np.exp(rng.uniform(-0.5, 0.5)))


def _mapped(image: torch.Tensor, muscle: float, options: ContrastOptions, rng: Generator) -> torch.Tensor:
    """`image`, whose fat is 1 and whose muscle is `muscle`, with another curve."""
    kind = rng.random()
    muscle = min(muscle, 0.85)
    between = (muscle + 1) / 2
    if kind < options.like_t2:
        dark = rng.uniform(0.04, 0.3)
        return _curve(image, [0, muscle, between, 1, _TOP], [rng.uniform(0, 0.5) * dark, dark, rng.uniform(dark, 0.9), 1, rng.uniform(1, 1.4)])
    kind -= options.like_t2
    if kind < options.like_water:
        bright = rng.uniform(0.5, 1)
        return _curve(
            image, [0, 0.5 * muscle, muscle, between, 1, _TOP], [0, rng.uniform(0.2, 0.7) * bright, bright, rng.uniform(0.1, 0.8), *rng.uniform(0, 0.35, 2)]
        )
    kind -= options.like_water
    if kind < options.any_rising + options.anything:
        return _random_curve(image, kind < options.any_rising, rng)
    return image.clamp_min(0) ** float(np.exp(rng.uniform(-0.6, 0.6)))


def _random_curve(image: torch.Tensor, rising: bool, rng: Generator) -> torch.Tensor:
    knots = int(rng.integers(3, 7))
    x = np.concatenate([[0], np.sort(rng.uniform(0.05, 1.1, knots)), [_TOP]])
    y = rng.uniform(0, 1, knots + 2)
    return _curve(image, x, np.sort(y) if rising else y)


def _curve(image: torch.Tensor, x: Sequence[float] | NDArray[np.float64], y: Sequence[float] | NDArray[np.float64]) -> torch.Tensor:
    """Piecewise-linear curve through (x, y), level beyond its ends."""
    return torch.from_numpy(np.interp(image.numpy(), x, y).astype(np.float32))


def _tissue_gain(labels: torch.Tensor, rng: Generator) -> torch.Tensor:
    """Every labelled tissue gets its own gain, with soft borders."""
    gains = np.exp(rng.uniform(-0.5, 0.5, UNSURE + 1)).astype(np.float32)
    gains[[0, UNSURE]] = 1
    gain = torch.from_numpy(gains)[labels]
    return torch.nn.functional.avg_pool2d(gain[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]


def _scanned(image: torch.Tensor, options: ContrastOptions, rng: Generator) -> torch.Tensor:
    """Coils, blur, noise and window of another scanner; metal."""
    if rng.random() < options.field_probability:
        coarse = torch.from_numpy(rng.normal(0, rng.uniform(0.1, 0.5), (1, 1, 4, 4)).astype(np.float32))
        image = image * torch.nn.functional.interpolate(coarse, size=image.shape, mode="bicubic", align_corners=True)[0, 0].exp()
    if rng.random() < options.degrade_probability:
        image = _degraded(image, rng)
    if rng.random() < options.void_probability:
        image = _with_metal(image, rng)
    if rng.random() < options.noise_probability:
        sigma = float(rng.uniform(0.01, 0.1))
        image = torch.hypot(image + sigma * torch.randn_like(image), sigma * torch.randn_like(image))
    if rng.random() < options.window_probability:
        image = image.clamp(max=float(torch.quantile(image.flatten()[::7], rng.uniform(0.9, 0.995))))
    return image


def _degraded(image: torch.Tensor, rng: Generator) -> torch.Tensor:
    """Coarser pixels along one or both axes, or a sharpened image."""
    if rng.random() < 0.75:
        small = [max(8, int(n / f)) for n, f in zip(image.shape, rng.uniform(1, 2.6, 2), strict=True)]
        coarse = torch.nn.functional.interpolate(image[None, None], size=small, mode="area")
        return torch.nn.functional.interpolate(coarse, size=image.shape, mode="bilinear", align_corners=False)[0, 0]
    smooth = torch.nn.functional.avg_pool2d(image[None, None], 3, stride=1, padding=1)[0, 0]
    return (image + float(rng.uniform(0.3, 1.5)) * (image - smooth)).clamp_min(0)


def _with_metal(image: torch.Tensor, rng: Generator) -> torch.Tensor:
    """One to three patches without signal, some with a bright rim, as screws leave them."""
    rows, columns = (torch.arange(n, dtype=torch.float32) for n in image.shape)
    for _ in range(int(rng.integers(1, 4))):
        middle = rng.uniform(0.1, 0.95, 2) * image.shape
        radius = rng.uniform(4, 24, 2)
        distance = torch.hypot((rows[:, None] - float(middle[0])) / float(radius[0]), (columns[None] - float(middle[1])) / float(radius[1]))
        image = image * (2 * distance - 1).clamp(0, 1)
        if rng.random() < 0.5:
            image = image + float(rng.uniform(0.3, 1.2)) * torch.exp(-(((distance - 1.1) / 0.15) ** 2))
    return image
