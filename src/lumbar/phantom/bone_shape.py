"""The shape of a vertebra: signed distances to its body and to its posterior elements."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy, Disc, FacetJoint, Vertebra
from lumbar.phantom.canvas import Plane, Window
from lumbar.phantom.solids import capsule, ellipse, ellipsoid, rounded

Floats = NDArray[np.floating[Any]]
Ends = NDArray[np.float64]
_RodShape = tuple[Ends, float, tuple[float, float, float]]  # ends in the vertebra's frame, radius, scale of u, v, w applied before the distance


@dataclass(frozen=True, eq=False)
class Rod:
    """One rod of the posterior elements."""

    ends: Ends  # (2, 3) scaled, in the vertebra's frame
    ends_mm: Ends  # (2, 3) in the patient
    radius: float
    flat: tuple[float, float, float]  # scale of u, v, w applied before the distance
    reach_mm: float


@dataclass(frozen=True, eq=False)
class Bone:
    """A vertebra and the components of its posterior elements."""

    vertebra: Vertebra
    rods: tuple[Rod, ...]
    joints: tuple[tuple[FacetJoint, ...], tuple[FacetJoint, ...]]  # above, below
    body_box_mm: Ends  # corners around the body
    box_mm: Ends  # bounding points of the whole vertebra
    reach_mm: float


@lru_cache(maxsize=2)
def bones(anatomy: Anatomy) -> tuple[Bone, ...]:
    """All vertebrae of an anatomy, ready for rendering."""
    found = []
    for number, vertebra in enumerate(anatomy.vertebrae):
        above = anatomy.discs[number - 1].joints if number > 0 else ()
        below = anatomy.discs[number].joints if number < len(anatomy.discs) else ()
        rods = []
        for ends, radius, flat in arch_rods(vertebra, above, below):
            rods.append(Rod(ends * np.array(flat), vertebra.frame.to_world(ends), radius, flat, radius / min(*flat, 1.0) + 1.5))
        half = np.array([vertebra.half_width_mm, 1.1 * vertebra.half_depth_mm, vertebra.height_mm / 2])
        body = vertebra.frame.to_world(np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * half)
        box = np.concatenate([body, *(rod.ends_mm for rod in rods)])
        found.append(Bone(vertebra, tuple(rods), (above, below), body, box, max(rod.reach_mm for rod in rods)))
    return tuple(found)


def local(plane: Plane, window: Window, part: Vertebra | Disc | FacetJoint) -> tuple[Floats, Floats, Floats]:
    """(u, v, w) of the pixels of a window in the frame of a part."""
    center, axes = part.frame.center_mm, part.frame.axes
    return plane.along(window, center, axes[0]), plane.along(window, center, axes[1]), plane.along(window, center, axes[2])


def outline(u: Floats, v: Floats, half_width: float, half_depth: float) -> tuple[Floats, Floats, Floats]:
    """The kidney shape of body and disc: (distance to its round front and sides, distance to its back wall, squared relative radius)."""
    middle, depth = np.float32(0.18 * half_depth), 1.18 * half_depth
    side = ellipse(u, v - middle, half_width, depth)
    hollow = 0.07 * half_depth
    back = v - np.float32(half_depth - hollow) - np.float32(hollow) * np.minimum(np.square(u * np.float32(1 / (0.55 * half_width))), np.float32(1.6))
    radius = np.square(u * np.float32(1 / half_width)) + np.square((v - middle) * np.float32(1 / depth))
    return side, back, radius


def body_distance(vertebra: Vertebra, u: Floats, v: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Distance to the vertebral body, and to its endplates alone."""
    half = np.float32(vertebra.height_mm / 2)
    at = np.clip(w * np.float32(2 / vertebra.height_mm), -1.15, 1.15)
    if vertebra.slant > 0:
        v = v + np.float32(vertebra.slant) * np.clip(w, -half, half)
    if vertebra.taper > 0:
        narrower = 1 / (1 + np.float32(vertebra.taper) * at)
        u, v = u * narrower, v * narrower
    side, back, radius = outline(u, v, vertebra.half_width_mm, vertebra.half_depth_mm)
    square = at * at
    waist = np.float32(vertebra.waist_mm) * (1 - square)
    if max(vertebra.lip_mm) > 0:
        rim = square * square * square
        lip = np.where(w > 0, np.float32(vertebra.lip_mm[0]), np.float32(vertebra.lip_mm[1])) * rim * rim
        side, back = side - lip, back - np.float32(0.3) * lip
    wall = rounded(side + waist, back + np.float32(0.55) * waist, 4.0)
    dish = np.maximum(1 - radius, 0)
    slope = np.float32(vertebra.wedge / 2)
    top: Floats = w - half + slope * v + np.float32(vertebra.concavity_mm[0]) * dish
    bottom: Floats = -w - half + slope * v + np.float32(vertebra.concavity_mm[1]) * dish
    if vertebra.schmorl_mm[0] > 0:
        top = top + _node(vertebra, u, v, vertebra.schmorl_mm[0], -0.10)
    if vertebra.schmorl_mm[1] > 0:
        bottom = bottom + _node(vertebra, u, v, vertebra.schmorl_mm[1], 0.15)
    plates = np.maximum(top, bottom)
    return rounded(wall, plates, 1.6), plates


