"""Painting vertebrae and the pelvis: cortex, marrow, veins, Modic changes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy, Vertebra
from lumbar.phantom.bone_shape import arch_distance, body_distance, bones, local
from lumbar.phantom.canvas import Canvas, Window
from lumbar.phantom.labels import BODY, POSTERIOR
from lumbar.phantom.signal import Palette
from lumbar.phantom.solids import ellipsoid
from lumbar.phantom.texture import FINE, SMOOTH, grain
from lumbar.phantom.tissues import TISSUES, Tissue

Floats = NDArray[np.floating[Any]]


def paint_vertebra(anatomy: Anatomy, canvas: Canvas, number: int) -> None:
    """One vertebra, body and posterior elements as one bone."""
    bone, plane = bones(anatomy)[number], canvas.plane
    vertebra = bone.vertebra
    window = plane.window(bone.box_mm, bone.reach_mm)
    if window is None:
        return
    body = plane.window(bone.body_box_mm, 4.0 + max(vertebra.lip_mm))
    arch = arch_distance(plane, window, bone)
    if body is None and float(arch.min()) > 1:
        return
    arch += _roughness(anatomy, canvas, vertebra, window)
    if body is None:
        _paint_bone(anatomy, canvas, vertebra, window, arch, None)
        return
    distance, plates = body_distance(vertebra, *local(plane, body, vertebra))
    if canvas.palette is None:
        canvas.cover(window, arch, (0.0, 0.0), POSTERIOR.get(vertebra.name, 0))
        canvas.cover(body, distance, (0.0, 0.0), BODY.get(vertebra.name, 0))
        return
    inside = (slice(body[0].start - window[0].start, body[0].stop - window[0].start), slice(body[1].start - window[1].start, body[1].stop - window[1].start))
    inner = arch + np.float32(0.75)
    arch[inside] = np.minimum(arch[inside], distance)
    inner[inside] = np.minimum(inner[inside], np.maximum(distance + np.float32(0.55), plates + np.float32(0.9)))
    _paint_bone(anatomy, canvas, vertebra, window, arch, inner)
    _paint_vein(canvas, vertebra, body, distance)


def _roughness(anatomy: Anatomy, canvas: Canvas, vertebra: Vertebra, window: Window) -> Floats:
    """Depth of the rough surface of the posterior elements below their smooth shape, 0 to 1.4 mm."""
    u, v, w = local(canvas.plane, window, vertebra)
    return np.float32(0.7) + np.float32(0.7) * grain(u, v, w, 0.9, anatomy.seed + 29, SMOOTH)


def _paint_bone(anatomy: Anatomy, canvas: Canvas, vertebra: Vertebra, window: Window, distance: Floats, inner: Floats | None) -> None:
    if canvas.palette is None:
        canvas.cover(window, distance, (0.0, 0.0), POSTERIOR.get(vertebra.name, 0))
        return
    if float(distance.min()) > 1:
        return
    canvas.cover(window, distance - np.float32(0.15), canvas.palette["cortex"])
    canvas.cover(
        window, distance + np.float32(0.75) if inner is None else inner, _marrow(anatomy, canvas.palette, vertebra, local(canvas.plane, window, vertebra))
    )


def _paint_vein(canvas: Canvas, vertebra: Vertebra, window: Window, distance: Floats) -> None:
    """The basivertebral vein, from the middle of the back wall into the body."""
    if canvas.palette is None or vertebra.name[0] == "S":
        return
    u, v, w = local(canvas.plane, window, vertebra)
    vein = ellipsoid(u, v - np.float32(0.80 * vertebra.half_depth_mm), w - np.float32(0.5), (5.0, 0.42 * vertebra.half_depth_mm, 1.9))
    first, second = canvas.palette["slow_blood"], canvas.palette["fat"]
    canvas.cover(window, np.maximum(vein, distance + np.float32(0.2)) + np.float32(0.3), (0.6 * first[0] + 0.4 * second[0], 0.6 * first[1] + 0.4 * second[1]))


def _marrow(anatomy: Anatomy, palette: Palette, vertebra: Vertebra, at: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats]:
    """Water and fat of marrow: coarse and fine texture, more fat posteriorly, Modic changes beside degenerated discs."""
    u, v, w = at
    shift = anatomy.seed + 17 * int(vertebra.height_mm * 100)
    coarse = grain(u, v, w, 0.8, shift, SMOOTH)
    fine = grain(u, v, w, 0.7, shift + 9, FINE)
    share: Floats = np.float32(vertebra.marrow_fat) * (1 + np.float32(0.26) * coarse + np.float32(0.18) * fine)
    share = share + np.float32(0.10) * np.clip((v - np.float32(vertebra.half_depth_mm)) / 6, 0, 1)
    water: Floats | np.float32 = np.float32(palette.of(TISSUES["marrow"].with_fat(0.0))[0])
    for side, modic in zip((1.0, -1.0), vertebra.modic, strict=True):
        if modic:
            depth = np.float32(vertebra.height_mm / 2) - np.float32(side) * w
            near = np.clip(1.35 - np.square(depth / np.float32(8.0)) - 0.4 * np.square(v / np.float32(1.1 * vertebra.half_depth_mm)) + 0.3 * coarse, 0, 1)
            near = near * (np.abs(v) < vertebra.half_depth_mm + 1)
            edema = palette.of(Tissue(0.85, 1100, 1300, 95.0))[0]
            share = share * (1 + near * np.float32({1: -0.75, 2: 0.45, 3: -0.4}[modic]))
            water = water + near * (edema - water if modic == 1 else 0 * water if modic == 2 else -0.75 * water)
    share = np.clip(share, 0.02, 0.97)
    bright = 1 + np.float32(0.10) * fine + np.float32(0.06) * coarse
    return water * (1 - share) * bright, np.float32(palette.pure_fat * TISSUES["marrow"].density / 0.92 * 1.15) * share * bright


def paint_pelvis(anatomy: Anatomy, canvas: Canvas) -> None:
    """The iliac wings beside the sacrum."""
    sacrum = anatomy.vertebra("S1")
    turn = np.radians(28.0)
    for side in SIDES:
        center = sacrum.frame.center_mm + np.array([side * 66.0, 2.0, 8.0])
        axes = np.array([[np.cos(turn), side * np.sin(turn), 0.25 * side], [-side * np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
        window = canvas.plane.window(center[None], 62.0)
        if window is None:
            continue
        u, v, w = (canvas.plane.along(window, center, axis) for axis in axes)
        bone = ellipsoid(u + np.float32(0.006 * side) * v * v, v, w, (8.0, 46.0, 52.0))
        if canvas.palette is None:
            canvas.cover(window, bone, (0.0, 0.0), 0)
            continue
        gluteus = ellipsoid(u - np.float32(side * 16.0), v - 6, w + 12, (20.0, 44.0, 52.0))
        canvas.cover(window, gluteus, canvas.palette["muscle"])
        canvas.cover(window, bone, canvas.palette["cortex"])
        canvas.cover(window, bone + np.float32(1.3), _marrow(anatomy, canvas.palette, sacrum, (u, v, w)))
