"""A made-up body: a smooth brightness at every point of space, so that any slices through it are known without the code under test."""

import numpy as np

_RNG = np.random.default_rng(20241127)
_CENTERS = _RNG.uniform((-70, -70, -130), (70, 90, 130), (90, 3))
_HEIGHTS = _RNG.uniform(-1, 1, 90)
_WIDTHS = _RNG.uniform(9, 26, 90)


def brightness(points_mm: np.ndarray, contrast: int = 0) -> np.ndarray:
    """(...) brightness from 200 to about 1500 at LPS points (..., 3); another `contrast` has other heights at the same places."""
    heights = _HEIGHTS if contrast == 0 else np.random.default_rng(contrast).permutation(_HEIGHTS)
    total = np.zeros(points_mm.shape[:-1])
    for center, height, width in zip(_CENTERS, heights, _WIDTHS, strict=True):
        total += height * np.exp(-((points_mm - center) ** 2).sum(axis=-1) / (2 * width**2))
    return 700 + 500 * np.clip(total, -1, 1.6)


def slices(matrix: np.ndarray, shape: tuple[int, int, int], contrast: int = 0) -> np.ndarray:
    """The body on the grid of `matrix` (4, 4): (slice, row, column, 1) to LPS mm, as whole numbers."""
    index = np.moveaxis(np.indices(shape), 0, -1)
    points = index @ matrix[:3, :3].T + matrix[:3, 3]
    return np.rint(brightness(points, contrast)).astype(np.uint16)
