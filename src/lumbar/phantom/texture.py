"""Smooth periodic noise in space: what makes marrow, muscle and fat look grown and not poured."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

Floats = NDArray[np.floating[Any]]

_SIZE = 128  # a power of two, so that indices wrap by a bit mask


@lru_cache(maxsize=2)
def _noise(smoothness: float) -> NDArray[np.int8]:
    """A cube of noise, smooth over `smoothness` cells, even distribution over -127 … 127, the same in every run."""
    random = np.random.default_rng(20240607)
    cube = ndimage.gaussian_filter(random.standard_normal((_SIZE, _SIZE, _SIZE), dtype=np.float32), smoothness, mode="wrap", truncate=3.0)
    even = special.erf(cube * np.float32(1 / (cube.std() * np.sqrt(2))))
    return np.asarray(np.round(even * 127).astype(np.int8))


def grain(x: Floats, y: Floats, z: Floats, cell_mm: tuple[float, float, float], shift: int, smoothness: float = 1.2) -> Floats:
    """Noise in [-1, 1], evenly distributed, at points of one shape; `cell_mm` stretches it along x, y, z and `shift` gives another sample."""
    mask = np.int32(_SIZE - 1)
    index = (np.multiply(x, np.float32(1 / cell_mm[0])) + np.float32(5000 + shift % 97)).astype(np.int32) & mask
    index <<= 7
    index |= (np.multiply(y, np.float32(1 / cell_mm[1])) + np.float32(5000 + shift % 113)).astype(np.int32) & mask
    index <<= 7
    index |= (np.multiply(z, np.float32(1 / cell_mm[2])) + np.float32(5000 + shift % 127)).astype(np.int32) & mask
    return np.asarray(_noise(smoothness).ravel()[index] * np.float32(1 / 127))
