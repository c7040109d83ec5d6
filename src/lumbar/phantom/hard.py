"""Vertebrae and discs, painted in their own frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy, Disc, Vertebra
from lumbar.phantom.canvas import Canvas, Plane, Window
from lumbar.phantom.labels import BODY, DISC, POSTERIOR
from lumbar.phantom.solids import capsule, ellipse, ellipsoid, rounded
from lumbar.phantom.texture import grain
from lumbar.phantom.tissues import TISSUES, Tissue

Floats = NDArray[np.floating[Any]]
Ends = NDArray[np.float64]


def local(plane: Plane, window: Window, part: Vertebra | Disc) -> tuple[Floats, Floats, Floats]:
    """(u, v, w) of the pixels of a window in the frame of a vertebra or disc."""
    center, axes = part.frame.center_mm, part.frame.axes
    return plane.along(window, center, axes[0]), plane.along(window, center, axes[1]), plane.along(window, center, axes[2])


def outline(u: Floats, v: Floats, half_width: float, half_depth: float) -> tuple[Floats, Floats, Floats]:
    """The kidney shape of body and disc: (distance to its round front and sides, distance to its back wall, squared relative radius)."""
    middle, depth = 0.18 * half_depth, 1.18 * half_depth
    side = ellipse(u, v - np.float32(middle), half_width, depth)
    hollow = 0.07 * half_depth
    back = v - np.float32(half_depth - hollow) - np.float32(hollow) * np.minimum((u / np.float32(0.55 * half_width)) ** 2, 1.6)
    radius = (u / np.float32(half_width)) ** 2 + ((v - np.float32(middle)) / np.float32(depth)) ** 2
    return side, back, radius


def body_distance(vertebra: Vertebra, u: Floats, v: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Distance to the vertebral body, and to its endplates alone."""
    side, back, radius = outline(u, v, vertebra.half_width_mm, vertebra.half_depth_mm)
    half = np.float32(vertebra.height_mm / 2)
    at = np.clip(w / half, -1.15, 1.15)
    square = at * at
    waist = np.float32(vertebra.waist_mm) * (1 - square)
    rim = square**5
    lip = np.where(w > 0, np.float32(vertebra.lip_mm[0]), np.float32(vertebra.lip_mm[1])) * rim
    wall = rounded(side + waist - lip, back + 0.55 * waist - 0.3 * lip, 4.0)
    dish = np.maximum(1 - radius, 0)
    slope = np.float32(vertebra.wedge / 2)
    top = w - half + slope * v + np.float32(vertebra.concavity_mm[0]) * dish
    bottom = -w - half + slope * v + np.float32(vertebra.concavity_mm[1]) * dish
    for depth, which, place in zip(vertebra.schmorl_mm, (0, 1), (-0.1, 0.15), strict=True):
        if depth > 0:
            node = np.float32(depth) * np.exp(-((u / 6.0) ** 2) - ((v / vertebra.half_depth_mm - place) / 0.32) ** 2)
            if which == 0:
                top = top + node
            else:
                bottom = bottom + node
    plates = np.maximum(top, bottom)
    return rounded(wall, plates, 1.6), plates


def paint_body(anatomy: Anatomy, canvas: Canvas, vertebra: Vertebra) -> None:
    """One vertebral body: cortex, marrow with its grain, the basivertebral vein and Modic changes."""
    plane, frame = canvas.plane, vertebra.frame
    half = np.array([vertebra.half_width_mm, 1.1 * vertebra.half_depth_mm, vertebra.height_mm / 2 + 2])
    corners = frame.to_world(np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * half)
    window = plane.window(corners, 6.0)
    if window is None:
        return
    u, v, w = local(plane, window, vertebra)
    distance, plates = body_distance(vertebra, u, v, w)
    if canvas.palette is None:
        canvas.cover(window, distance, (0.0, 0.0), BODY.get(vertebra.name, 0))
        return
    canvas.cover(window, distance, canvas.palette["cortex"])
    inner = np.maximum(distance + 0.75, plates + 1.15)
    canvas.cover(window, inner, _marrow(anatomy, canvas, vertebra, (u, v, w), plates))
    vein = ellipsoid(u, v - np.float32(0.75 * vertebra.half_depth_mm), w - 0.5, (6.0, 0.5 * vertebra.half_depth_mm, 1.5))
    if vertebra.name[0] != "S":
        canvas.cover(window, np.maximum(vein, distance + 0.2) + 0.3, _mix(canvas.palette["slow_blood"], canvas.palette["fat"], 0.35))


