"""Geometric augmentation of axial slices.

Besides rotation, scaling and shearing, two kinds of smooth deformation are applied: a symmetric one, which widens some depths and some distances from the
midline at the cost of others (multifidus against erector spinae, thick against thin subcutaneous fat), and a free one (random displacements at two
scales), which makes the sides differ.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from lumbar.muscle.labels import MIRRORED
from lumbar.training.examples import IGNORED

FloatImage = NDArray[np.float32]
Labels = NDArray[np.uint8]


class Origin(Enum):
    """Source of a slice."""

    PERSON = "person"
    PHANTOM = "phantom"  # cut from a three-dimensional phantom
    DRAWN = "drawn"  # a drawn slice
    STRIP = "strip"  # the middle of a person's back, pseudo-labelled by a network


MUSCLE_GREY = 0.7  # median grey value of muscle water after scaling
UNKNOWN = IGNORED  # label of pixels excluded from the loss
_CLASSES = (*range(len(MIRRORED)), UNKNOWN)
_MIRRORED = np.array([*MIRRORED, *range(len(MIRRORED), 256)], np.uint8)


@dataclass(frozen=True, eq=False)
class AxialSlice:
    """One axial image pair with its reference labels; rows run from front to back, columns from the patient's right to the left."""

    patient: str
    water: FloatImage  # (rows, columns), muscle near 1; for an image other than Dixon water, the image itself
    fat: FloatImage  # same scale as the water: a voxel of pure fat and one of pure water are about equally bright
    labels: Labels  # numbers of `muscle/labels.py`, or UNKNOWN
    pixel_mm: float  # square pixels
    origin: Origin = Origin.PERSON


@dataclass(frozen=True)
class ViewOptions:
    """Ranges of the random geometry; drawn uniformly, or from a normal distribution where a spread is given."""

    least_strength: float = 0.1  # each view applies a random fraction of all deformations, from this to 1: most people are not extreme
    rotation_degrees: float = 12.0
    scale: tuple[float, float] = (0.7, 1.4)  # above 1 magnifies
    stretch: float = 0.25  # log ratio of the transverse and sagittal scales
    shear: float = 0.12
    symmetric_spread: float = 0.3  # log slope of each 12 mm strip of the symmetric deformation
    taper: tuple[float, float] = (-0.2, 0.3)  # relative thinning of the back over 60 mm to the side
    phantom_taper: tuple[float, float] = (0.0, 0.9)  # phantoms have blunter muscles than people
    lift_mm: float = 8.0  # displacement there, forwards or backwards
    free_coarse_mm: float = 6.0  # standard deviation of displacements every 64 mm
    free_fine_mm: float = 2.5  # every 24 mm
    jitter_mm: tuple[float, float] = (30.0, 25.0)  # offset of the view from the middle of the muscles, down and across
    frame_probability: float = 0.5  # a smaller field of view: padding outside a random frame
    strip_probability: float = 0.1  # a field of view that ends within the erector spinae on both sides


def random_view(example: AxialSlice, shape: tuple[int, int], pixel_mm: float, options: ViewOptions, rng: Generator) -> tuple[FloatImage, FloatImage, Labels]:
    """(water, fat, labels) of `shape` at `pixel_mm`, randomly deformed, placed and mirrored."""
    where = _points_mm(shape, pixel_mm, options, options.phantom_taper if example.origin is Origin.PHANTOM else options.taper, rng)
    inside = (example.labels > 0) & (example.labels != UNKNOWN)
    middle = np.argwhere(inside).mean(axis=0) if inside.any() else np.array(example.labels.shape) / 2
    index = where / example.pixel_mm + (middle + rng.uniform(-4, 4, 2))[:, None, None]
    classes = np.array(_CLASSES)[:, None, None] == example.labels[None]
    planes = np.concatenate([example.water[None], example.fat[None], classes]).astype(np.float32)
    seen = _sample(planes, index)
    labels = np.array(_CLASSES, np.uint8)[seen[2:].argmax(axis=0)]
    labels[seen[2:].max(axis=0) < 0.25] = 0  # beyond the image
    water, fat = seen[0], seen[1]
    if rng.random() < 0.5:
        water, fat, labels = water[:, ::-1], fat[:, ::-1], _MIRRORED[labels[:, ::-1]]
    return np.ascontiguousarray(water), np.ascontiguousarray(fat), np.ascontiguousarray(labels)


