"""Close-up views of the evidence of grades: around an evidence point, and of a graded crop with its heat map."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.domain.findings import Evidence
from lumbar.domain.geometry import Points
from lumbar.domain.study import Plane, Series, Stack, Study
from lumbar.imaging.intensity import windowed
from lumbar.imaging.rectangle import centred, rectangle
from lumbar.imaging.resample import sample
from lumbar.severity.axial.cut import LevelCrop
from lumbar.severity.axial.explain import HeatMap
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.foramina.cut import NEIGHBOURS, ForamenCrop
from lumbar.severity.foramina.explain import ForamenHeatMap

_PIXEL_MM = 0.2  # of the views: finer than any series, so that no detail is lost
# Patient directions (LPS) that a reader expects to the right and downwards.
_DIRECTIONS = {
    Plane.AXIAL: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),  # the patient's left, the back
    Plane.SAGITTAL: ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),  # the back, the feet
    Plane.CORONAL: ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
}


@dataclass(frozen=True, eq=False)
class CloseView:
    """A region of one slice in the usual orientation: the patient's right, or anterior, is on the left."""

    grey: NDArray[np.uint8]
    points_mm: Points  # (rows, columns, 3) LPS of every pixel
    pixel_mm: float = _PIXEL_MM

    def pixel(self, point_mm: Points) -> tuple[float, float]:
        """(row, column) of the pixel nearest to a point (3,)."""
        away = np.linalg.norm(self.points_mm - point_mm, axis=-1)
        row, column = np.unravel_index(int(away.argmin()), away.shape)
        return float(row), float(column)


@dataclass(frozen=True, eq=False)
class Place:
    """Position of an evidence point."""

    point_mm: Points  # (3,) LPS
    series: Series
    stack: Stack


def place_of(study: Study, evidence: Evidence) -> Place:
    """The position of an evidence point of `study`."""
    # Echoes and Dixon images of one series share its UID.
    series, stack = next(
        (one, stack)
        for one in study.series
        if one.series_uid == evidence.series_uid
        for stack in one.stacks
        if evidence.instance_number in stack.instance_numbers
    )
    number = stack.instance_numbers.index(evidence.instance_number)
    return Place(stack.volume.grid.points_mm([number, evidence.y, evidence.x]), series, stack)


def view_around(place: Place, height_mm: float, width_mm: float) -> CloseView:
    """The slice that holds an evidence point, around the point."""
    return _view(place.stack, place.point_mm, place.series.plane, (height_mm, width_mm))


def view_of_crop(crop: LevelCrop) -> CloseView:
    """The graded crop, resampled from its series at full bit depth."""
    return _view(crop.stack, crop.center_mm, Plane.AXIAL, crop.size_mm)


def view_of_foramen(crop: ForamenCrop) -> CloseView:
    """The graded crop of a foramen, resampled from its series at full bit depth."""
    return _view(crop.stack, crop.point_mm, Plane.SAGITTAL, (CROP_ROWS * crop.pixel_mm, CROP_COLUMNS * crop.pixel_mm))


def views_of_neighbours(crop: ForamenCrop, height_mm: float, width_mm: float) -> tuple[CloseView, ...]:
    """The slices that were graded, each around the foramen, in the order of the stack."""
    origins = crop.stack.volume.grid.origins_mm
    numbers = [crop.slice_number + by for by, weight in zip(NEIGHBOURS, crop.weights, strict=True) if weight > 0]
    middles = [crop.point_mm + (origins[number] - origins[crop.slice_number]) for number in numbers]
    return tuple(_view(crop.stack, middle, Plane.SAGITTAL, (height_mm, width_mm)) for middle in middles)


def importance_on(heat: HeatMap | ForamenHeatMap, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The heat map (rows, columns) on the pixels of `view_of_crop`, 1 where the change is largest."""
    enlarged = np.asarray(Image.fromarray(heat.change).resize((shape[1], shape[0]), Image.Resampling.BICUBIC), dtype=np.float32)
    return np.clip(enlarged / max(float(heat.change.max()), 1e-6), 0, 1).astype(np.float32)


def _view(stack: Stack, middle: Points, plane: Plane, size_mm: tuple[float, float]) -> CloseView:
    rows, columns = (centred(round(size / _PIXEL_MM), _PIXEL_MM) for size in size_mm)
    right, down = (stack.volume.grid.toward(direction) for direction in _DIRECTIONS[plane])
    points = rectangle(middle, rows, down, columns, right)
    return CloseView(windowed(sample(stack.volume, points), 1, 99.7), points)