def _mix(first: tuple[float, float], second: tuple[float, float], share: float) -> tuple[float, float]:
    return first[0] * (1 - share) + second[0] * share, first[1] * (1 - share) + second[1] * share


def _marrow(anatomy: Anatomy, canvas: Canvas, vertebra: Vertebra, at: tuple[Floats, Floats, Floats], plates: Floats) -> tuple[Floats, Floats]:
    """Water and fat of marrow: coarse and fine grain, redder near the endplates, Modic changes beside worn discs."""
    assert canvas.palette is not None
    u, v, w = at
    shift = anatomy.seed + 17 * int(vertebra.height_mm * 100)
    coarse = grain(u, v, w, (2.6, 2.6, 2.6), shift, 2.0)
    fine = grain(u, v, w, (0.8, 0.8, 1.1), shift + 9, 1.2)
    share: Floats = np.float32(vertebra.marrow_fat) * (1 + 0.16 * coarse + 0.13 * fine)
    water_scale, marrow = np.float32(1.0), TISSUES["marrow"]
    water = np.full_like(u, canvas.palette.of(marrow.with_fat(0.0))[0])
    for side, modic in zip((1.0, -1.0), vertebra.modic, strict=True):
        if modic:
            near = np.clip(
                1.3 - ((np.float32(vertebra.height_mm / 2) - np.float32(side) * w) / 7.5) ** 2 - (v / (1.1 * vertebra.half_depth_mm)) ** 2 * 0.4, 0, 1
            )
            near *= np.clip(0.85 + 0.3 * coarse, 0, 1)
            share = share + near * {1: -0.75, 2: 0.42, 3: -0.3}[modic] * share
            edema = canvas.palette.of(Tissue(0.85, 1100, 1300, 95.0, 0.0))[0]
            water = water + near * {1: edema - water, 2: 0 * water, 3: -0.7 * water}[modic]
    share = np.clip(share, 0.02, 0.97)
    bright = water_scale * (1 + 0.06 * fine)
    return np.asarray(water * (1 - share) * bright), np.asarray(np.float32(canvas.palette.pure_fat * 0.62 / 0.92 * 1.15) * share * bright)


def paint_arch(anatomy: Anatomy, canvas: Canvas, vertebra: Vertebra) -> None:
    """Pedicles, articular and transverse processes, laminae and spinous process of one vertebra, as one bone with one cortex."""
    plane = canvas.plane
    rods = arch_rods(vertebra)
    ends = vertebra.frame.to_world(np.concatenate([rod[0] for rod in rods]))
    reaches = [radius / min(flat) + 1.5 for _, radius, flat in rods]
    window = plane.window(ends, max(reaches))
    if window is None:
        return
    distance = np.full((window[0].stop - window[0].start, window[1].stop - window[1].start), 50, dtype=np.float32)
    for (points, radius, flat), reach in zip(rods, reaches, strict=True):
        part = plane.window(vertebra.frame.to_world(points), reach)
        if part is None:
            continue
        u, v, w = local(plane, part, vertebra)
        scale = np.array(flat)
        solid = capsule(u * np.float32(flat[0]), v * np.float32(flat[1]), w * np.float32(flat[2]), points * scale, radius)
        inside = (
            slice(part[0].start - window[0].start, part[0].stop - window[0].start),
            slice(part[1].start - window[1].start, part[1].stop - window[1].start),
        )
        distance[inside] = np.minimum(distance[inside], solid)
    if canvas.palette is None:
        canvas.cover(window, distance, (0.0, 0.0), POSTERIOR.get(vertebra.name, 0))
        return
    if float(distance.min()) > 3:
        return
    u, v, w = local(plane, window, vertebra)
    shift = anatomy.seed + 29
    fine = grain(u, v, w, (1.2, 1.2, 1.4), shift, 1.2)
    water, fat = canvas.palette.of(TISSUES["marrow"].with_fat(min(vertebra.marrow_fat + 0.12, 0.9)))
    canvas.cover(window, distance - 0.3, canvas.palette["cortex"])
    canvas.cover(window, distance + 1.05, (water * (1 + 0.15 * fine), fat * (1 + 0.15 * fine)))


