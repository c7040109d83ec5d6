"""The zero of grey values in NIfTI files: air has none in magnitude images, so values that start far below zero were shifted by a converter."""

from dataclasses import replace

import numpy as np

from lumbar.domain.study import Series, Stack, Weighting
from lumbar.domain.volume import Volume

# Maps and Dixon images, which may be signed, are left alone.
_MAGNITUDE = (Weighting.T1, Weighting.T2, Weighting.STIR)
_FAR = 0.05  # of the range of values: interpolation also makes values a little below zero
_SAMPLE = 200_000  # voxels


def with_zero_at_air(series: Series) -> Series:
    """The series with its lowest value at zero, and a warning, where its values start far below zero; otherwise as it is.

    Ratios of grey values, such as that of disc and fluid, need this zero.
    """
    if series.weighting not in _MAGNITUDE:
        return series
    lowest = min(float(stack.volume.array.min()) for stack in series.stacks)
    if lowest >= 0:
        return series
    samples = [stack.volume.array.reshape(-1)[:: max(1, stack.volume.array.size // _SAMPLE)] for stack in series.stacks]
    low, high = np.percentile(np.concatenate(samples), (1, 99))
    if lowest >= -_FAR * float(high - low):
        return series
    text = f"its values start at {lowest:g}, where those of magnitude images start at 0; they were shifted, or signed, by another program, and start at 0 here"
    return replace(series, stacks=tuple(_raised(stack, -lowest) for stack in series.stacks), warnings=(*series.warnings, text))


def _raised(stack: Stack, by: float) -> Stack:
    volume = stack.volume
    return replace(stack, volume=Volume(volume.array + np.float32(by), volume.grid, volume.stored_step))
