"""Cutting the views of a study around given positions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Level, Side
from lumbar.domain.geometry import BACK, HEAD, LEFT, Points
from lumbar.domain.study import Stack
from lumbar.domain.volume import Volume
from lumbar.imaging.rectangle import centred, rectangle
from lumbar.severity.axial.cut import HEIGHT_MM, WIDTH_MM
from lumbar.severity.axial.data import STORED_COLUMNS, STORED_ROWS
from lumbar.severity.studies.views import FIELD_MM, LEVELS, SAGITTAL_PIXELS, SAGITTAL_SLICES, SHAPES, SLOTS, SLOTS_OF, CropRecord, Slot, StudyCrops, View


@dataclass(frozen=True, eq=False)
class Spot:
    """The middle of a crop: a slice of a stack, and a point in it."""

    series: str
    stack: Stack
    slice_number: int
    point_mm: Points  # (3,)


Spots = Mapping[tuple[Slot, Level], Spot]


def cut_views(spots: Spots, tissue: Volume | None = None) -> StudyCrops:
    """The crops around `spots`; with `tissue` (0 … 3 on any grid of the same patient) also its classes at their pixels."""
    images = {view: np.zeros(shape, np.uint8) for view, shape in SHAPES.items()}
    masks = {view: np.zeros(shape, np.uint8) for view, shape in SHAPES.items()} if tissue is not None else None
    present = np.zeros((len(LEVELS), len(SLOTS)), bool)
    records = []
    for ((view, side), level), spot in spots.items():
        slot = SLOTS.index((view, side))
        at = LEVELS.index(level), SLOTS_OF[view].index(slot)
        numbers, points = _axial_points(spot) if view is View.AXIAL else _sagittal_points(spot, side)
        layers = [_slice_values(spot.stack, number, layer) for number, layer in zip(numbers, points, strict=True)]
        images[view][at] = _axial_grey(layers, spot.stack, numbers) if view is View.AXIAL else _sagittal_grey(layers)
        if masks is not None and tissue is not None:
            masks[view][at] = _classes(tissue, points)
        present[LEVELS.index(level), slot] = True
        records.append(_record(view, side, level, spot, points[len(points) // 2]))
    return StudyCrops(images, present, tuple(records), masks)


def _sagittal_points(spot: Spot, side: Side | None) -> tuple[list[int], Points]:
    """Numbers of the five slices, and LPS points (5, rows, columns, 3)."""
    grid = spot.stack.volume.grid
    step = 1 if side is not Side.RIGHT else -1  # right to left for the canal, from the middle outwards for a foramen
    if grid.origins_mm[0, 0] > grid.origins_mm[-1, 0]:
        step = -step
    half = SAGITTAL_SLICES // 2
    numbers = [int(np.clip(spot.slice_number + step * k, 0, len(grid.origins_mm) - 1)) for k in range(-half, half + 1)]
    place = centred(SAGITTAL_PIXELS, FIELD_MM / SAGITTAL_PIXELS)
    plane = rectangle(spot.point_mm, place, -grid.toward(HEAD), place, grid.toward(BACK))
    return numbers, _on_slices(plane, spot, numbers)


def _axial_points(spot: Spot) -> tuple[list[int], Points]:
    """Likewise for the three slices of an axial crop, in the order of their instance numbers."""
    grid, instances = spot.stack.volume.grid, spot.stack.instance_numbers
    last = len(instances) - 1
    numbers = [max(spot.slice_number - 1, 0), spot.slice_number, min(spot.slice_number + 1, last)]
    if instances[0] > instances[last]:
        numbers.reverse()
    down, across = centred(STORED_ROWS, HEIGHT_MM / STORED_ROWS), centred(STORED_COLUMNS, WIDTH_MM / STORED_COLUMNS)
    plane = rectangle(spot.point_mm, down, grid.toward(BACK), across, grid.toward(LEFT))
    return numbers, _on_slices(plane, spot, numbers)


def _on_slices(plane: Points, spot: Spot, numbers: list[int]) -> Points:
    origins = spot.stack.volume.grid.origins_mm
    return np.stack([plane + (origins[number] - origins[spot.slice_number]) for number in numbers])


def _slice_values(stack: Stack, number: int, points: Points) -> NDArray[np.float32]:
    """Grey values of one slice at points in its plane; linear, black outside."""
    grid = stack.volume.grid
    steps = np.column_stack([grid.row_step_mm, grid.column_step_mm])
    index = (points - grid.origins_mm[number]) @ np.linalg.pinv(steps).T
    return np.asarray(ndimage.map_coordinates(stack.volume.array[number], np.moveaxis(index, -1, 0), order=1, output=np.float32))


def _sagittal_grey(layers: list[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """0 … 255 over the range of the crop, so that dark regions of the coil keep their contrast."""
    values = np.stack(layers)
    low, high = np.percentile(values[:, ::4, ::4], (1, 99.5))
    return np.asarray(np.clip((values - low) / max(1.1 * float(high - low), 1e-6), 0, 1) * 255 + 0.5, dtype=np.uint8)


def _axial_grey(layers: list[NDArray[np.float32]], stack: Stack, numbers: list[int]) -> NDArray[np.uint8]:
    """Each slice scaled by its own maximum, as in the training crops."""
    scaled = [np.clip(v / max(float(stack.volume.array[n].max()), 1e-6), 0, 1) for v, n in zip(layers, numbers, strict=True)]
    return np.asarray(np.stack(scaled) * 255 + 0.5, dtype=np.uint8)


def _classes(tissue: Volume, points: Points) -> NDArray[np.uint8]:
    index = np.moveaxis(tissue.grid.indices(points), -1, 0)
    return np.asarray(ndimage.map_coordinates(tissue.array, index, order=0, cval=0, output=np.uint8))


def _record(view: View, side: Side | None, level: Level, spot: Spot, points: Points) -> CropRecord:
    steps = points[1, 0] - points[0, 0], points[0, 1] - points[0, 0]
    origin, row, column = ((float(v[0]), float(v[1]), float(v[2])) for v in (points[0, 0], *steps))
    number = spot.stack.instance_numbers[spot.slice_number]
    return CropRecord(view.value, level.value, side.value if side else "", spot.series, number, origin, row, column)