def arch_rods(vertebra: Vertebra) -> list[tuple[Ends, float, tuple[float, float, float]]]:
    """The posterior elements as rods: (ends in the vertebra's frame, radius, scale of u, v, w before the distance is taken)."""
    height, back, canal = vertebra.height_mm, vertebra.half_depth_mm, vertebra.canal_depth_mm
    out, half = vertebra.pedicle_mm
    length, tall, droop = vertebra.spinous_mm
    lift = 0.20 * height
    rear = back + canal
    rods: list[tuple[Ends, float, tuple[float, float, float]]] = []
    lumbar = vertebra.name[0] == "L"
    for number, side in enumerate(SIDES):
        joint = vertebra.facet_mm[number]
        rods.append(
            (np.array([(side * out, back - 4, lift), (side * (out + 0.5), back + 0.55 * canal, lift - 1)]), half, (1.0, 1.0, 0.66 if half < 5.5 else 0.95))
        )
        tip = height / 2 + (9.5 if lumbar or vertebra.name == "S1" else 5.0)
        rods.append(
            (np.array([(side * (out + 2.2), back + 0.66 * canal, lift - 2), (side * (out + 2.6), back + 0.62 * canal, tip)]), joint * 0.9, (0.95, 1.15, 1.0))
        )
        if vertebra.name[0] != "S":
            foot = -height / 2 - (11.5 if lumbar else 6.0)
            rods.append((np.array([(side * (out - 0.5), rear - 1.0, 2.0), (side * (out - 2.6), rear + 4.0, foot)]), joint * 0.92, (1.0, 0.95, 1.0)))
            reach = 22.0 if lumbar else 10.0
            rods.append((np.array([(side * (out + 4), back + 0.5 * canal, lift), (side * (out + reach), back + 0.8 * canal, lift + 1)]), 3.4, (1.0, 1.0, 0.75)))
        rods.append((np.array([(side * (out - 1.5), rear - 0.5, -1.0), (side * 1.0, rear + 4.5, -5.0)]), 2.9, (1.0, 1.0, 0.42)))
    start, end = rear + 7.0, rear + 2.0 + length
    low = -0.32 * height
    rods.append((np.array([(0.0, start, low), (0.0, end, low - droop)]), 3.0, (1.0, 0.9, 6.0 / tall)))
    return rods