def _node(vertebra: Vertebra, u: Floats, v: Floats, depth_mm: float, place: float) -> Floats:
    """A Schmorl's node: a dent in an endplate."""
    return np.asarray(np.float32(depth_mm) * np.exp(-np.square(u / 6.0) - np.square((v / np.float32(vertebra.half_depth_mm) - place) / 0.32)))


def facet_distance(joint: FacetJoint, superior: bool, u: Floats, v: Floats, w: Floats) -> Floats:
    """Distance to one half of a facet joint: the superior process (of the vertebra below) or the inferior one (of the vertebra above)."""
    whole = ellipsoid(u, v, w, joint.half_mm)
    bent = u - np.float32(0.018) * v * np.abs(v)
    gap = np.float32(joint.gap_mm / 2)
    return np.maximum(whole, gap - bent) if superior else np.maximum(whole, bent + gap)


def arch_rods(vertebra: Vertebra, above: tuple[FacetJoint, ...], below: tuple[FacetJoint, ...]) -> list[_RodShape]:
    """Pedicles, laminae, transverse and spinous processes, and the necks of the articular processes."""
    height, back, canal = vertebra.height_mm, vertebra.half_depth_mm, vertebra.canal_depth_mm
    out, half = vertebra.pedicle_mm
    lift, rear = 0.18 * height, vertebra.half_depth_mm + vertebra.canal_depth_mm
    lumbar = vertebra.name[0] == "L"
    tall = (0.27 if lumbar else 0.30) * height
    rods: list[_RodShape] = []
    for number, side in enumerate(SIDES):
        pedicle = np.array([(side * (out - 0.5), back - 6, lift), (side * (out + 0.5), back + 0.6 * canal, lift - 1)])
        rods.append((pedicle, half, (1.0, 1.0, half / tall)))
        rods.append((np.array([(side * (out + 0.5), back + 0.62 * canal, lift), (side * (out - 1.5), rear + 1.0, -0.22 * height)]), 4.2, (0.8, 1.0, 1.0)))
        for joints, sign, start in (
            (above, 1.0, (side * (out + 1.0), back + 0.6 * canal, lift)),
            (below, -1.0, (side * (out - 2.0), rear + 1.0, -0.2 * height)),
        ):
            if joints:
                joint = joints[number]
                near = vertebra.frame.to_local(joint.frame.to_world(np.array([sign * 0.62 * joint.half_mm[0], 0.0, 0.0])))
                rods.append((np.array([start, near]), 0.52 * joint.half_mm[0] + 0.3, (1.0, 1.0, 1.0)))
        if vertebra.name[0] != "S":
            reach = 24.0 if lumbar else 11.0
            rods.append((np.array([(side * (out + 3), back + 0.5 * canal, lift), (side * (out + reach), back + 0.9 * canal, lift + 1)]), 3.2, (1.0, 1.0, 0.65)))
        rods.append((np.array([(side * (out - 3.0), rear + 1.5, -0.2 * height), (side * 1.0, rear + 5.5, -0.3 * height)]), 3.1, (1.0, 1.0, 0.40)))
    if vertebra.name == "S1":  # the ala
        for side in SIDES:
            rods.append((np.array([(side * 12.0, 0.0, 0.0), (side * 36.0, 5.0, -4.0)]), 11.5, (1.0, 0.85, 0.95)))
            rods.append((np.array([(side * 33.0, 5.0, -6.0), (side * 21.0, 2.0, -44.0)]), 9.5, (1.0, 0.9, 1.0)))
    return [*rods, _spinous(vertebra)]


def _spinous(vertebra: Vertebra) -> _RodShape:
    length, tall, droop = vertebra.spinous_mm
    rear, low = vertebra.half_depth_mm + vertebra.canal_depth_mm, -0.38 * vertebra.height_mm
    thick = 3.4
    return np.array([(0.0, rear + 9.0, low), (0.0, rear + 1.0 + length, low - droop)]), thick, (1.0, 0.62, 2 * thick / tall)


def arch_distance(plane: Plane, window: Window, bone: Bone) -> Floats:
    """Distance to the posterior elements in a window, at most 50."""
    distance = np.full((window[0].stop - window[0].start, window[1].stop - window[1].start), 50, dtype=np.float32)
    for rod in bone.rods:
        part = plane.window(rod.ends_mm, rod.reach_mm)
        if part is None:
            continue
        u, v, w = local(plane, part, bone.vertebra)
        _merge(distance, window, part, capsule(u * np.float32(rod.flat[0]), v * np.float32(rod.flat[1]), w * np.float32(rod.flat[2]), rod.ends, rod.radius))
    for superior, pair in ((True, bone.joints[0]), (False, bone.joints[1])):
        for joint in pair:
            part = plane.window(joint.frame.center_mm[None], max(joint.half_mm) + 1.5)
            if part is not None:
                _merge(distance, window, part, facet_distance(joint, superior, *local(plane, part, joint)))
    return distance


def _merge(distance: Floats, window: Window, part: Window, solid: Floats) -> None:
    """Union of `solid` in the pixels `part` with `distance` in `window`; clipped to the window."""
    rows = max(part[0].start, window[0].start), min(part[0].stop, window[0].stop)
    columns = max(part[1].start, window[1].start), min(part[1].stop, window[1].stop)
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return
    inside = distance[rows[0] - window[0].start : rows[1] - window[0].start, columns[0] - window[1].start : columns[1] - window[1].start]
    cut = solid[rows[0] - part[0].start : rows[1] - part[0].start, columns[0] - part[1].start : columns[1] - part[1].start]
    np.minimum(inside, cut, out=inside)