def random_frame(shape: tuple[int, int], options: ViewOptions, rng: Generator) -> tuple[slice, slice]:
    """The rows and columns of a random smaller field of view; often all of them."""
    kind = rng.random()
    if kind < options.strip_probability:
        width, middle = rng.uniform(0.3, 0.55) * shape[1], rng.uniform(0.42, 0.58) * shape[1]
        return slice(0, shape[0]), slice(int(max(0, middle - width / 2)), int(middle + width / 2))
    if kind >= options.strip_probability + options.frame_probability:
        return slice(0, shape[0]), slice(0, shape[1])
    low = rng.uniform(0, 0.2, 2) * shape
    high = shape - rng.uniform(0, 0.2, 2) * shape
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _points_mm(shape: tuple[int, int], pixel_mm: float, options: ViewOptions, taper: tuple[float, float], rng: Generator) -> NDArray[np.float64]:
    """(2, rows, columns) source position of each pixel of the view, in mm from the middle of the muscles."""
    rows, columns = ((np.arange(n) - (n - 1) / 2) * pixel_mm for n in shape)
    here = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    here = here + (rng.uniform(-1, 1, 2) * options.jitter_mm)[:, None, None]
    strength = rng.uniform(options.least_strength, 1)
    angle = np.deg2rad(rng.uniform(-1, 1) * options.rotation_degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1, rng.uniform(-1, 1) * options.shear * strength], [rng.uniform(-1, 1) * options.shear * strength, 1]])
    scale = np.exp(rng.uniform(*np.log(options.scale)) * strength)
    ratio = np.exp(np.array([0.5, -0.5]) * rng.uniform(-1, 1) * options.stretch * strength)
    matrix = np.diag(ratio / scale) @ shear @ turn
    there = np.einsum("ij,jrc->irc", matrix, here)
    spread = options.symmetric_spread * strength
    across = _bend(np.abs(there[1]), spread, rng, 0.0) * np.sign(there[1])
    beside = np.clip(np.abs(there[1]) / 60.0, 0, 1.3)
    down = _bend(there[0], spread, rng, -120.0) * (1 + rng.uniform(*taper) * beside) + rng.uniform(-1, 1) * options.lift_mm * strength * beside**2
    free = _field(shape, pixel_mm, 64.0, options.free_coarse_mm * strength, rng) + _field(shape, pixel_mm, 24.0, options.free_fine_mm * strength, rng)
    return np.stack([down, across]) + free


def _bend(distance_mm: NDArray[np.float64], spread: float, rng: Generator, start_mm: float) -> NDArray[np.float64]:
    """A monotone piecewise map of distances that fixes 0 and has a random slope every 12 mm, slightly smoothed at its knots."""
    knots = start_mm + 12.0 * np.arange(22)
    slopes = np.exp(rng.normal(0, spread, len(knots) - 1))
    slopes = np.convolve(np.pad(slopes, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    bent = np.concatenate([[0], np.cumsum(12.0 * slopes)])
    bent -= np.interp(0.0, knots, bent)
    return np.asarray(np.interp(distance_mm, knots, bent))


def _field(shape: tuple[int, int], pixel_mm: float, every_mm: float, spread_mm: float, rng: Generator) -> NDArray[np.float64]:
    counts = [int(np.ceil(n * pixel_mm / every_mm)) + 2 for n in shape]
    coarse = torch.from_numpy(rng.normal(0, spread_mm * rng.uniform(0.2, 1), (1, 2, *counts)))
    return np.asarray(torch.nn.functional.interpolate(coarse, size=shape, mode="bicubic", align_corners=True)[0].numpy())


def _sample(planes: NDArray[np.float32], index: NDArray[np.float64]) -> NDArray[np.float32]:
    """Linear samples (planes, rows, columns) at fractional pixel indices (2, rows, columns); 0 outside."""
    unit = 2 * index / (np.array(planes.shape[1:])[:, None, None] - 1) - 1
    points = torch.from_numpy(unit[::-1].transpose(1, 2, 0)[None].astype(np.float32).copy())
    seen = torch.nn.functional.grid_sample(torch.from_numpy(planes)[None], points, mode="bilinear", align_corners=True)
    return np.asarray(seen[0].numpy())