def disc_distance(disc: Disc, u: Floats, v: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Distance to the disc with its bulges, and to the outline of a disc without any."""
    side, back, _ = outline(u, v, disc.half_width_mm, disc.half_depth_mm)
    plain = rounded(side, back, 4.0)
    bulge = np.float32(disc.bulge_mm) + np.float32(disc.central_mm) * np.exp(-((u / 7.5) ** 2))
    for number, sign in enumerate(SIDES):
        beside = np.float32(sign) * u
        bulge = bulge + np.float32(disc.paracentral_mm[number]) * np.exp(-(((beside - 10.0) / 4.2) ** 2))
        bulge = bulge + np.float32(disc.foraminal_mm[number]) * np.exp(-(((beside - 19.0) / 5.5) ** 2))
    behind = np.clip(v / np.float32(0.5 * disc.half_depth_mm), 0, 1)
    front, rear = disc.height_mm
    slope = np.float32((front - rear) / (4 * disc.half_depth_mm))
    half = np.float32((front + rear) / 4) - slope * v
    flat = np.abs(w) - half
    swell = bulge * behind + np.float32(0.4 * disc.bulge_mm) * (1 - behind)
    rounding = np.minimum((w / np.maximum(half + 2.5, 1)) ** 2, 2.0)
    bulged = rounded(side - swell, back - swell, 4.0) + 2.2 * rounding * np.clip(swell / 3, 0.25, 1)
    dish = 2.4 * np.clip(-plain / (0.55 * disc.half_depth_mm), 0, 1) + 0.9
    return rounded(bulged, flat - dish, 1.2), plain


def paint_disc(anatomy: Anatomy, canvas: Canvas, disc: Disc) -> None:
    """One disc: annulus, nucleus with its cleft, a herniation; the vertebrae are painted over its rims."""
    plane = canvas.plane
    reach = disc.half_width_mm + 3
    half = np.array([reach, disc.half_depth_mm + 7, disc.middle_height_mm / 2 + 4 + disc.extrusion_mm])
    corners = disc.frame.to_world(np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * half)
    window = plane.window(corners, 2.0)
    if window is None:
        return
    u, v, w = local(plane, window, disc)
    distance, plain = disc_distance(disc, u, v, w)
    if disc.extrusion_mm > 0:
        mass = ellipsoid(u, v - np.float32(disc.half_depth_mm + 1.5), w + np.float32(0.5 * disc.extrusion_mm), (7.0, disc.central_mm, 3.5 + disc.extrusion_mm))
        distance = np.minimum(distance, mass)
    if canvas.palette is None:
        canvas.cover(window, distance, (0.0, 0.0), DISC.get(disc.name, 0))
        return
    canvas.cover(window, distance - 0.5, canvas.palette["ligament"])
    canvas.cover(window, distance, _disc_signal(anatomy, canvas, disc, (u, v, w), plain))


def _disc_signal(anatomy: Anatomy, canvas: Canvas, disc: Disc, at: tuple[Floats, Floats, Floats], plain: Floats) -> tuple[Floats, float]:
    """Bright nucleus to dark annulus; ageing takes water and T2 from the nucleus, and a dark cleft crosses it in the middle years."""
    assert canvas.palette is not None
    u, v, w = at
    worn = disc.degeneration
    core = Tissue(0.90 - 0.22 * worn, 1350 - 350 * worn, 1500 - 350 * worn, float(138 * np.exp(-1.75 * worn)) + 8)
    nucleus, annulus = canvas.palette.of(core)[0], canvas.palette["annulus"][0]
    depth = -plain / np.float32(disc.half_depth_mm)
    noise = grain(u, v, w, (1.3, 1.3, 1.0), anatomy.seed + 41, 2.0)
    share = np.clip((depth - 0.20 + 0.05 * noise) / 0.22, 0, 1)
    share = share * share * (3 - 2 * share)
    cleft = np.exp(-((w / (0.9 + 0.10 * disc.middle_height_mm)) ** 2)) * np.clip((depth - 0.3) / 0.2, 0, 1)
    share = share * (1 - np.float32(0.55 * np.clip(1.6 * worn, 0.25, 0.8)) * cleft)
    fibres = 1 + 0.10 * noise + 0.12 * grain(depth * 20, u * 0.2, w * 0.2, (1.0, 1.0, 1.0), 3, 1.2)
    water = (annulus + (np.float32(nucleus) - annulus) * share) * fibres
    return np.asarray(water, dtype=np.float32), 0.0
