"""A canvas of water and fat images on which shapes in mm are painted over each other."""

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw
from scipy import ndimage

from lumbar.muscle.learn.axial_slice import FloatImage
from lumbar.muscle.learn.drawn_outline import Points

_FINER = 2  # supersampling factor for anti-aliased borders


class DrawnCanvas:
    """Water and fat at 1 mm; the point (0, 0) lies on the middle column of row `zero_row`."""

    def __init__(self, rows: int, columns: int, zero_row: int) -> None:
        self.water = np.zeros((rows, columns), np.float32)
        self.fat = np.zeros((rows, columns), np.float32)
        self.labels = np.zeros((rows, columns), np.uint8)
        self.x = (np.arange(columns) - (columns - 1) / 2).astype(np.float32)[None]
        self.y = (np.arange(rows) - zero_row).astype(np.float32)[:, None]

    def shape(self, points: Points) -> FloatImage:
        """Fraction of each pixel inside the polygon of (x, y) points."""
        rows, columns = self.water.shape
        image = Image.new("L", (columns * _FINER, rows * _FINER))
        place = (points - (self.x[0, 0], self.y[0, 0]) + 0.5) * _FINER - 0.5
        ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in place], fill=255)
        fine = np.asarray(image, np.float32) / (255 * _FINER**2)
        return np.asarray(sum(fine[i::_FINER, j::_FINER] for i in range(_FINER) for j in range(_FINER)), np.float32)

    def ellipse(self, middle: tuple[float, float], half: tuple[float, float], turn: float = 0.0) -> FloatImage:
        """Soft ellipse with the half axes `half`, rotated by `turn` degrees from the first axis to the second."""
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        x, y = self.x - middle[0], self.y - middle[1]
        radius = np.sqrt(((x * c + y * s) / half[0]) ** 2 + ((y * c - x * s) / half[1]) ** 2)
        return np.asarray(np.clip((1 - radius) * min(half) + 0.5, 0, 1), np.float32)

    def paint(self, share: FloatImage, water: float | FloatImage, fat: float | FloatImage) -> None:
        """Cover `share` of each pixel."""
        self.water += share * (water - self.water)
        self.fat += share * (fat - self.fat)


def blotches(shape: tuple[int, ...], every: float, rng: Generator) -> FloatImage:
    """Smooth noise of unit variance with spots of about `every` pixels."""
    coarse = max(1, int(every / 4))  # large spots are computed on larger pixels, which is faster
    small = rng.normal(0, 1, [-(-n // coarse) + 1 for n in shape]).astype(np.float32)
    noise = ndimage.gaussian_filter(small, every / coarse / 2)
    if coarse > 1:
        noise = torch.nn.functional.interpolate(torch.from_numpy(noise)[None, None], size=shape, mode="bilinear", align_corners=False)[0, 0].numpy()
    noise = noise[: shape[0], : shape[1]]
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)
