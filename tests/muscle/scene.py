"""A small synthetic axial scene with known areas and fat."""

import numpy as np

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume

SPACING = (4.0, 1.0, 0.5)


def axial_grid(slices=6, rows=60, columns=160):
    """Slices foot to head, rows front to back, columns right to left, centred on x = 0."""
    origins = np.array([-(columns - 1) / 2 * SPACING[2], 10.0, -50.0]) + np.arange(slices)[:, None] * [0, 0, SPACING[0]]
    return Grid(origins, [0, SPACING[1], 0], [SPACING[2], 0, 0], rows, columns)


def axial_mask(grid):
    """Boxes: right erector 20 × 30 voxels, right multifidus 15 × 20, left multifidus 15 × 20, left erector 20 × 24, on slices 1 to 4."""
    mask = np.zeros(grid.shape, np.uint8)
    mask[1:5, 20:40, 20:50] = 1
    mask[1:5, 20:35, 55:75] = 2
    mask[1:5, 20:35, 85:105] = 3
    mask[1:5, 20:40, 110:134] = 4
    return Volume(mask, grid)


def dixon(grid, mask, fractions, total=1000.0):
    """Water and fat with fat fraction `fractions[label]` in each label and 0.95 elsewhere; integers, as stored by scanners."""
    share = np.full(grid.shape, 0.95)
    for label, fraction in fractions.items():
        share[mask.array == label] = fraction
    rng = np.random.default_rng(0)
    brightness = total * rng.uniform(0.8, 1.2, grid.shape)
    fat = np.round(brightness * share).astype(np.float32)
    return Volume(np.round(brightness - fat).astype(np.float32), grid), Volume(fat, grid)


def boxes(grid):
    """Separate boxes on every slice, in the order right erector, right multifidus, left multifidus, left erector."""
    mask = np.zeros(grid.shape, np.uint8)
    for label, (low, high) in zip((1, 2, 3, 4), ((0.06, 0.26), (0.3, 0.45), (0.55, 0.7), (0.74, 0.94)), strict=True):
        mask[:, int(0.3 * grid.rows) : int(0.7 * grid.rows), int(low * grid.columns) : int(high * grid.columns)] = label
    return Volume(mask, grid)
