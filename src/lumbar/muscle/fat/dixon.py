"""Consistency checks of a water and fat pair: same positions, same scale, not swapped."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.metrics.segmentation import brought_onto, same_place

_SAME_SPACING = 0.01  # relative tolerance of spacings
_STEP_TOLERANCE = 0.02
_SURROUNDINGS = (3, 12)  # voxels around the muscles: from, to
# Water and fat are sums and differences of the same echoes, so their noise in air is equal: 0.99 to 1.07 in phantoms of four sites.
_SAME_NOISE = 1.1
_AIR = 0.1  # darkest share of the voxels
_NOISE_SPREAD = (0.35, 0.65)  # standard deviation over mean: 0.52 for the noise of magnitude images (Rayleigh); masked or rounded air has none
_FEWEST_IN_AIR = 2000
_SAMPLED = 300_000  # voxels
_ONE_KIND = 0.95  # correlation of two images of one kind, which add up to anything like them
_SUM_EXPLAINED = 0.985  # share of the variance of the in-phase image that water and fat explain
_FEWEST_SLICES, _MOST_SLICES = 5, 0.9  # in which the highest value is compared, and the share of them in which it is the same
_SAME_TOP, _FEW_AT_TOP = 0.001, 3
_MAX_BRIGHTNESS_RATIO = 6.0  # fat to water; T1 weighting makes fat two to four times as bright, never this much


@dataclass(frozen=True, eq=False)
class FatOnWater:
    """The fat image on the grid of the water image, and warnings about the pair."""

    array: NDArray[np.float32]  # (slices, rows, columns) of the water
    warnings: tuple[str, ...]
    mismatch: str = ""  # evidence of different scaling, which biases fat fractions; or ""
    doubt: str = ""  # a sign of different scaling that is no proof; or ""
    checked: bool = True  # whether the noise of both images could be compared


def pair(water: Volume, fat: Volume) -> FatOnWater:
    """Map `fat` voxel by voxel to the grid of `water`, and check scale and position.

    Raises:
        GeometryError: shapes, spacings or directions differ, so that voxels do not correspond.
    """
    try:
        moved = brought_onto(water.grid, fat)
        warnings: list[str] = []
    except GeometryError:
        moved, warnings = _despite_position(water, fat)
    fat_array = np.asarray(moved.array, np.float32)
    mismatch = _scaling(np.asarray(water.array, np.float32), fat_array, (water.stored_step, fat.stored_step)) or _slice_scaling(water, fat_array)
    ratio = None if mismatch else _noise_ratio(np.asarray(water.array, np.float32), fat_array)
    doubt = "" if ratio is None else _doubt(ratio)
    return FatOnWater(fat_array, (*warnings, *mismatch, *([doubt] if doubt else [])), mismatch[0] if mismatch else "", doubt, ratio is not None)


def scale_in_sum(water: NDArray[np.float32], fat: NDArray[np.float32], total: NDArray[np.float32]) -> float | None:
    """How many times too large fat is against water, if they add up to an in-phase image; None where `total` is no sum of theirs.

    Args:
        water: (slices, rows, columns).
        fat: of the same shape.
        total: of the same shape, perhaps in phase.
    """
    thin = max(1, water.size // _SAMPLED)
    parts = np.stack([water.ravel()[::thin], fat.ravel()[::thin]], axis=1).astype(np.float64)
    wanted = total.ravel()[::thin].astype(np.float64)
    if np.ptp(wanted) == 0 or np.ptp(parts[:, 0]) == 0 or np.ptp(parts[:, 1]) == 0 or float(np.asarray(np.corrcoef(parts.T)).ravel()[1]) > _ONE_KIND:
        return None
    shares, *_ = np.linalg.lstsq(parts, wanted, rcond=None)
    rest = wanted - parts @ shares
    if rest.var() > (1 - _SUM_EXPLAINED) * wanted.var() or shares.min() <= 0:
        return None
    return float(shares[0] / shares[1])


def swapped(water: NDArray[np.float32], fat: NDArray[np.float32], muscle: NDArray[np.bool_]) -> tuple[str, ...]:
    """Warnings about swapped water and fat, in all slices or in some.

    Muscle is mostly water, and the tissue around the back muscles mostly fat. In a swapped pair both are reversed, which no disease causes.
    """
    if not muscle.any():
        return ()
    rows, columns = (
        slice(max(0, part.start - _SURROUNDINGS[1] - 1), part.stop + _SURROUNDINGS[1] + 1)
        for part in ndimage.find_objects(muscle.any(axis=0).astype(np.uint8))[0]
    )
    water, fat, muscle = water[:, rows, columns], fat[:, rows, columns], muscle[:, rows, columns]  # includes the surroundings; the rest only takes time
    odd = [index for index in range(len(muscle)) if muscle[index].any() and _looks_swapped(water[index], fat[index], muscle[index])]
    seen = int(muscle.any(axis=(1, 2)).sum())
    if not odd:
        return ()
    if len(odd) > 0.8 * seen:
        return ("water and fat look swapped: muscle has more fat signal than the fat around it; exchange the two images",)
    return (f"water and fat look swapped on {len(odd)} of {seen} slices (first: slice {odd[0]} from the foot end); their fat fractions are wrong",)


def fraction_of(map_values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Fat fractions in [0, 1] of a map in fractions, per cent or per mille, inferred from its highest values; None if none of them fits."""
    top = float(np.quantile(map_values, 0.995))
    for unit in (1.0, 100.0, 1000.0):
        if 0.6 * unit <= top <= 1.25 * unit:
            return np.asarray(np.clip(map_values / unit, 0, 1), np.float32)
    return None


