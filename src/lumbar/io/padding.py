"""Pixels outside the image, which some scanners and anonymisers mark by a value far below or above all others."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FAR = 0.1  # of the range of all other values: a padding value that lies within it is a grey value, too
LOWEST_SIGNED = -32768  # used for padding also where the header does not say so


def without_padding(pixels: NDArray[Any], padding: int | None) -> NDArray[Any]:
    """The pixels with the lowest of the other values in place of padding; unchanged where there is none.

    Args:
        pixels: as stored; of any shape.
        padding: PixelPaddingValue (0028,0120), if the header has one.
    """
    if pixels.dtype.kind not in "iu" and padding is None:
        return pixels
    marks = (padding, LOWEST_SIGNED if pixels.dtype.kind == "i" else None)
    outside = np.isin(pixels, [mark for mark in marks if mark is not None])
    if not outside.any() or outside.all():
        return pixels
    low, high = float(pixels[~outside].min()), float(pixels[~outside].max())
    far = _FAR * max(high - low, 1)
    values = pixels[outside]
    if not ((values < low - far) | (values > high + far)).all():
        return pixels
    return np.where(outside, pixels.dtype.type(low), pixels)
