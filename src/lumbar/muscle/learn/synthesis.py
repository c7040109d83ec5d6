"""Synthesis of fatty infiltration and of other contrasts from a Dixon water and fat pair.

Infiltration moves a fraction of the water signal of a muscle to the fat signal. Another sequence is simulated by a curve of the water signal plus a curve
of the fat signal.
"""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

FloatImage = NDArray[np.float32]
Labels = NDArray[np.uint8]


def infiltrate(water: FloatImage, fat: FloatImage, labels: Labels, rng: Generator) -> tuple[FloatImage, FloatImage]:
    """Replace a random fraction of each muscle by fat, in streaks and patches, with the same statistics but different patterns on both sides."""
    pattern = _pattern(labels.shape, rng)
    share = np.zeros(labels.shape, np.float32)
    for pair in ((1, 4), (2, 3)):
        wanted = rng.beta(1.0, 3.0)
        for label in pair:
            inside = labels == label
            if inside.sum() > 50:
                cut = np.quantile(pattern[inside], 1 - np.clip(wanted * rng.uniform(0.7, 1.3), 0, 0.9))
                share[inside] = 1 / (1 + np.exp(-(pattern[inside] - cut) * rng.uniform(2, 12)))
    share = ndimage.gaussian_filter(share, rng.uniform(0.3, 0.8)) * np.float32(rng.uniform(0.5, 1))
    return water * (1 - share), fat + water * share


def _pattern(shape: tuple[int, ...], rng: Generator) -> FloatImage:
    """Noise of unit variance at three scales, elongated in a random direction."""
    total = np.zeros(shape, np.float32)
    for every in (3, 7, 18):
        counts = [max(2, int(n / every * stretch)) for n, stretch in zip(shape, np.exp(rng.uniform(-0.5, 0.5, 2)), strict=True)]
        coarse = torch.from_numpy(rng.normal(0, 1, (1, 1, *counts)).astype(np.float32))
        layer = torch.nn.functional.interpolate(coarse, size=shape, mode="bilinear", align_corners=False)[0, 0].numpy()
        total += layer * np.float32(rng.uniform(0.3, 1))
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)


def contrasts(water: FloatImage, fat: FloatImage) -> dict[str, FloatImage]:
    """The four fixed contrasts of one Dixon pair on a common scale: both images themselves, and mixtures that resemble T1 and T2.

    T1: fat bright, muscle a third as bright. T2: fat bright, muscle dark, brighter water (discs, fluid) bright.
    """
    bright = np.interp(water, (0, 0.5, 0.8, 1.2, 2.0), (0, 0.12, 0.18, 0.6, 0.9))
    return {
        "water": water,
        "fat": fat,
        "t1": np.asarray(fat + 0.45 * water, dtype=np.float32),
        "t2": np.asarray(0.7 * fat + bright, dtype=np.float32),
    }
