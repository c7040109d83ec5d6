"""Simulated training slices: backs of random people with surrounding tissue, as Dixon water and fat with exact labels.

The phantom models the whole spine in three dimensions, but its muscles are smooth and embedded in fat. These slices are two-dimensional, but their muscles
have realistic outlines and adjoin the surrounding muscles. The two differ from patients in different ways.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.muscle.learn.axial_slice import AxialSlice, FloatImage, Labels
from lumbar.muscle.learn.drawn_canvas import DrawnCanvas, blotches
from lumbar.muscle.learn.drawn_outline import PEAK, Back, Outline, outlines, random_back
from lumbar.muscle.learn.drawn_surroundings import Tissues, draw_bones, draw_trunk, random_tissues

_ROWS, _COLUMNS, _ZERO_ROW = 220, 300, 110


def drawn_slices(seed: int, count: int) -> list[AxialSlice]:
    """`count` slices of the simulated person `seed`, at random heights from L1/L2 to L5/S1."""
    rng = np.random.default_rng([seed, 99])
    back, fatty = random_back(rng), float(rng.beta(0.8, 10.0))
    return [_one(back, fatty, f"drawn {seed}", rng) for _ in range(count)]


def _one(back: Back, fatty: float, name: str, rng: Generator) -> AxialSlice:
    level = float(rng.uniform(-0.05, 1.05))
    canvas, tissues = DrawnCanvas(_ROWS, _COLUMNS, _ZERO_ROW), random_tissues(rng)
    sides = outlines(back, level)
    draw_trunk(canvas, sides, level, tissues, rng)
    _draw_bed(canvas, sides, tissues, rng)
    draw_bones(canvas, level, tissues, rng)
    labels = canvas.labels
    look = _Look(float(rng.uniform(0, 1.2)), float(rng.uniform(0, 1)), fatty)
    for side, (outer, inner) in zip(sides, ((1, 2), (4, 3)), strict=True):
        _draw_side(canvas, side, tissues, look, rng, labels, (outer, inner))
    sigma = rng.uniform(0.3, 0.9)
    water, fat = (ndimage.gaussian_filter(p, sigma) for p in (canvas.water, canvas.fat))
    return AxialSlice(name, water, fat, labels, 1.0)


@dataclass(frozen=True)
class _Look:
    """Parameters shared by both sides of a slice."""

    septum_mm: float  # half width of the layer between the muscles
    septum_share: float  # contrast of the layer
    fatty: float  # mean share of fat in the muscles


def _draw_bed(canvas: DrawnCanvas, sides: tuple[Outline, Outline], tissues: Tissues, rng: Generator) -> None:
    """Fat or fascia around the compartments, of uneven width, or nothing."""
    if rng.random() < 0.3:
        return
    width = rng.uniform(0.5, 3.0) * (1 + 0.6 * blotches(canvas.water.shape, 25, rng))
    both = np.maximum(*(canvas.shape(side.compartment) for side in sides))
    distance = ndimage.distance_transform_edt(both < 0.5)
    canvas.paint(np.clip(width - distance + 0.5, 0, 1).astype(np.float32), *(tissues.fat if rng.random() < 0.6 else tissues.fascia))


def _draw_side(canvas: DrawnCanvas, side: Outline, tissues: Tissues, look: _Look, rng: Generator, labels: Labels, numbers: tuple[int, int]) -> None:
    """Draw erector spinae, multifidus and the septum, in images and labels."""
    whole, inner = canvas.shape(side.compartment), canvas.shape(side.multifidus)
    inside, deep = whole > 0.5, inner > 0.5
    labels[inside] = np.where(deep[inside], numbers[1], numbers[0])
    canvas.paint(np.clip(ndimage.grey_dilation(whole, size=3) - 0.3, 0, 1), *tissues.fascia)
    fat = _fat_map(canvas, deep, look, rng)
    grey = 1 + np.float32(0.05) * blotches(whole.shape, 5, rng) + np.float32(0.04) * blotches(whole.shape, 30, rng)
    water_of_muscle, fat_of_muscle = tissues.muscle
    canvas.paint(whole, (1 - fat) * water_of_muscle * grey, fat_of_muscle + fat * (tissues.fat[1] - fat_of_muscle))
    apart = np.abs(ndimage.distance_transform_edt(deep) - ndimage.distance_transform_edt(~deep) + np.where(deep, -0.5, 0.5))
    uneven = look.septum_mm * (1 + 0.7 * blotches(whole.shape, 14, rng))
    line = np.clip(uneven - apart + 0.7, 0, 1).astype(np.float32) * whole * np.float32(look.septum_share)
    canvas.paint(line, *(tissues.fat if rng.random() < 0.7 else tissues.fascia))
    if rng.random() < 0.6:
        _draw_clefts(canvas, side, tissues, rng, whole)


def _fat_map(canvas: DrawnCanvas, deep: NDArray[np.bool_], look: _Look, rng: Generator) -> FloatImage:
    """Fat fraction: streaks everywhere, and more in the multifidus near lamina and spinous process."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, deep.shape), rng.uniform(0.5, 3, 2))
    noise = noise / noise.std() + 0.8 * blotches(deep.shape, rng.uniform(6, 20), rng)
    mean = look.fatty * np.where(deep, 1.3, 1.0)
    near = np.exp(-np.hypot(canvas.x / 9, (canvas.y - 18) / 12)) * rng.uniform(0, 0.9)
    return np.asarray(np.clip(mean * np.exp(0.8 * noise) * 0.7 + near * (noise > -0.3) * deep, 0, 0.95), np.float32)


def _draw_clefts(canvas: DrawnCanvas, side: Outline, tissues: Tissues, rng: Generator, whole: FloatImage) -> None:
    """Fat or tendon between the bundles of the erector spinae, from the fascia inwards; it belongs to the muscle."""
    sign = np.sign(side.tip[0])
    rear = float(side.compartment[6 * PEAK, 1])
    for _ in range(int(rng.integers(1, 4))):
        start = np.array([sign * rng.uniform(18, 62), rear + 4.0])
        end = start + np.array([sign * rng.uniform(-14, 10), -rng.uniform(10, 38)])
        bow = (start + end) / 2 + rng.normal(0, 3, 2)
        half = np.array([rng.uniform(0.4, 1.3), 0])
        cleft = np.array([start + half, bow + half, end, bow - half, start - half])
        canvas.paint(canvas.shape(cleft) * whole * np.float32(rng.uniform(0.3, 1)), *(tissues.fat if rng.random() < 0.6 else tissues.fascia))
