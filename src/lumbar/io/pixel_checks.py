"""Checks of decoded images: empty images, values that contradict the header, burnt-in text."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lumbar.io.stacks import SliceImage

_FEWEST = 5  # slices in which text is looked for
_SAME_IN = 0.9  # share of slices in which text is the same
_STROKES = 20  # pixels of text at least
_ON_DARK = 0.8  # share of them that lie beside something dark


def without_empty(images: Sequence[SliceImage]) -> tuple[list[SliceImage], int]:
    """Images that show something, and the number of those that have one value everywhere; all where none shows anything."""
    kept = [(one, pixels) for one, pixels in images if np.ptp(pixels) > 0]
    return (kept, len(images) - len(kept)) if kept else (list(images), 0)


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
    """Whether the brightest value stands at the same pixels of nearly all slices, on a dark ground, as in overlays."""
    arrays = [pixels for _, pixels in images if pixels.shape == images[0][1].shape]
    if len(arrays) < _FEWEST:
        return False
    stack = np.stack(arrays)
    top = stack.max(axis=(1, 2), keepdims=True)
    strokes = (stack == top).mean(axis=0) >= _SAME_IN
    if strokes.sum() < _STROKES:
        return False
    dark = ndimage.minimum_filter(np.median(stack, axis=0), 5) < 0.1 * float(np.median(top))
    return bool(dark[strokes].mean() >= _ON_DARK)
