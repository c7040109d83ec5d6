"""Occlusion maps of the predicted age: the change in years when a region is replaced by the baseline (`occlusion_baseline.py`).

Positive: the region makes the spine look older than an average one would. A region is occluded in the crops of all levels that show it. Runs
on ONNX Runtime alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.age.crops import LEVELS, CropOptions, Frame, SliceSet
from lumbar.age.engine import AgeEngine, Features
from lumbar.age.segments import SEGMENTS, WHOLE
from lumbar.domain.geometry import Points

Map = NDArray[np.float32]

DISC_HALF_MM = 8.0  # extent of a disc's band above and below its middle; the vertebra fills the space between two bands
_EDGE_MM = 2.0  # bands fade over about this
_PATCH_SIGMA_MM = 6.0  # of the Gaussian that is occluded for the smooth map
_PATCH_STEP_MM = 9.0
_MIDDLE_MM = 6.0  # slices this near to the midline are occluded together for the smooth map
_FADE_PIXELS = 4.0  # at the edge of a level's map
_WHOLE = SEGMENTS.index(WHOLE)


@dataclass(frozen=True, eq=False)
class Structure:
    """A disc or a vertebra with everything at its height."""

    name: str  # "L4/L5" or "L4"
    delta_years: float  # all slices occluded at once
    slice_offsets_mm: tuple[float, ...]  # to the patient's left of the midline
    slice_delta_years: tuple[float, ...]  # each slice occluded alone


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Years by place around the midline, as one map per level in the level's own frame."""

    maps: dict[str, Map]  # level → (rows, columns) of its crop, years
    frames: dict[str, Frame]
    options: CropOptions

    def at(self, points_mm: Points) -> Map:
        """Years (...) at LPS points (..., 3), whatever their distance to the midline: the mean where crops overlap, fading to 0 towards the outside."""
        total, weight = np.zeros((2, *points_mm.shape[:-1]))
        for name, values in self.maps.items():
            place = self.frames[name].place_mm(points_mm)
            row = place[..., 0] / self.options.pixel_mm + self.options.middle[0]
            column = place[..., 1] / self.options.pixel_mm + self.options.middle[1]
            value, share = _bilinear(values, row, column)
            total += value * share
            weight += share
        return np.asarray(total / np.maximum(weight, 1.0), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Importance:
    """Explanation of the predicted age of one study."""

    structures: tuple[Structure, ...]  # discs and vertebrae from head to foot
    heat_map: HeatMap


class Explainer:
    """Occludes regions of one study and runs the network again."""

    def __init__(self, engine: AgeEngine, slices: SliceSet, baseline: Map, sex: str | None) -> None:
        self.engine, self.slices, self.baseline, self.sex = engine, slices, baseline, sex
        self.described = engine.describe(slices)
        self.years = float(engine.ages(self.described[None], slices, sex).segment_years[0, _WHOLE])

    def structures(self) -> tuple[Structure, ...]:
        """Importance of each disc and vertebra."""
        names, masks = _bands(self.slices)
        hidden = self._hide([(level, k, mask[level]) for mask in masks for level, k in self._slots(mask)])
        result = []
        for name, mask in zip(names, masks, strict=True):
            slots = self._slots(mask)
            own = {slot: next(hidden) for slot in slots}
            offsets = sorted({round(float(self.slices.position_mm[slot]), 1) for slot in slots})
            sets = [slots, *([slot for slot in slots if round(float(self.slices.position_mm[slot]), 1) == offset] for offset in offsets)]
            deltas = self.years - self._years([{slot: own[slot] for slot in chosen} for chosen in sets])
            result.append(Structure(name, float(deltas[0]), tuple(offsets), tuple(map(float, deltas[1:]))))
        return tuple(result)

    def deletion_curve(self, names: Sequence[str]) -> tuple[float, ...]:
        """Age in years with none, the first, the first two, … of the named structures occluded: the deletion curve (Petsiuk et al. 2018)."""
        known, masks = _bands(self.slices)
        bands = dict(zip(known, masks, strict=True))
        curve = [self.years]
        for count in range(1, len(names) + 1):
            joint = np.max([bands[name] for name in names[:count]], axis=0)
            slots = self._slots(joint)
            hidden = self._hide([(level, k, joint[level]) for level, k in slots])
            curve.append(float(self._years([{slot: next(hidden) for slot in slots}])[0]))
        return tuple(curve)

    def heat_map(self) -> HeatMap:
        """The smooth map."""
        options = self.slices.options
        centres = _patch_centres(options)
        masks = _patches(centres, options)
        maps, frames = {}, {}
        for number, frame in enumerate(self.slices.frames):
            if frame is None:
                continue
            near = self._middle_slices(number)
            hidden = self._hide([(number, k, mask) for mask in masks for k in near])
            changed = self._years([{(number, k): next(hidden) for k in near} for _ in masks])
            name = frame.level.value
            frames[name] = frame
            maps[name] = _smooth(self.years - changed, masks)
        return HeatMap(maps, frames, options)

    def _middle_slices(self, level: int) -> list[int]:
        """Slices of a level near the midline, or the nearest one."""
        away_mm = np.where(self.slices.present[level] > 0, np.abs(self.slices.position_mm[level]), np.inf)
        return [int(k) for k in np.flatnonzero(away_mm <= max(_MIDDLE_MM, float(away_mm.min())))]

    def _slots(self, mask: Map) -> list[tuple[int, int]]:
        """Crops (level, slice) that show any of a mask (5, rows, columns)."""
        return [(int(level), int(k)) for level, k in np.argwhere(self.slices.present > 0) if mask[level].max() > 0.05]

    def _hide(self, places: list[tuple[int, int, Map]]) -> Iterator[Features]:
        """Features of crops (level, slice) in which a mask (rows, columns) was replaced by the baseline."""
        step = 64
        for start in range(0, len(places), step):
            part = places[start : start + step]
            crops = [(1 - mask) * self.slices.images[level, k] + mask * self.baseline[level, k] for level, k, mask in part]
            yield from self.engine.encode(np.stack(crops).astype(np.float32))

    def _years(self, versions: list[dict[tuple[int, int], Features]]) -> NDArray[np.float64]:
        """Age of the whole spine (n,) with the features of some crops exchanged."""
        described = np.repeat(self.described[None], len(versions), axis=0)
        for number, version in enumerate(versions):
            for (level, k), features in version.items():
                described[number, level, k] = features
        return self.engine.ages(described, self.slices, self.sex).segment_years[:, _WHOLE]


def explain(engine: AgeEngine, slices: SliceSet, baseline: Map, sex: str | None) -> Importance:
    """Structures and smooth map of one study."""
    explainer = Explainer(engine, slices, baseline, sex)
    return Importance(explainer.structures(), explainer.heat_map())


def _bands(slices: SliceSet) -> tuple[list[str], list[Map]]:
    """Names and masks (5, rows, columns) of discs and vertebrae: bands across the crops, from 0 to 1."""
    options = slices.options
    down_mm = (np.arange(options.rows) - options.middle[0]) * options.pixel_mm
    disc = 1 / (1 + np.exp((np.abs(down_mm) - DISC_HALF_MM) / (_EDGE_MM / 2)))
    above, below = np.where(down_mm < 0, 1 - disc, 0), np.where(down_mm > 0, 1 - disc, 0)
    bands: dict[str, Map] = {}
    for number, frame in enumerate(slices.frames):
        if frame is None:
            continue
        parts = {frame.level.upper.value: above, frame.level.value: disc, frame.level.lower.value: below}
        for name, rows in parts.items():
            mask = bands.setdefault(name, np.zeros((len(LEVELS), options.rows, options.columns), dtype=np.float32))
            mask[number] = rows[:, None]
    return list(bands), list(bands.values())


def _patch_centres(options: CropOptions) -> Points:
    """(n, 2) rows and columns of the middles of the patches."""
    axes = []
    for size in (options.rows, options.columns):
        count = max(2, round(size * options.pixel_mm / _PATCH_STEP_MM))
        axes.append((np.arange(count) + 0.5) * size / count - 0.5)
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def _patches(centres: Points, options: CropOptions) -> list[Map]:
    rows, columns = np.arange(options.rows)[:, None], np.arange(options.columns)[None]
    sigma = _PATCH_SIGMA_MM / options.pixel_mm
    # A flat top and a soft edge: the middle of the patch is fully occluded.
    reach = [((rows - r) ** 2 + (columns - c) ** 2) / (2 * sigma**2) for r, c in centres]
    return [np.asarray(np.minimum(1.0, 1.6 * np.exp(-distance)), dtype=np.float32) for distance in reach]


def _smooth(values: NDArray[np.float64], masks: list[Map]) -> Map:
    """Each pixel's mean over the patches that cover it, weighted by their opacity."""
    stack = np.stack(masks)
    return np.asarray(np.tensordot(values, stack, axes=1) / np.maximum(stack.sum(axis=0), 1e-6), dtype=np.float32)


def _bilinear(values: Map, row: Points, column: Points) -> tuple[Points, Points]:
    """Values between pixels, and the weight of the map there: 1 inside, falling to 0 at its edge, so that images show no frame."""
    rows, columns = values.shape
    to_edge = np.minimum(np.minimum(row + 0.5, rows - 0.5 - row), np.minimum(column + 0.5, columns - 0.5 - column))
    r, c = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    low_r, low_c = np.minimum(r.astype(int), rows - 2), np.minimum(c.astype(int), columns - 2)
    share_r, share_c = r - low_r, c - low_c
    top = values[low_r, low_c] * (1 - share_c) + values[low_r, low_c + 1] * share_c
    bottom = values[low_r + 1, low_c] * (1 - share_c) + values[low_r + 1, low_c + 1] * share_c
    return top * (1 - share_r) + bottom * share_r, np.clip(to_edge / _FADE_PIXELS, 0, 1)
