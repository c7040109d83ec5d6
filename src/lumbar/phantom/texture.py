"""Smooth periodic noise in space for the texture of marrow, muscle and fat."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

Floats = NDArray[np.floating[Any]]

_SIZE = 128  # a power of two, so that indices wrap by a bit mask
FINE = (1.1, 1.1, 1.1)  # smoothness in cells along x, y, z
SMOOTH = (3.2, 3.2, 3.2)
WIDE = (8.0, 8.0, 8.0)
HUGE = (15.0, 15.0, 15.0)
FIBRE = (1.15, 1.15, 7.0)  # elongated along z
BUNDLE = (2.2, 2.2, 11.0)
SHEET = (1.4, 8.0, 12.0)  # flat layers


@lru_cache(maxsize=8)
def _noise(smoothness: tuple[float, float, float]) -> NDArray[np.int8]:
    """A cube of noise smoothed over `smoothness` cells, uniformly distributed over -127 … 127, identical in every run."""
    random = np.random.default_rng(20240607)
    space = fft.rfftn(random.standard_normal((_SIZE, _SIZE, _SIZE), dtype=np.float32))
    first, second, third = (_spectrum(sigma) for sigma in smoothness)
    space *= first[:, None, None] * second[None, :, None] * third[: _SIZE // 2 + 1]
    cube = fft.irfftn(space, (_SIZE, _SIZE, _SIZE))
    even = special.erf(cube * np.float32(1 / (cube.std() * np.sqrt(2))))
    return np.asarray(np.round(even * 127).astype(np.int8)).ravel()


def _spectrum(sigma: float) -> NDArray[np.float32]:
    """(_SIZE,) transfer function of a Gaussian of `sigma` cells, truncated at 2.5 sigma."""
    reach = int(2.5 * sigma + 0.5)
    away = np.minimum(np.arange(_SIZE), _SIZE - np.arange(_SIZE))
    kernel = np.where(away <= reach, np.exp(-0.5 * np.square(away / sigma)), 0)
    return np.asarray(fft.fft(kernel / kernel.sum()).real, dtype=np.float32)


def grain(x: Floats, y: Floats, z: Floats, cell_mm: float, shift: int, smoothness: tuple[float, float, float]) -> Floats:
    """Noise in [-1, 1], uniformly distributed, at points of one shape; `shift` gives another sample. The pattern repeats every 128 cells."""
    mask, scale = np.int32(_SIZE - 1), np.float32(1 / cell_mm)
    index = (x * scale + np.float32(5000 + shift % 97)).astype(np.int32) & mask
    index <<= 7
    index |= (y * scale + np.float32(5000 + shift % 113)).astype(np.int32) & mask
    index <<= 7
    index |= (z * scale + np.float32(5000 + shift % 127)).astype(np.int32) & mask
    return np.asarray(_noise(smoothness)[index] * np.float32(1 / 127))
