"""Signed distances in millimetres, negative inside, of the solids that make up the phantom. All arrays are float32 and share one shape."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def ellipse(x: Floats, y: Floats, half_x: float | Floats, half_y: float | Floats) -> Floats:
    """Distance to an ellipse around the origin, exact to first order near its border."""
    nx, ny = x / half_x, y / half_y
    radius = np.sqrt(nx * nx + ny * ny)
    slope = np.sqrt((nx / half_x) ** 2 + (ny / half_y) ** 2)
    return np.asarray(radius * (radius - 1) / np.maximum(slope, np.float32(1e-6)))


def ellipsoid(x: Floats, y: Floats, z: Floats, half: tuple[float, float, float]) -> Floats:
    """Distance to an ellipsoid around the origin, exact to first order near its border."""
    nx, ny, nz = x / np.float32(half[0]), y / np.float32(half[1]), z / np.float32(half[2])
    radius = np.sqrt(nx * nx + ny * ny + nz * nz)
    slope = np.sqrt((nx / np.float32(half[0])) ** 2 + (ny / np.float32(half[1])) ** 2 + (nz / np.float32(half[2])) ** 2)
    return np.asarray(radius * (radius - 1) / np.maximum(slope, np.float32(1e-6)))


def capsule(x: Floats, y: Floats, z: Floats, ends: NDArray[np.float64], radius: float) -> Floats:
    """Distance to a rod with round ends; `ends` is (2, 3)."""
    axis = ends[1] - ends[0]
    length = float(axis @ axis)
    x, y, z = x - np.float32(ends[0, 0]), y - np.float32(ends[0, 1]), z - np.float32(ends[0, 2])
    along = (x * np.float32(axis[0] / length)) + y * np.float32(axis[1] / length) + z * np.float32(axis[2] / length)
    np.clip(along, 0, 1, out=along)
    x -= along * np.float32(axis[0])
    y -= along * np.float32(axis[1])
    z -= along * np.float32(axis[2])
    return np.asarray(np.sqrt(x * x + y * y + z * z) - np.float32(radius))


def rounded(first: Floats, second: Floats, radius: float) -> Floats:
    """Intersection of two solids with the common edge rounded by `radius`."""
    r = np.float32(radius)
    outside = np.hypot(np.maximum(first + r, 0), np.maximum(second + r, 0))
    return np.asarray(np.minimum(np.maximum(first, second) + r, 0) + outside - r)
