"""Grey views of the study for display, with the transform from millimetres to pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import BACK, LEFT, Points
from lumbar.domain.mask_labels import Structure
from lumbar.domain.study import Role, Series, Stack, Study
from lumbar.domain.volume import Volume
from lumbar.imaging.intensity import windowed
from lumbar.imaging.rectangle import rectangle
from lumbar.imaging.resample import sample
from lumbar.muscle.predict import StackMask
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.spine_map import SpineMap

SAGITTAL_MM = 0.5  # pixels of the sagittal view
_AXIAL_MM = 0.5
_AXIAL_WIDTH_MM, _AXIAL_HEIGHT_MM = 150.0, 120.0
_AXIAL_ROLES = (Role.AXIAL_T2, Role.AXIAL_T1, Role.DIXON_WATER)
_MARGIN_MM = 45.0  # around the column in the sagittal view


@dataclass(frozen=True, eq=False)
class SagittalView:
    """The curved midplane, cropped around the spine: rows head to foot, columns front to back."""

    grey: NDArray[np.uint8]  # (rows, columns)
    instances: NDArray[np.uint8]  # (rows, columns) instance numbers of the spine map
    canal: NDArray[np.uint8]  # (rows, columns) 1 in the canal
    corner_mm: tuple[float, float]  # of the first pixel, in the midplane's millimetres (down, back)
    sacrum: NDArray[np.uint8]  # (rows, columns) `Structure.S1` and `S2`, 0 elsewhere or where the model does not know them

    def pixel(self, down_mm: float, back_mm: float) -> tuple[float, float]:
        """(row, column) of a place in the midplane's millimetres."""
        return (down_mm - self.corner_mm[0]) / SAGITTAL_MM, (back_mm - self.corner_mm[1]) / SAGITTAL_MM


@dataclass(frozen=True, eq=False)
class AxialView:
    """The axial slice nearest to one disc: the patient's right on the image's left, front at the top."""

    grey: NDArray[np.uint8]
    level: LevelFinding
    series: Series
    instance_number: int
    points_mm: Points  # (rows, columns, 3) LPS of every pixel
    gap_mm: float  # from the disc's centre to the slice
    muscles: NDArray[np.uint8] | None = None  # (rows, columns) muscle labels, where this series was segmented
    fat: NDArray[np.float32] | None = None  # (rows, columns) share of fat in the muscles, where it was measured
    pixel_mm: float = _AXIAL_MM


def sagittal_view(spine: SpineMap, source: Volume) -> SagittalView:
    """The midplane resampled from the source series."""
    found = np.argwhere(spine.flat > 0) * PIXEL_MM
    limit = np.array(spine.flat.shape) * PIXEL_MM
    low = np.maximum(found.min(axis=0) - np.array([15.0, _MARGIN_MM]), 0)
    high = np.minimum(found.max(axis=0) + np.array([_MARGIN_MM, _MARGIN_MM + 20.0]), limit - PIXEL_MM)
    rows, columns = (np.arange(a, b, SAGITTAL_MM) for a, b in zip(low, high, strict=True))
    place = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    grey = windowed(sample(source, spine.midplane.points_mm(place / PIXEL_MM)), 1, 99.7)
    nearest = np.rint(place / PIXEL_MM).astype(int)
    nearest = np.minimum(nearest, np.array(spine.flat.shape) - 1)
    flat = spine.flat[nearest[..., 0], nearest[..., 1]]
    canal = (spine.midplane.labels == SpineClass.CANAL)[nearest[..., 0], nearest[..., 1]]
    sacrum = _sacrum(spine)[nearest[..., 0], nearest[..., 1]]
    return SagittalView(grey, flat, canal.astype(np.uint8), (float(low[0]), float(low[1])), sacrum)


def _sacrum(spine: SpineMap) -> NDArray[np.uint8]:
    """(rows, columns) S1 and S2 in the slices that the midplane passes through."""
    if spine.added is None:
        return np.zeros(spine.flat.shape, dtype=np.uint8)
    slices = np.rint(spine.midplane.slice_of_row).astype(int)
    shown = spine.added[slices, np.arange(len(slices))]
    return np.where(np.isin(shown, (Structure.S1, Structure.S2)), shown, 0).astype(np.uint8)


def axial_views(study: Study, levels: Sequence[LevelFinding], masks: Sequence[StackMask] = ()) -> list[AxialView]:
    """One view per level where an axial series passes within half a disc of it: the series whose muscles were labelled, or else the nearest slice."""
    stacks = [(series, stack) for series in study.with_role(*_AXIAL_ROLES) for stack in series.stacks]
    names = {mask.series_uid for mask in masks}
    labelled = [(series, stack) for series in study.series if series.series_uid in names for stack in series.stacks]
    views = [_axial_view(labelled, level) or _axial_view(stacks, level) for level in levels]
    return [_with_muscles(view, masks) for view in views if view is not None]


def _with_muscles(view: AxialView, masks: Sequence[StackMask]) -> AxialView:
    """The view with the labels of the stack that covers it, if one does."""
    for mask in masks:
        if mask.series_uid == view.series.series_uid and mask.mask.grid.contains(view.points_mm[view.points_mm.shape[0] // 2, view.points_mm.shape[1] // 2]):
            labels = np.rint(sample(mask.mask, view.points_mm, order=0)).astype(np.uint8)
            if labels.any():
                return replace(view, muscles=labels, fat=sample(mask.fat, view.points_mm) if mask.fat is not None else None)
    return view


def _axial_view(stacks: list[tuple[Series, Stack]], level: LevelFinding) -> AxialView | None:
    center = np.array(level.center_mm)
    best: tuple[float, Series, Stack, int] | None = None
    for series, stack in stacks:
        grid = stack.volume.grid
        number = int(np.clip(np.rint(grid.indices(center)[0]), 0, grid.shape[0] - 1))
        gap = float(abs((center - grid.origins_mm[number]) @ grid.normal))
        if grid.contains(center - ((center - grid.origins_mm[number]) @ grid.normal) * grid.normal, 1.0) and (best is None or gap < best[0]):
            best = gap, series, stack, number
    if best is None or best[0] > 8.0:
        return None
    gap, series, stack, number = best
    grid = stack.volume.grid
    middle = grid.points_mm(np.array([number, *grid.indices(np.array(level.canal_center_mm or level.center_mm))[1:]]))
    across = np.arange(-_AXIAL_WIDTH_MM / 2, _AXIAL_WIDTH_MM / 2, _AXIAL_MM)
    down = np.arange(-_AXIAL_HEIGHT_MM * 0.45, _AXIAL_HEIGHT_MM * 0.55, _AXIAL_MM)
    points = rectangle(middle, down, grid.toward(BACK), across, grid.toward(LEFT))
    grey = windowed(sample(stack.volume, points), 1, 99.5)
    return AxialView(grey, level, series, stack.instance_numbers[number], points, gap)
