"""Colour overlays on grey images. The scales suit colour-blind readers: their lightness is monotone."""

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]  # (rows, columns, 3)
Values = NDArray[np.float32] | NDArray[np.float64]

# From low to high, evenly spaced.
IMPORTANCE = ((60, 15, 110), (150, 35, 110), (221, 81, 58), (250, 155, 30), (252, 245, 150))
FAT = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
YOUNGER_OLDER = ((25, 90, 170), (120, 175, 215), (245, 245, 245), (245, 160, 110), (180, 25, 40))


def colored(values: Values, scale: tuple[tuple[int, int, int], ...]) -> NDArray[np.float32]:
    """(rows, columns, 3) colours, 0 to 255, of `values` from 0 to 1."""
    places = np.linspace(0, 1, len(scale))
    return np.stack([np.interp(values, places, [color[k] for color in scale]) for k in range(3)], axis=-1).astype(np.float32)


def laid_over(grey: NDArray[np.uint8], color: NDArray[np.float32], share: Values) -> Rgb:
    """`grey` (rows, columns) overlaid with `color` at opacity `share` (rows, columns), 0 to 1."""
    mixed = grey[..., None] * (1 - share[..., None]) + color * share[..., None]
    return np.asarray(np.clip(mixed, 0, 255), dtype=np.uint8)


def scale_css(scale: tuple[tuple[int, int, int], ...]) -> str:
    """The scale as a CSS gradient from left to right."""
    return "linear-gradient(90deg, " + ", ".join(f"rgb({r} {g} {b})" for r, g, b in scale) + ")"
