"""Simulated outlines of the back muscles as drawn by readers: mean shape and variation.

Coordinates are (lateral, posterior) in mm from the middle of the spinal canal; the tables run from L1/L2 down to L5/S1. The muscles of one side fill a
compartment between spinous process, lamina, quadratus lumborum and fascia; a curve separates the multifidus from the erector spinae. At L1/L2 the
multifidus is small and deep and the erector spinae reaches the midline behind it; from L4 down the multifidus reaches the fascia, and the fat and
the short muscles between it, lamina and spinous process belong to neither.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (n, 2): lateral, posterior

_STEP = 0.25  # of `level`, between tables
# From the corner of lamina and spinous process along the front to the tip, and back along the fascia to the midline.
_COMPARTMENT = np.array(
    [
        [(6, 19), (14, 14), (21, 15), (40, 12), (62, 21), (82, 33), (66, 46), (38, 55), (18, 50), (8, 42), (4, 30)],
        [(6, 19), (15, 13), (22, 14), (42, 12), (62, 20), (80, 33), (66, 48), (40, 58), (20, 53), (7, 45), (4, 32)],
        [(8, 19), (16, 13), (24, 13), (42, 11), (61, 18), (76, 31), (64, 48), (40, 59), (20, 55), (6, 49), (4, 34)],
        [(12, 21), (20, 11), (27, 8), (41, 4), (58, 11), (71, 25), (59, 42), (40, 51), (20, 56), (5, 55), (4, 38)],
        [(13, 23), (23, 13), (34, 9), (45, 5), (58, 8), (66, 19), (58, 32), (43, 45), (22, 54), (5, 53), (4, 39)],
    ],
    np.float64,
)
# The curve that separates the muscles, from the front to the back; its end is the midline above and the fascia below.
_SEPTUM = np.array(
    [
        [(19, 10), (18, 24), (12, 35), (2, 42)],
        [(20, 9), (20, 25), (14, 38), (2, 46)],
        [(22, 9), (23, 26), (18, 43), (5, 55)],
        [(26, 4), (29, 24), (28, 42), (22, 64)],
        [(33, 4), (38, 27), (37, 44), (31, 64)],
    ],
    np.float64,
)
TIP, PEAK = 5, 7  # of the compartment's points


@dataclass(frozen=True, eq=False)
class Back:
    """Parameters of one person's back, common to all slices."""

    scale: Points  # (2,) whole back, transverse and in depth
    reach: float  # of the lateral third, as a factor
    septum_shift: float  # shift of the level of the septum, which makes the multifidus large or small for its level
    septum_scale: float  # lateral
    compartment: Points  # (5, 11, 2) shifts of the points in mm
    septum: Points  # (5, 4, 2)
    uneven: Points  # (2, 11, 2) further shifts of each side


@dataclass(frozen=True, eq=False)
class Outline:
    """The muscles of one side on one slice; the sign of the first coordinate gives the side."""

    compartment: Points
    multifidus: Points  # extends beyond the compartment, which bounds it
    tip: Points  # (2,) the outermost point


def random_back(rng: Generator) -> Back:
    """A random person, from slight to strong, with symmetric or asymmetric muscles."""
    return Back(
        scale=np.exp(rng.normal((-0.04, -0.06), (0.10, 0.15))),
        reach=float(np.exp(rng.normal(0, 0.12))),
        septum_shift=float(rng.normal(0, 0.12)),
        septum_scale=float(np.exp(rng.normal(0.0, 0.12))),
        compartment=rng.normal(0, 1.6, (11, 2)) + rng.normal(0, 1.2, (5, 11, 2)),
        septum=rng.normal(0, 1.4, (4, 2)) + rng.normal(0, 1.0, (5, 4, 2)),
        uneven=rng.normal(0, 1.1, (2, 11, 2)),
    )


def outlines(back: Back, level: float) -> tuple[Outline, Outline]:
    """(right, left) at `level`: 0 at L1/L2, 1 at L5/S1, slightly beyond at most."""
    return _side(back, level, -1.0), _side(back, level, 1.0)


def _side(back: Back, level: float, sign: float) -> Outline:
    points = _at(_COMPARTMENT + back.compartment, level) + back.uneven[int(sign > 0)]
    outer = np.clip((points[:, 0] - 30.0) / 30.0, 0, 1)
    points[:, 0] *= 1 + (back.reach - 1) * outer
    points[:, 0] = np.maximum(points[:, 0], 2.0)
    septum = _at(_SEPTUM + back.septum, level + back.septum_shift) * (back.septum_scale, 1.0)
    end = septum[-1]
    closed = np.concatenate([septum, [(end[0] - 2, end[1] + 12 * np.clip(level, 0.1, 1)), (-6, end[1] + 14 * np.clip(level, 0.1, 1)), (-6, 4)]])
    factors = back.scale * (sign, 1.0)
    curve = smooth(points)
    return Outline(curve * factors, np.concatenate([_spline(septum, open_ended=True), closed[-3:]]) * factors, points[TIP] * factors)


def _at(tables: Points, level: float) -> Points:
    """Points interpolated between two tables, constant beyond the last ones."""
    place = float(np.clip(level / _STEP, 0, len(tables) - 1))
    low = min(int(place), len(tables) - 2)
    return np.array((1 - (place - low)) * tables[low] + (place - low) * tables[low + 1])


def smooth(points: Points) -> Points:
    """A closed curve through `points`."""
    return _spline(points, open_ended=False)


def _spline(points: Points, *, open_ended: bool) -> Points:
    """Catmull-Rom curve (1974) through the points, six pieces between two of them."""
    padded = np.concatenate([points[:1], points, points[-1:]]) if open_ended else np.concatenate([points[-1:], points, points[:2]])
    t = (np.arange(6) / 6)[:, None, None]
    a, b, c, d = (padded[k : len(padded) - 3 + k][None] for k in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat = curve.transpose(1, 0, 2).reshape(-1, 2)
    return np.concatenate([flat, points[-1:]]) if open_ended else flat
