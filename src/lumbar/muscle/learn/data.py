"""Dixon volumes with masks as training slices."""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.volume import Volume
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.axial import to_axial
from lumbar.muscle.fat.dixon import grey_step, pair
from lumbar.muscle.learn.axial_slice import MUSCLE_GREY, AxialSlice


def training_slices(subject: str, water: Volume, fat: Volume, mask: Volume, min_pixels: int = 50) -> list[AxialSlice]:
    """Every slice with at least `min_pixels` of muscle, water and fat on one scale.

    Raises:
        GeometryError: the three volumes do not match.
    """
    grid = to_axial(water).grid
    labels = np.asarray(brought_onto(grid, mask).array, np.uint8)
    image, fatty = on_one_scale(water, fat, Volume(labels, grid))
    pixel_mm = float(np.mean(grid.spacing_mm[1:]))
    kept = np.flatnonzero((labels > 0).sum(axis=(1, 2)) >= min_pixels)
    return [AxialSlice(subject, image[k], fatty[k], labels[k], pixel_mm) for k in kept]


def on_one_scale(water: Volume, fat: Volume, labels: Volume) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Water and fat on the axial grid of `labels`, both divided so that muscle water is near 0.7.

    A rescaled fat image (with another grey-value step than the water image) is scaled back first.

    Raises:
        GeometryError: water and fat do not match.
    """
    image = np.asarray(to_axial(water).array, np.float32)
    fatty = np.asarray(to_axial(Volume(pair(water, fat).array, water.grid)).array, np.float32)
    steps = grey_step(image), grey_step(fatty)
    if steps[0] and steps[1]:
        fatty = fatty * np.float32(steps[0] / steps[1])
    muscle = labels.array > 0
    middle = float(np.median(image[muscle])) if muscle.any() else float(np.quantile(image, 0.95))
    scale = np.float32(MUSCLE_GREY / max(middle, 1e-6))
    return image * scale, fatty * scale
