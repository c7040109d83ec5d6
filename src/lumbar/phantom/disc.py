"""Painting discs: shape with bulges and herniations, annulus and nucleus."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy, Disc
from lumbar.phantom.bone_shape import local, outline
from lumbar.phantom.canvas import Canvas
from lumbar.phantom.labels import DISC
from lumbar.phantom.signal import Palette
from lumbar.phantom.solids import ellipsoid, rounded
from lumbar.phantom.texture import FINE, SMOOTH, grain
from lumbar.phantom.tissues import Tissue

Floats = NDArray[np.floating[Any]]


def disc_distance(disc: Disc, u: Floats, v: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Distance to the disc with its bulges, and to the outline of a disc without any."""
    side, back, _ = outline(u, v, disc.half_width_mm, disc.half_depth_mm)
    plain = rounded(side, back, 4.0)
    bulge = np.float32(disc.bulge_mm) + np.float32(disc.central_mm) * np.exp(-np.square(u / np.float32(7.5)))
    for number, sign in enumerate(SIDES):
        beside = np.float32(sign) * u
        bulge = bulge + np.float32(disc.paracentral_mm[number]) * np.exp(-np.square((beside - np.float32(10.0)) / np.float32(4.2)))
        bulge = bulge + np.float32(disc.foraminal_mm[number]) * np.exp(-np.square((beside - np.float32(19.0)) / np.float32(5.5)))
    behind = np.clip(v * np.float32(2 / disc.half_depth_mm), 0, 1)
    front, rear = disc.height_mm
    slope = np.float32((front - rear) / (4 * disc.half_depth_mm))
    half = np.float32((front + rear) / 4) - slope * v
    flat = np.abs(w) - half
    swell = bulge * behind + np.float32(0.4 * disc.bulge_mm) * (1 - behind)
    rounding = np.minimum(np.square(w / np.maximum(half + np.float32(2.5), np.float32(1))), 2)
    bulged = rounded(side - swell, back - swell, 4.0) + np.float32(2.2) * rounding * np.clip(swell * np.float32(1 / 3), 0.25, 1)
    dish = np.clip(plain * np.float32(-2.4 / (0.55 * disc.half_depth_mm)), 0, 2.4) + np.float32(0.9)
    for depth, sign, place in ((disc.node_mm[0], 1.0, 0.15), (disc.node_mm[1], -1.0, -0.10)):
        if depth > 0:
            spot = np.exp(-np.square(u / np.float32(6.0)) - np.square((v / np.float32(disc.half_depth_mm) - place) / np.float32(0.32)))
            dish = dish + np.float32(depth) * spot * (w * np.float32(sign) > 0)
    distance = rounded(bulged, flat - dish, 1.2)
    if disc.extrusion_mm > 0:
        half_mm = (7.0, disc.central_mm, 3.5 + disc.extrusion_mm)
        mass = ellipsoid(u, v - np.float32(disc.half_depth_mm + 1.5), w + np.float32(0.5 * disc.extrusion_mm), half_mm)
        distance = np.minimum(distance, mass)
    return distance, plain


def paint_disc(anatomy: Anatomy, canvas: Canvas, disc: Disc) -> None:
    """One disc; the vertebrae are painted over its rims."""
    plane = canvas.plane
    half = np.array([disc.half_width_mm + 3, disc.half_depth_mm + 7, disc.middle_height_mm / 2 + 4 + disc.extrusion_mm + max(disc.node_mm)])
    corners = disc.frame.to_world(np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * half)
    window = plane.window(corners, 2.0)
    if window is None:
        return
    u, v, w = local(plane, window, disc)
    distance, plain = disc_distance(disc, u, v, w)
    if canvas.palette is None:
        canvas.cover(window, distance, (0.0, 0.0), DISC.get(disc.name, 0))
        return
    canvas.cover(window, distance - np.float32(0.5), canvas.palette["ligament"])
    canvas.cover(window, distance, _signal(anatomy, canvas.palette, disc, (u, v, w), plain))


def _signal(anatomy: Anatomy, palette: Palette, disc: Disc, at: tuple[Floats, Floats, Floats], plain: Floats) -> tuple[Floats, float]:
    """Bright nucleus to dark annulus; ageing reduces water and T2 of the nucleus, and a dark cleft crosses it in middle age."""
    u, v, w = at
    worn = disc.degeneration
    core = Tissue(0.84 - 0.20 * worn, 1500 - 400 * worn, 1650 - 400 * worn, float(124 * np.exp(-1.75 * worn)) + 8)
    nucleus, annulus = np.float32(palette.of(core)[0]), np.float32(palette["annulus"][0])
    depth = plain * np.float32(-1 / disc.half_depth_mm)
    shift = anatomy.seed + 41 + int(disc.half_width_mm * 50)
    noise, fine = grain(u, v, w, 0.7, shift, SMOOTH), grain(u, v, w, 0.7, shift, FINE)
    share = np.clip((depth - np.float32(0.17) + np.float32(0.05) * noise) * np.float32(1 / 0.36), 0, 1)
    share = share * share * (3 - 2 * share)
    cleft = np.exp(-np.square(w * np.float32(1 / (0.9 + 0.10 * disc.middle_height_mm)))) * np.clip((depth - np.float32(0.3)) * 5, 0, 1)
    share = share * (1 - np.float32(0.55 * np.clip(1.6 * worn, 0.25, 0.8)) * cleft)
    rings = 1 + np.float32(0.13) * np.sin(depth * np.float32(55.0)) * (1 - share) + np.float32(0.10) * noise + np.float32(0.06) * fine
    return (annulus + (nucleus - annulus) * share) * rings, 0.0
