"""Synthesis of fatty infiltration and of other contrasts from a Dixon water and fat pair.

Infiltration moves a fraction of the water signal of a muscle to the fat signal. Another sequence is simulated by a curve of the water signal plus a curve
of the fat signal.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.training.augment import AugmentOptions, random_contrast
from lumbar.training.examples import IGNORED

FloatImage = NDArray[np.float32]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class SynthesisOptions:
    """Probabilities of the changes."""

    infiltration_probability: float = 0.6
    retreat_probability: float = 0.3  # muscle replaced by fat along its fascia or bone
    septum_probability: float = 0.5  # a line of fat or fascia along the muscles' borders
    pure_probability: float = 0.35  # the water or the fat image unchanged
    mild_probability: float = 0.45  # `mild` instead of `contrast`, as in real images
    coil_probability: float = 0.4  # signal decay from back to front, as with posterior coils
    contrast: AugmentOptions = field(
        default_factory=lambda: AugmentOptions(
            tissue_probability=0.3, remap_probability=0.35, field_probability=0.6, noise_probability=0.4, void_probability=0.05
        )
    )
    mild: AugmentOptions = field(
        default_factory=lambda: AugmentOptions(
            tissue_probability=0.0, remap_probability=0.0, field_probability=0.5, degrade_probability=0.25, noise_probability=0.3, void_probability=0.0
        )
    )


def random_image(water: FloatImage, fat: FloatImage, labels: Labels, options: SynthesisOptions, rng: Generator) -> FloatImage:
    """One image (rows, columns) of zero mean and unit variance, of a random sequence and a random degree of fatty infiltration."""
    if rng.random() < options.infiltration_probability:
        water, fat = infiltrate(water, fat, labels, rng)
    if rng.random() < options.septum_probability:
        water, fat = _draw_septa(water, fat, labels, rng)
    contrast = options.mild if rng.random() < options.mild_probability else options.contrast
    image = _sequence(water, fat, options, rng)
    if rng.random() < options.coil_probability:
        image = image * coil_gain(image.shape, rng)
    return random_contrast(image, tissues(water, fat), contrast, rng)


def coil_gain(shape: tuple[int, ...], rng: Generator) -> FloatImage:
    """Sensitivity of posterior coils, 1 in the last row: it decays towards the front, and from near the middle to the sides."""
    rows, columns = (np.linspace(0, 1, n, dtype=np.float32) for n in shape)
    across = rng.uniform(0, 1.5) * np.square(columns - rng.uniform(0.35, 0.65))
    return np.asarray(np.exp(-rng.uniform(0.3, 2.5) * (1 - rows)[:, None] - across[None]), np.float32)


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


def retreat(water: FloatImage, fat: FloatImage, labels: Labels, pixel_mm: float, rng: Generator) -> tuple[FloatImage, FloatImage, Labels]:
    """Replace patches of the outermost muscle by fat, up to some millimetres deep; these pixels lose their label, as readers exclude them."""
    muscle = (labels > 0) & (labels != IGNORED)
    depth_mm = ndimage.distance_transform_edt(labels > 0) * pixel_mm
    coarse = torch.from_numpy(rng.normal(0, 1, (1, 1, 4, 7)).astype(np.float32))
    wave = torch.nn.functional.interpolate(coarse, size=labels.shape, mode="bicubic", align_corners=True)[0, 0].numpy()
    lost = muscle & (depth_mm < rng.uniform(1, 6) * (wave - rng.uniform(0, 0.6)))
    share = ndimage.gaussian_filter(lost.astype(np.float32), 0.7) * np.float32(rng.uniform(0.75, 1))
    return water * (1 - share), fat + water * share, np.where(lost, 0, labels).astype(np.uint8)


def tissues(water: FloatImage, fat: FloatImage) -> Labels:
    """Rough tissues by their fat share and water signal: 0 air, 1 and 2 watery, dark and bright, 3 mixed, 4 fat."""
    total = water + fat
    ratio = fat / np.maximum(total, 1e-6)
    kind = np.select([total < 0.15, ratio > 0.75, ratio > 0.35, water > 0.8], [0, 4, 3, 2], default=1)
    return kind.astype(np.uint8)


def _sequence(water: FloatImage, fat: FloatImage, options: SynthesisOptions, rng: Generator) -> FloatImage:
    """A curve of the water plus a fraction of the fat."""
    if rng.random() < options.pure_probability:
        return water if rng.random() < 0.5 else fat
    kind = rng.random()
    if kind < 0.2:  # in and opposed phase
        return np.asarray(np.abs(water + rng.choice([-1.0, 1.0]) * fat), dtype=np.float32)
    if kind < 0.45:  # T1-like: fat bright, muscle half as bright
        return (fat + water * rng.uniform(0.15, 0.6)).astype(np.float32)
    # T2-like: fat bright to middling, muscle dark, other watery tissue anything
    knots = np.array([0, 0.35, 0.6, 0.8, 1.1, 2.0])
    muscle = rng.uniform(0.05, 0.35)
    levels = np.array([0, muscle * 0.8, muscle, muscle * rng.uniform(0.9, 1.4), rng.uniform(0.05, 0.9), rng.uniform(0.05, 1.2)])
    return np.asarray(fat * rng.uniform(0.4, 1.1) + np.interp(water, knots, levels), dtype=np.float32)


def _pattern(shape: tuple[int, ...], rng: Generator) -> FloatImage:
    """Noise of unit variance at three scales, elongated in a random direction."""
    total = np.zeros(shape, np.float32)
    for every in (3, 7, 18):
        counts = [max(2, int(n / every * stretch)) for n, stretch in zip(shape, np.exp(rng.uniform(-0.5, 0.5, 2)), strict=True)]
        coarse = torch.from_numpy(rng.normal(0, 1, (1, 1, *counts)).astype(np.float32))
        layer = torch.nn.functional.interpolate(coarse, size=shape, mode="bilinear", align_corners=False)[0, 0].numpy()
        total += layer * np.float32(rng.uniform(0.3, 1))
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)


def _draw_septa(water: FloatImage, fat: FloatImage, labels: Labels, rng: Generator) -> tuple[FloatImage, FloatImage]:
    """Fat between the muscles, or a fascia without signal around them, of random strength."""
    highest = ndimage.grey_dilation(labels, size=3)
    edge = (highest != ndimage.grey_erosion(labels, size=3)) & (highest != IGNORED)
    line = ndimage.gaussian_filter(edge.astype(np.float32), rng.uniform(0.5, 1.1))
    line = np.clip(line / max(float(line.max()), 1e-6), 0, 1) * np.float32(rng.uniform(0.3, 1))
    if rng.random() < 0.6:
        return water * (1 - line), fat + water * line
    return water * (1 - line), fat * (1 - line)


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
