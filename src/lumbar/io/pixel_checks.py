"""Checks of decoded images: empty images, values that contradict the header, burnt-in text."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.io.stacks import SliceImage

_FEWEST = 5  # slices in which text is looked for
_SAME_IN = 0.9  # share of slices in which text is the same
_STROKES = 20  # pixels of text at least
_ON_DARK = 0.8  # share of them that lie beside something dark
_SAME_VALUE = 0.004  # by which values of one stroke differ: rounding
_DARK, _BRIGHT = 0.1, 0.2  # of the brightest value


def without_empty(images: Sequence[SliceImage]) -> tuple[list[SliceImage], int]:
    """Images that show something, and the number of those that have one value everywhere; all where none shows anything."""
    kept = [(one, pixels) for one, pixels in images if shows_something(pixels)]
    return (kept, len(images) - len(kept)) if kept else (list(images), 0)


def shows_something(pixels: NDArray[Any]) -> bool:
    """Whether an image has more than one value."""
    return bool(pixels.max() != pixels.min())


def pixel_warnings(images: Sequence[SliceImage]) -> list[str]:
    """Sentences on the pixels of a series."""
    notes = Counter(one.pixel_note for one, _ in images if one.pixel_note)
    warnings = [f"{count} of {len(images)} slices: {note}" for note, count in notes.items()]
    if any(one.burnt_in for one, _ in images):
        warnings.append("according to its header, text is burnt into its images (0028,0301), which may name the patient")
    elif has_text(images):
        warnings.append("text or marks seem to be burnt into its images; they may name the patient, and hidden anatomy cannot be measured")
    return warnings


def has_text(images: Sequence[SliceImage]) -> bool:
    """Whether nearly all slices have the same bright values at the same pixels on a dark ground, as overlays have and noise does not."""
    arrays = [pixels for _, pixels in images if pixels.shape == images[0][1].shape]
    if len(arrays) < _FEWEST:
        return False
    stack = np.stack(arrays).astype(np.float32)
    top = stack.max(axis=(1, 2), keepdims=True)
    bright = _BRIGHT * float(np.median(top))
    # Text is written in one value, or in a share of the brightest value of each slice.
    return any(_has_strokes(stack, values, bright, _DARK * float(np.median(top))) for values in (stack, stack / np.maximum(top, 1e-9)))


def _has_strokes(stack: NDArray[np.float32], values: NDArray[np.float32], bright: float, dark: float) -> bool:
    """Whether enough pixels have nearly the same of `values` in nearly all slices, and the median of `stack` above `bright` beside one below `dark`."""
    candidates = _alike_in_pairs(values)
    if candidates.sum() < _STROKES:
        return False
    some = values[:, candidates]
    usual = np.median(some, axis=0)
    alike = (np.abs(some - usual) <= _SAME_VALUE * np.abs(usual)).mean(axis=0) >= _SAME_IN
    strokes = np.zeros(candidates.shape, bool)
    strokes[candidates] = alike & (np.median(stack[:, candidates], axis=0) > bright)
    if strokes.sum() < _STROKES:
        return False
    around = ndimage.minimum_filter(np.median(stack, axis=0), 5)
    return bool((around[strokes] < dark).mean() >= _ON_DARK)


def _alike_in_pairs(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(rows, columns) whether enough pairs of successive slices agree for a pixel to be part of a stroke: quicker than medians, which few pixels then need."""
    even, odd = values[: len(values) // 2 * 2 : 2], values[1::2]
    largest = np.maximum(np.abs(even), np.abs(odd))
    agree = (np.abs(even - odd) <= 2.1 * _SAME_VALUE * largest) & (largest > 0)
    return np.asarray(agree.sum(axis=0) >= len(odd) - int((1 - _SAME_IN) * len(values) + 1e-6))
