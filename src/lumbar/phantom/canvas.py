"""One plane through the patient on which structures are painted, later ones over earlier ones.

A structure is a signed distance in millimetres, negative inside, evaluated only in its window of pixels. Coordinates along any straight axis are affine
in row and column, so that a rotated frame costs one addition per pixel.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumbar.phantom.signal import Palette

Floats = NDArray[np.floating[Any]]
Window = tuple[slice, slice]
Paint = Floats | np.floating[Any] | float


@dataclass(frozen=True, eq=False)
class Plane:
    """A rectangle of pixel centres in LPS millimetres."""

    origin_mm: NDArray[np.float64]  # (3,) centre of pixel (0, 0)
    row_step_mm: NDArray[np.float64]  # (3,) from one row to the next
    column_step_mm: NDArray[np.float64]  # (3,) from one column to the next
    rows: int
    columns: int

    @cached_property
    def pixel_mm(self) -> float:
        """Mean edge of a pixel."""
        return float(np.linalg.norm(self.row_step_mm) + np.linalg.norm(self.column_step_mm)) / 2

    @cached_property
    def _normal(self) -> NDArray[np.float64]:
        normal = np.cross(self.column_step_mm, self.row_step_mm)
        return np.asarray(normal / np.linalg.norm(normal))

    @cached_property
    def _inverse(self) -> NDArray[np.float64]:
        return np.asarray(np.linalg.pinv(np.column_stack([self.row_step_mm, self.column_step_mm])))

    def window(self, points_mm: ArrayLike, reach_mm: float) -> Window | None:
        """The pixels within `reach_mm` of the bounding box of `points_mm` (n, 3); None if the plane misses it."""
        offset = np.asarray(points_mm, dtype=np.float64) - self.origin_mm
        depth = offset @ self._normal
        if depth.min() > reach_mm or depth.max() < -reach_mm:
            return None
        pixel = np.atleast_2d(offset) @ self._inverse.T
        low = np.floor(pixel.min(axis=0) - reach_mm / self.pixel_mm).astype(int)
        high = np.ceil(pixel.max(axis=0) + reach_mm / self.pixel_mm).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, (self.rows, self.columns))
        if (low >= high).any():
            return None
        return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))

    @property
    def whole(self) -> Window:
        """All pixels."""
        return slice(0, self.rows), slice(0, self.columns)

    def along(self, window: Window, center_mm: ArrayLike, axis: ArrayLike) -> Floats:
        """(rows, columns) of the window: the coordinate of each pixel along `axis`, relative to `center_mm`."""
        direction = np.asarray(axis, dtype=np.float64)
        start = float((self.origin_mm - np.asarray(center_mm)) @ direction)
        rows = start + np.arange(window[0].start, window[0].stop) * float(self.row_step_mm @ direction)
        columns = np.arange(window[1].start, window[1].stop) * float(self.column_step_mm @ direction)
        return np.asarray(np.add.outer(rows.astype(np.float32), columns.astype(np.float32)))


class Canvas:
    """Water and fat signal and the labels of one plane; labels only without a palette."""

    def __init__(self, plane: Plane, palette: Palette | None) -> None:
        shape = (plane.rows, plane.columns)
        self.plane = plane
        self.palette = palette
        self.labels = np.zeros(shape, dtype=np.uint8)
        self.water = np.zeros(shape, dtype=np.float32)
        self.fat = np.zeros(shape, dtype=np.float32)

    def cover(self, window: Window, distance: Floats, signal: tuple[Paint, Paint], label: int | None = None) -> None:
        """Paint the region of negative `distance` with (water, fat) signal; edges are anti-aliased over one pixel.

        A label of None leaves the labels unchanged, 0 clears them.
        """
        if self.palette is None:
            if label is not None:
                self.labels[window][distance < 0] = label
            return
        share = distance * np.float32(-1 / self.plane.pixel_mm)
        share += np.float32(0.5)
        np.clip(share, 0, 1, out=share)
        self.blend(window, share, signal)

    def blend(self, window: Window, share: Floats, signal: tuple[Paint, Paint]) -> None:
        """Blend in (water, fat) signal by `share` of each pixel; labels are unchanged."""
        for channel, value in ((self.water, signal[0]), (self.fat, signal[1])):
            part = channel[window]
            part += share * (np.asarray(value, dtype=np.float32) - part)
