"""Whether a water and a fat image are a pair: same places, same scale, not swapped."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.metrics.segmentation import brought_onto, same_place

_SAME_SPACING = 0.01  # share by which spacings may differ
_STEP_TOLERANCE = 0.02
_RIM = (3, 12)  # voxels around the muscles: from, to
_MAX_BRIGHTNESS_RATIO = 6.0  # fat against water; T1 weighting makes fat two to four times as bright, never this much


@dataclass(frozen=True, eq=False)
class FatOnWater:
    """The fat voxels on the water's grid, and what is odd about the pair."""

    array: NDArray[np.float32]  # (slices, rows, columns) of the water
    warnings: tuple[str, ...]
    mismatch: str = ""  # how it shows that the two were scaled differently, so that fat fractions are biased; or ""


def pair(water: Volume, fat: Volume) -> FatOnWater:
    """Put `fat` on the grid of `water`, voxel by voxel, and check scale and place.

    Raises:
        GeometryError: shapes, spacings or directions differ, so that voxels cannot belong together.
    """
    try:
        moved = brought_onto(water.grid, fat)
        warnings: list[str] = []
    except GeometryError:
        moved, warnings = _despite_position(water, fat)
    fat_array = np.asarray(moved.array, np.float32)
    mismatch = _scaling(np.asarray(water.array, np.float32), fat_array, (water.stored_step, fat.stored_step))
    return FatOnWater(fat_array, (*warnings, *mismatch), mismatch[0] if mismatch else "")


def swapped(water: NDArray[np.float32], fat: NDArray[np.float32], muscle: NDArray[np.bool_]) -> tuple[str, ...]:
    """Whether water and fat have changed places, in all slices or in some.

    Muscle is mostly water, and the rim around the back muscles mostly fat. In a swapped pair both are the other way round, which no illness does.
    """
    if not muscle.any():
        return ()
    rows, columns = (slice(max(0, part.start - _RIM[1] - 1), part.stop + _RIM[1] + 1) for part in ndimage.find_objects(muscle.any(axis=0).astype(np.uint8))[0])
    water, fat, muscle = water[:, rows, columns], fat[:, rows, columns], muscle[:, rows, columns]  # the rim lies within; the rest only takes time
    odd = [index for index in range(len(muscle)) if muscle[index].any() and _looks_swapped(water[index], fat[index], muscle[index])]
    seen = int(muscle.any(axis=(1, 2)).sum())
    if not odd:
        return ()
    if len(odd) > 0.8 * seen:
        return ("water and fat look swapped: muscle has more fat signal than the fat around it; give the images the other way round",)
    return (f"water and fat look swapped on {len(odd)} of {seen} slices (first: slice {odd[0]} from the foot end); their fat fractions are wrong",)


def fraction_of(map_values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Fat fractions in [0, 1] of a map in fractions, per cent or per mille, told by its highest values; None where they fit none of the three."""
    top = float(np.quantile(map_values, 0.995))
    for unit in (1.0, 100.0, 1000.0):
        if 0.6 * unit <= top <= 1.25 * unit:
            return np.asarray(np.clip(map_values / unit, 0, 1), np.float32)
    return None


def grey_step(array: NDArray[np.float32]) -> float | None:
    """The step that all values are multiples of, if there is one that is coarse enough to tell: images start as whole numbers."""
    values = np.unique(array.ravel()[:: max(1, array.size // 400_000)].astype(np.float64))
    values = values[values > 0]
    if values.size < 16:
        return None
    step = float(np.median(np.sort(np.diff(values))[: max(4, values.size // 4)]))
    top = values[-1]
    if step <= 0 or top / step > 70_000:
        return None
    # Refined on ever larger values, so that the rounding of the first guess does not grow into half a step.
    for limit in (20 * step, 200 * step, 2000 * step, np.inf):
        some = values[values <= limit]
        if some.size:
            counts = np.maximum(np.round(some / step), 1)
            step = float((some * counts).sum() / (counts**2).sum())
    rest = np.abs(values / step - np.round(values / step))
    return step if np.quantile(rest, 0.95) < _STEP_TOLERANCE else None


def _despite_position(water: Volume, fat: Volume) -> tuple[Volume, list[str]]:
    """Same number and size of voxels, but another origin: what re-saving or cropping a pair does to its headers."""
    a, b = water.grid, fat.grid
    steps = [np.stack([g.slice_step_mm, g.row_step_mm, g.column_step_mm]) for g in (a, b)]
    if a.shape != b.shape or np.abs(steps[0] - steps[1]).max() > _SAME_SPACING * min(a.spacing_mm[1:]):
        found = [f"{g.shape} voxels of {tuple(round(s, 3) for s in g.spacing_mm)} mm" for g in (a, b)]
        raise GeometryError(f"water and fat are not on one grid: {found[0]} and {found[1]}; give the two images of one Dixon series")
    apart = float(np.linalg.norm(a.center_mm - b.center_mm))
    warning = f"water and fat have the same voxels but positions {apart:.1f} mm apart; they were paired voxel by voxel, at the water's place"
    return Volume(fat.array, a), [warning] if not same_place(a, b) else []


def _scaling(water: NDArray[np.float32], fat: NDArray[np.float32], declared: tuple[float | None, float | None]) -> list[str]:
    """Why the grey values of the two cannot be compared; `declared` is what a step of each is worth by its header."""
    steps = grey_step(water), grey_step(fat)
    known = declared[0] / declared[1] if declared[0] and declared[1] else 1.0
    if steps[0] and steps[1] and not 0.99 < steps[0] / steps[1] / known < 1.01:
        return [
            f"the grey values of the fat image come in steps of {steps[1]:.3g}, those of the water image in steps of {steps[0]:.3g}: "
            "one of the two was rescaled, so fat fractions are biased"
        ]
    bright = [float(np.quantile(array, 0.99)) for array in (water, fat)]
    ratio = max(bright) / max(min(bright), 1e-9)
    if ratio > _MAX_BRIGHTNESS_RATIO:
        return [f"the brighter image of the pair is {ratio:.0f} times as bright as the other: their scaling does not match, so fat fractions are biased"]
    return []


def _looks_swapped(water: NDArray[np.float32], fat: NDArray[np.float32], muscle: NDArray[np.bool_]) -> bool:
    rim = ndimage.binary_dilation(muscle, iterations=_RIM[1]) & ~ndimage.binary_dilation(muscle, iterations=_RIM[0])
    total = water + fat
    seen = total > 0.1 * np.quantile(total, 0.99)
    share = fat / np.maximum(total, 1e-6)
    inside, around = muscle & seen, rim & seen
    if inside.sum() < 30 or around.sum() < 30:
        return False
    return bool(np.median(share[inside]) > 0.5 and np.median(share[inside]) - np.median(share[around]) > 0.15)