def grey_step(array: NDArray[np.float32]) -> float | None:
    """The quantisation step of the values, if it is coarse enough to be found: images are acquired as integers."""
    values = np.unique(array.ravel()[:: max(1, array.size // 400_000)].astype(np.float64))
    values = values[values > 0]
    if values.size < 16:
        return None
    step = float(np.median(np.sort(np.diff(values))[: max(4, values.size // 4)]))
    top = values[-1]
    if step <= 0 or top / step > 70_000:
        return None
    # Refined on increasing values, so that the rounding error of the first estimate does not grow to half a step.
    for limit in (20 * step, 200 * step, 2000 * step, np.inf):
        some = values[values <= limit]
        if some.size:
            counts = np.maximum(np.round(some / step), 1)
            step = float((some * counts).sum() / (counts**2).sum())
    rest = np.abs(values / step - np.round(values / step))
    return step if np.quantile(rest, 0.95) < _STEP_TOLERANCE else None


def _despite_position(water: Volume, fat: Volume) -> tuple[Volume, list[str]]:
    """Voxel-wise pairing in spite of different origins, as after re-saving or cropping: same number and size of voxels."""
    a, b = water.grid, fat.grid
    steps = [np.stack([g.slice_step_mm, g.row_step_mm, g.column_step_mm]) for g in (a, b)]
    if a.shape != b.shape or np.abs(steps[0] - steps[1]).max() > _SAME_SPACING * min(a.spacing_mm[1:]):
        found = [f"{g.shape} voxels of {tuple(round(s, 3) for s in g.spacing_mm)} mm" for g in (a, b)]
        raise GeometryError(f"water and fat are not on one grid: {found[0]} and {found[1]}; give the two images of one Dixon series")
    apart = float(np.linalg.norm(a.center_mm - b.center_mm))
    warning = f"water and fat have the same voxels but positions {apart:.1f} mm apart; they were paired voxel by voxel, at the position of the water image"
    return Volume(fat.array, a), [warning] if not same_place(a, b) else []


def _scaling(water: NDArray[np.float32], fat: NDArray[np.float32], declared: tuple[float | None, float | None]) -> list[str]:
    """Reasons why the grey values of the two are not comparable; `declared` is the step of each according to its header."""
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


def _slice_scaling(water: Volume, fat: NDArray[np.float32]) -> list[str]:
    """Reasons why the grey values of slices are not comparable."""
    grid = water.grid
    steps = np.array([grid.slice_step_mm, grid.row_step_mm, grid.column_step_mm])
    axis = int(np.argmax(np.abs(steps[:, 2]) / np.maximum(np.linalg.norm(steps, axis=1), 1e-9)))  # from head to foot
    for name, array in (("water", np.asarray(water.array, np.float32)), ("fat", fat)):
        if _stretched(np.moveaxis(array, axis, 0)):
            return [f"the slices of the {name} image all have the same highest value: each was scaled on its own, so fat fractions are biased"]
    return []


def _noise_ratio(water: NDArray[np.float32], fat: NDArray[np.float32]) -> float | None:
    """Noise in the air of the fat image over that of the water image; None where air was masked, or noise is finer than the grey values."""
    smooth = ndimage.uniform_filter(water + fat, (0, 7, 7))
    air = (smooth <= np.quantile(smooth, _AIR)) & (water > 0) & (fat > 0)
    if air.sum() < _FEWEST_IN_AIR:
        return None
    means = [float(array[air].mean()) for array in (water, fat)]
    spreads = [float(array[air].std()) / mean for array, mean in zip((water, fat), means, strict=True)]
    if not all(_NOISE_SPREAD[0] <= spread <= _NOISE_SPREAD[1] for spread in spreads):
        return None
    return means[1] / means[0]


def _doubt(ratio: float) -> str:
    """What a ratio of noise says against equal scaling, or ""."""
    if 1 / _SAME_NOISE <= ratio <= _SAME_NOISE:
        return ""
    points = 100 * abs(0.3 * ratio / (0.7 + 0.3 * ratio) - 0.3)
    return (
        f"the noise of the fat image is {ratio:.2f} times that of the water image, which is 1 where both have one scale: "
        f"fat fractions may be biased (30 % by {points:.0f} points)"
    )


def _stretched(array: NDArray[np.float32]) -> bool:
    """Whether nearly every slice has the same highest value, at few pixels: each was stretched to a scale of its own. Clipped images have many."""
    if len(array) < _FEWEST_SLICES:
        return False
    tops = array.max(axis=(1, 2))
    middle = float(np.median(tops))
    same = np.abs(tops - middle) <= _SAME_TOP * middle
    at_top = (array >= (1 - _SAME_TOP) * tops[:, None, None]).sum(axis=(1, 2))
    return bool(middle > 0 and same.mean() >= _MOST_SLICES and np.median(at_top) <= _FEW_AT_TOP)


def _looks_swapped(water: NDArray[np.float32], fat: NDArray[np.float32], muscle: NDArray[np.bool_]) -> bool:
    rim = ndimage.binary_dilation(muscle, iterations=_SURROUNDINGS[1]) & ~ndimage.binary_dilation(muscle, iterations=_SURROUNDINGS[0])
    total = water + fat
    seen = total > 0.1 * np.quantile(total, 0.99)
    share = fat / np.maximum(total, 1e-6)
    inside, around = muscle & seen, rim & seen
    if inside.sum() < 30 or around.sum() < 30:
        return False
    return bool(np.median(share[inside]) > 0.5 and np.median(share[inside]) - np.median(share[around]) > 0.15)
