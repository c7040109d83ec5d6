"""Subpixel outlines of discs and bodies in the midplane, from the network's probabilities.

All positions are (row, column) times `PIXEL_MM`: millimetres downwards and backwards from the first pixel of the image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.spine.segment import PIXEL_MM

_STEP_MM = 0.25
_WALL_MM = np.arange(2.0, 6.5, 0.5)  # from an endplate: where the back wall is looked for
_WALL_REACH_MM = 8.0  # behind nearly all of the structure
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outline:
    """A disc or body in its own frame: `across` runs from its front to its back, `down` from head to foot."""

    center: Vector  # (2,) mm
    across: Vector  # (2,) unit
    down: Vector  # (2,) unit
    offsets_mm: Vector  # (n,) along `across` from the centre, from front to back
    top_mm: Vector  # (n,) along `down` from the centre: its upper border
    bottom_mm: Vector  # (n,) its lower border
    walls: tuple[Vector | None, Vector | None]  # points (2,) in mm on the back wall, near the upper and the lower border; None where there is no wall

    @property
    def depth_mm(self) -> float:
        """Depth from front to back."""
        return float(self.offsets_mm[-1] - self.offsets_mm[0])

    @property
    def tilt_degrees(self) -> float:
        """Angle of `across` against the horizontal; positive when the front is lower."""
        return float(np.degrees(np.arctan2(-self.across[0], self.across[1])))

    def height_at_mm(self, share: float) -> float:
        """Height at the given fraction of the depth (0 front, 1 back), averaged over a seventh of the depth."""
        places = self.offsets_mm[0] + (share + np.linspace(-1 / 14, 1 / 14, 9)) * self.depth_mm
        return float(np.interp(places, self.offsets_mm, self.bottom_mm - self.top_mm).mean())

    def border(self, upper: bool) -> tuple[Vector, Vector]:
        """The upper or lower endplate as a straight line fitted to the middle 80 % of the depth: its front and back end (2,) in mm."""
        line = self._line(upper)
        front, back = (self.center + self.offsets_mm[k] * self.across + line[k] * self.down for k in (0, -1))
        return np.asarray(front), np.asarray(back)

    def back_wall(self, upper: bool) -> Vector | None:
        """A point (2,) in mm on the back wall, 4 mm from the upper or lower endplate: closer to it, corners are rounded and may have osteophytes."""
        return self.walls[0 if upper else 1]

    def _line(self, upper: bool) -> Vector:
        """(n,) the straight endplate at each offset."""
        values = self.top_mm if upper else self.bottom_mm
        middle = np.abs(self.offsets_mm - self.offsets_mm.mean()) <= 0.4 * self.depth_mm
        slope, level = np.polyfit(self.offsets_mm[middle], values[middle], 1)
        return np.asarray(slope * self.offsets_mm + level)


def outline(mask: NDArray[np.bool_], probability: NDArray[np.float32], across: Vector | None = None) -> Outline | None:
    """The outline of the structure in `mask`, or None if it is too small. Its frame is given by `across`, or else by its longest axis.

    Args:
        mask: (rows, columns) pixels of this structure.
        probability: (rows, columns) of its class; borders are interpolated where it crosses one half.
        across: (2,) unit direction from front to back.
    """
    points = np.argwhere(mask) * PIXEL_MM
    if len(points) < 40:
        return None
    center = points.mean(axis=0)
    if across is None:
        _, _, axes = np.linalg.svd(points - center, full_matrices=False)
        across = axes[0] * (1 if axes[0][1] >= 0 else -1)
    down = np.array([across[1], -across[0]])
    down = down if down[0] > 0 else -down
    u, v = (points - center) @ across, (points - center) @ down
    low, high = np.percentile(u, (2, 98))
    offsets = np.arange(low, high, 0.5)
    reach = float(np.abs(v).max()) + 2.0
    steps = np.arange(-reach, reach, _STEP_MM)
    place = center + offsets[:, None, None] * across + steps[None, :, None] * down
    own = ndimage.binary_dilation(mask, iterations=2)
    values = values_at(np.where(own, probability, 0).astype(np.float32), place)
    inside = values > 0.5
    seen = inside.any(axis=1)
    if np.count_nonzero(seen) < 10:
        return None
    offsets, inside = offsets[seen], inside[seen]
    top = steps[inside.argmax(axis=1)] - _STEP_MM / 2
    bottom = steps[len(steps) - 1 - inside[:, ::-1].argmax(axis=1)] + _STEP_MM / 2
    top, bottom = (ndimage.median_filter(border, 5, mode="nearest") for border in (top, bottom))
    back = offsets > low + 0.6 * (high - low)
    if not back.any():
        return Outline(center, np.asarray(across), down, offsets, top, bottom, (None, None))
    edges = ((float(np.median(top[back])), 1), (float(np.median(bottom[back])), -1))
    beyond = np.arange(0.0, high + _WALL_REACH_MM, _STEP_MM)
    walls = [_wall(np.where(own, probability, 0).astype(np.float32), (center, across, down), beyond, edge + sign * _WALL_MM) for edge, sign in edges]
    return Outline(center, np.asarray(across), down, offsets, top, bottom, (walls[0], walls[1]))


def _wall(probability: NDArray[np.float32], frame: tuple[Vector, Vector, Vector], offsets_mm: Vector, heights_mm: Vector) -> Vector | None:
    """Where the structure ends behind, as the median over some heights: the first gap on the way back from its middle. None where that is outside.

    Args:
        probability: (rows, columns) of this structure alone.
        frame: centre in mm, unit vectors from front to back and down.
        offsets_mm: (n,) places on the way, from the middle back.
        heights_mm: (m,) along `down` from the centre.
    """
    center, across, down = frame
    inside = values_at(probability, center + offsets_mm[None, :, None] * across + heights_mm[:, None, None] * down) > 0.5
    inside = inside[inside[:, 0]]
    if len(inside) < len(heights_mm) / 2 or inside.all(axis=1).any():
        return None
    ends = offsets_mm[np.argmin(inside, axis=1) - 1] + _STEP_MM / 2
    return np.asarray(center + float(np.median(ends)) * across + float(heights_mm.mean()) * down)


def width_mm(probability: NDArray[np.float32], start: Vector, direction: Vector, reach_mm: float) -> tuple[float, Vector] | None:
    """Length and midpoint (mm) of the interval with probability above one half along `direction` that is nearest to `start` within ±`reach_mm`."""
    steps = np.arange(-reach_mm, reach_mm + _STEP_MM, _STEP_MM)
    inside = values_at(probability, start + steps[:, None] * direction) > 0.5
    runs, count = ndimage.label(inside)
    if not count:
        return None
    nearest = min(range(1, count + 1), key=lambda run: float(np.abs(steps[runs == run]).min()))
    run = steps[runs == nearest]
    return float(run.size * _STEP_MM), start + run.mean() * direction


def values_at(image: NDArray[np.float32], points_mm: Vector) -> NDArray[np.float32]:
    """Values (...) of an image at points (..., 2) in mm, linearly interpolated; 0 outside."""
    return np.asarray(ndimage.map_coordinates(image, np.moveaxis(points_mm / PIXEL_MM, -1, 0), order=1, cval=0), dtype=np.float32)
