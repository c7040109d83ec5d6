"""Random geometry and contrast, strong enough for a network trained on one MR sequence to generalise to others.

The contrast part follows the idea of domain randomisation (Billot et al., SynthSeg, 2023): if grey values carry no information during training, only
shape does. All functions take one image as (rows, columns) and a generator, and return a new image.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.training.examples import IGNORED

FloatImage = NDArray[np.float32]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class AugmentOptions:
    """Ranges of the random changes; each is drawn uniformly, each contrast change with its own probability."""

    rotation_degrees: float = 30.0
    scale: tuple[float, float] = (0.75, 1.35)  # above 1 magnifies
    shear: float = 0.15
    remap_probability: float = 0.5  # random piecewise-linear grey curve, not always rising
    tissue_probability: float = 0.4  # every labelled tissue gets its own gain and offset
    field_probability: float = 0.4
    degrade_probability: float = 0.4
    noise_probability: float = 0.5
    void_probability: float = 0.1  # a patch without signal, as metal leaves


def random_view(image: FloatImage, labels: Labels, shape: tuple[int, int], zoom: float, options: AugmentOptions, rng: Generator) -> tuple[FloatImage, Labels]:
    """A randomly turned, sheared, scaled and placed view of `shape`; `zoom` is source pixels per pixel of the view."""
    angle = np.deg2rad(rng.uniform(-1, 1) * options.rotation_degrees)
    scale = np.exp(rng.uniform(*np.log(options.scale)))
    shear = rng.uniform(-1, 1, 2) * options.shear
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, shear[0]], [shear[1], 1]]) * zoom / scale
    spread = np.maximum(np.array(image.shape) - np.array(shape) * zoom / scale, 0) / 2 + 12
    centre = np.array(image.shape) / 2 + rng.uniform(-1, 1, 2) * spread
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in shape)
    grid = matrix[:, 0, None, None] * rows[None, :, None] + matrix[:, 1, None, None] * columns[None, None, :] + centre[:, None, None]
    unit = 2 * grid / (np.array(image.shape)[:, None, None] - 1) - 1
    points = torch.from_numpy(unit[::-1].transpose(1, 2, 0)[None].astype(np.float32).copy())
    view = _sample(image, points, "bilinear")
    return view, _sample(labels.astype(np.float32), points, "nearest").astype(np.uint8)


def _sample(image: FloatImage, points: torch.Tensor, mode: str) -> FloatImage:
    source = torch.from_numpy(image)[None, None]
    return torch.nn.functional.grid_sample(source, points, mode=mode, align_corners=True)[0, 0].numpy()


def random_contrast(image: FloatImage, labels: Labels, options: AugmentOptions, rng: Generator) -> FloatImage:
    """The same anatomy with the contrast of another sequence, coil and scanner; zero mean and unit variance."""
    low, high = np.percentile(image, (0.5, 99.5))
    image = np.clip((image - low) / max(high - low, 1e-6), 0, 1.2).astype(np.float32)
    if rng.random() < options.tissue_probability:
        image = _change_tissues(image, labels, rng)
    image = np.clip(image, 0, None) ** np.float32(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < options.remap_probability:
        image = _remap(image, rng)
    if rng.random() < options.field_probability:
        image = image * _smooth_field(image.shape, rng)
    if rng.random() < options.degrade_probability:
        image = _degrade(image, rng)
    if rng.random() < options.void_probability:
        image = _void(image, rng)
    if rng.random() < options.noise_probability:
        sigma = rng.uniform(0.01, 0.12)
        image = np.hypot(image + rng.normal(0, sigma, image.shape), rng.normal(0, sigma, image.shape))
    return ((image - image.mean()) / max(float(image.std()), 1e-6)).astype(np.float32)


def _change_tissues(image: FloatImage, labels: Labels, rng: Generator) -> FloatImage:
    labels = np.where(labels == IGNORED, 0, labels)
    classes = int(labels.max()) + 1
    gain = np.exp(rng.uniform(-0.6, 0.6, classes)).astype(np.float32)
    offset = rng.uniform(-0.35, 0.35, classes).astype(np.float32)
    offset[0] *= 0.3
    smooth = [ndimage.gaussian_filter(table[labels], 0.7) for table in (gain, offset)]
    return image * smooth[0] + smooth[1]


def _remap(image: FloatImage, rng: Generator) -> FloatImage:
    knots = int(rng.integers(3, 7))
    x = np.concatenate([[0], np.sort(rng.uniform(0.05, 0.95, knots)), [1.2]])
    y = rng.uniform(0, 1, knots + 2)
    if rng.random() < 0.5:  # half of the curves only rise or only fall
        y = np.sort(y)[:: 1 if rng.random() < 0.6 else -1]
    return np.interp(image, x, y).astype(np.float32)


def _smooth_field(shape: tuple[int, ...], rng: Generator) -> FloatImage:
    coarse = torch.from_numpy(rng.normal(0, 0.35, (1, 1, 4, 4)).astype(np.float32))
    return torch.exp(torch.nn.functional.interpolate(coarse, size=shape, mode="bicubic", align_corners=True))[0, 0].numpy()


def _degrade(image: FloatImage, rng: Generator) -> FloatImage:
    """Blur or coarser pixels along one or both axes, or the opposite: a sharpened image with ringing edges."""
    kind = rng.random()
    if kind < 0.4:
        return ndimage.gaussian_filter(image, rng.uniform(0.3, 1.6, 2))
    if kind < 0.75:
        coarse = [max(8, int(n / f)) for n, f in zip(image.shape, rng.uniform(1, 2.5, 2), strict=True)]
        small = torch.nn.functional.interpolate(torch.from_numpy(image)[None, None], size=coarse, mode="area")
        return torch.nn.functional.interpolate(small, size=image.shape, mode="bilinear", align_corners=False)[0, 0].numpy()
    return np.clip(image + rng.uniform(0.3, 1.2) * (image - ndimage.gaussian_filter(image, rng.uniform(0.7, 2.0))), 0, None)


def _void(image: FloatImage, rng: Generator) -> FloatImage:
    centre = rng.uniform(0, 1, 2) * image.shape
    radius = rng.uniform(5, 28, 2)
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    distance = ((rows - centre[0]) / radius[0]) ** 2 + ((columns - centre[1]) / radius[1]) ** 2
    return (image * np.clip(distance - 0.5, 0, 1)).astype(np.float32)
