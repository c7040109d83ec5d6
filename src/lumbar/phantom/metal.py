"""Metal: screws in the pedicles with rods between them and a cage in the disc, and their susceptibility artefacts.

The field outside a long cylinder of radius R is Δχ/2 · (R/r)² · (2 (b·r̂)² − b²) of B0, with b the part of B0's direction across the cylinder and r̂ the
unit vector from its axis (Schenck, Med Phys 1996;23:815). In a spin echo it shifts signal along the frequency axis like the chemical shift of fat,
which causes signal voids and pile-up. Distortion of the slice profile and dephasing in gradient echoes are not simulated.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Disc, Implant, Vertebra
from lumbar.phantom.canvas import Plane

Floats = NDArray[np.floating[Any]]

TITANIUM_PPM = 190.0  # susceptibility of titanium against tissue (182 − −9)
FAT_PPM = 3.4
_LEAST_SHIFT = 0.4  # fat shift in pixels that represents the bandwidth of scans without a fat shift
_REACH_MM = 70.0
_PIECES = 6  # subdivisions of each pixel that are shifted separately
Disturbance = tuple[Floats, NDArray[np.bool_]]  # change of the field in ppm of B0, and mask of the metal


def place_implants(upper: Vertebra, lower: Vertebra, disc: Disc) -> tuple[Implant, ...]:
    """Four pedicle screws, two rods behind them, and a cage of two halves in the disc between."""
    implants = []
    for side in SIDES:
        heads = []
        for vertebra in (upper, lower):
            back, out = vertebra.half_depth_mm, vertebra.pedicle_mm[0]
            lift = 0.18 * vertebra.height_mm
            head = np.array([side * (out + 4.0), back + vertebra.canal_depth_mm + 6.0, lift + 1.0])
            ends = vertebra.frame.to_world(np.array([(side * (out - 7.0), -0.4 * back, lift - 2.0), head]))
            implants.append(Implant(ends, 3.0))
            heads.append(ends[1])
        implants.append(Implant(np.array(heads), 2.75))
        implants.append(
            Implant(disc.frame.to_world(np.array([(side * 9.0, -0.5 * disc.half_depth_mm, 0.0), (side * 9.0, 0.4 * disc.half_depth_mm, 0.0)])), 3.5)
        )
    return tuple(implants)


def field_ppm(implants: tuple[Implant, ...], plane: Plane) -> Disturbance:
    """(rows, columns) change of the field in ppm of B0, and mask of the metal."""
    shape = (plane.rows, plane.columns)
    field, inside = np.zeros(shape), np.zeros(shape, dtype=bool)
    points = [plane.along(plane.whole, np.zeros(3), axis).astype(np.float64) for axis in np.eye(3)]
    place = np.stack(points, axis=-1)
    for implant in implants:
        first, second = implant.ends_mm
        length = float(np.linalg.norm(second - first))
        axis = (second - first) / length
        share = np.clip((place - first) @ axis, 0, length)
        offset = place - first - share[..., None] * axis
        away = np.linalg.norm(offset, axis=-1)
        inside |= away < implant.radius_mm
        across = np.array([0.0, 0.0, 1.0]) - axis[2] * axis
        radius = np.maximum(away, implant.radius_mm)
        shape_term = 2 * np.square((offset @ across) / np.maximum(away, 1e-6)) - across @ across
        field += TITANIUM_PPM / 2 * np.square(implant.radius_mm / radius) * shape_term * (away < _REACH_MM)
    return field, inside


def disturbances(implants: tuple[Implant, ...], plane: Plane, thickness_mm: float) -> list[Disturbance]:
    """The field in three planes across the thickness of a slice."""
    normal = np.cross(plane.column_step_mm, plane.row_step_mm)
    normal = normal / np.linalg.norm(normal)
    shifts = (np.arange(3) - 1) * thickness_mm / 3
    planes = [Plane(plane.origin_mm + shift * normal, plane.row_step_mm, plane.column_step_mm, plane.rows, plane.columns) for shift in shifts]
    return [field_ppm(implants, shifted) for shifted in planes]


def distorted(pool: Floats, fields: list[Disturbance], shift_pixels: float, axis: int) -> Floats:
    """Signal of one pool (rows, columns) without that of metal, shifted along `axis` by its frequency offset; the mean over `fields`."""
    found = np.zeros(pool.shape if axis == 1 else pool.shape[::-1])
    for field, inside in fields:
        kept = np.where(inside, 0, pool)
        along = (kept, field) if axis == 1 else (kept.T, field.T)
        found += _moved(along[0], along[1] * (max(shift_pixels, _LEAST_SHIFT) / FAT_PPM))
    result = (found / len(fields)).astype(np.float32)
    return result if axis == 1 else result.T


def _moved(signal: Floats, shift: Floats) -> Floats:
    """Signal (lines, pixels) shifted along its lines by `shift` pixels, in subdivisions small enough to leave no gaps."""
    lines, pixels = signal.shape
    at = (np.arange(pixels * _PIECES) + 0.5) / _PIECES - 0.5
    near = np.clip(np.round(at), 0, pixels - 1).astype(np.int64)
    low = np.clip(np.floor(at), 0, pixels - 2).astype(np.int64)
    part = np.clip(at - low, 0, 1)
    to = at + np.clip(shift[:, low] * (1 - part) + shift[:, low + 1] * part, -pixels, pixels)
    first = np.floor(to).astype(np.int64)
    out = np.zeros(lines * pixels)
    for step, weight in ((0, 1 - (to - first)), (1, to - first)):
        place = first + step
        good = (place >= 0) & (place < pixels)
        index = np.arange(lines)[:, None] * pixels + place
        out += np.bincount(index[good], weights=(weight * signal[:, near])[good], minlength=lines * pixels)
    return out.reshape(lines, pixels) / _PIECES
