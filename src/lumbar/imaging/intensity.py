"""Normalisation of grey values."""

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]


def standardized(image: FloatImage) -> FloatImage:
    """Clipped at its 0.5 and 99.5 percentiles (with a fifth of that range as headroom), then zero mean and unit variance: the networks' input."""
    low, high = np.percentile(image, (0.5, 99.5))
    clipped = np.clip((image - low) / max(float(high - low), 1e-6), 0, 1.2)
    return np.asarray((clipped - clipped.mean()) / max(float(clipped.std()), 1e-6), dtype=np.float32)


def windowed(image: FloatImage, low_percent: float = 0.5, high_percent: float = 99.5) -> NDArray[np.uint8]:
    """8-bit grey values for display: the given percentiles become black and white."""
    low, high = np.percentile(image, (low_percent, high_percent))
    return np.asarray(np.clip((image - low) / max(float(high - low), 1e-6), 0, 1) * 255, dtype=np.uint8)
