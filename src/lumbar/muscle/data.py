"""Dixon volumes with masks as training slices."""

import numpy as np

from lumbar.domain.volume import Volume
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.axial import to_axial
from lumbar.muscle.dixon import grey_step, pair
from lumbar.muscle.views import AxialSlice

_MUSCLE_GREY = 0.7  # what the middle grey value of muscle water becomes


def training_slices(subject: str, water: Volume, fat: Volume, mask: Volume, min_pixels: int = 50) -> list[AxialSlice]:
    """Every slice with at least `min_pixels` of muscle, water and fat on one scale.

    A fat picture that was rescaled (its grey values come in other steps than the water's) is scaled back first.

    Raises:
        GeometryError: the three volumes do not belong together.
    """
    axial = to_axial(water)
    labels = np.asarray(brought_onto(axial.grid, mask).array, np.uint8)
    picture = np.asarray(axial.array, np.float32)
    fatty = np.asarray(to_axial(Volume(pair(water, fat).array, water.grid)).array, np.float32)
    steps = grey_step(picture), grey_step(fatty)
    if steps[0] and steps[1]:
        fatty = fatty * np.float32(steps[0] / steps[1])
    scale = np.float32(_MUSCLE_GREY / max(float(np.median(picture[labels > 0])), 1e-6)) if (labels > 0).any() else np.float32(1)
    pixel_mm = float(np.mean(axial.grid.spacing_mm[1:]))
    kept = np.flatnonzero((labels > 0).sum(axis=(1, 2)) >= min_pixels)
    return [AxialSlice(subject, picture[k] * scale, fatty[k] * scale, labels[k], pixel_mm) for k in kept]
