"""Pixels without hidden content, and text that is burnt into them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_FEWEST_LETTERS = 5
_LETTER_PIXELS = (4, 40)  # least and most height of a letter


def cleaned(pixels: NDArray[np.integer], bits_stored: int) -> NDArray[np.integer]:
    """The pixels without the bits above those that are stored, which may hold old overlays."""
    if pixels.dtype.kind != "u" or bits_stored >= 8 * pixels.dtype.itemsize:
        return pixels
    return np.asarray(pixels & np.array((1 << bits_stored) - 1, dtype=pixels.dtype))


def shows_text(image: NDArray[np.integer]) -> bool:
    """Whether an image (rows, columns) holds at least five letters in a line, all of one extreme grey value.

    Written text has one value and stands upright in a line; anatomy and noise do not. Text that was smoothed or compressed with losses is missed.
    """
    top, bottom = image.max(), image.min()
    return top > bottom and (_line_of_letters(image == top) or (bottom < 0 and _line_of_letters(image == bottom)))


def _line_of_letters(mask: NDArray[np.bool_]) -> bool:
    parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < _FEWEST_LETTERS or mask.mean() > 0.2:
        return False
    boxes = [(rows, columns) for rows, columns in ndimage.find_objects(parts)]
    low, high = _LETTER_PIXELS
    letters = [(r.start, r.stop, c.start, c.stop) for r, c in boxes if low <= r.stop - r.start <= high and 1 <= c.stop - c.start <= 1.5 * (r.stop - r.start)]
    for top, bottom, left, _ in letters:
        height = bottom - top
        line = [one for one in letters if abs(one[1] - bottom) <= 1 + height // 5 and abs((one[1] - one[0]) - height) <= 1 + height // 4]
        near = [one for one in line if left <= one[2] <= left + 12 * height]
        if len(near) >= _FEWEST_LETTERS:
            return True
    return False
