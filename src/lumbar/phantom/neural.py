"""The canal and what leaves it: epidural fat, flavum, dural sac, cord and roots, foramina."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy
from lumbar.phantom.canvas import Canvas, Window
from lumbar.phantom.labels import CANAL
from lumbar.phantom.solids import capsule, ellipse, ellipsoid
from lumbar.phantom.texture import grain

Floats = NDArray[np.floating[Any]]
_REACH_MM = 17.0


class CanalField:
    """Coordinates of pixels near the canal, square to its axis."""

    def __init__(self, anatomy: Anatomy, canvas: Canvas, window: Window) -> None:
        plane, profiles = canvas.plane, anatomy.profiles
        zero = np.zeros(3)
        self.window = window
        self.z = plane.along(window, zero, (0.0, 0.0, 1.0))
        x, y = plane.along(window, zero, (1.0, 0.0, 0.0)), plane.along(window, zero, (0.0, 1.0, 0.0))
        rough = profiles.index(self.z)
        # The foot of the perpendicular on the canal's axis, to first order.
        self.z = self.z + np.clip(y - profiles["canal_y"][rough], -15, 15) * profiles["sin"][rough] * profiles["cos"][rough]
        self.index = profiles.index(self.z)
        self._profiles = profiles
        self.u = x - self["canal_x"]
        foot = y - self["canal_y"]
        self.v = foot / np.maximum(self["cos"], 0.5)
        self.x, self.y = x, y

    def __getitem__(self, name: str) -> Floats:
        return self._profiles[name][self.index]


def canal_window(anatomy: Anatomy, canvas: Canvas) -> Window | None:
    """The pixels that can belong to the canal."""
    points = [v.frame.to_world(np.array([0.0, v.half_depth_mm + v.canal_depth_mm / 2, 0.0])) for v in anatomy.vertebrae]
    return canvas.plane.window(np.array(points), _REACH_MM + 6)


def paint_foramina(anatomy: Anatomy, canvas: Canvas) -> None:
    """Fat of the foramina and the ganglion under each pedicle; painted before bone and disc narrow them."""
    if canvas.palette is None:
        return
    plane = canvas.plane
    for k, disc in enumerate(anatomy.discs[:8]):
        upper = anatomy.vertebrae[k]
        out = upper.pedicle_mm[0]
        for number, side in enumerate(SIDES):
            tight = float(anatomy.narrowing[1 + number, k - 3]) if 3 <= k < 8 else 0.1
            middle = np.array([side * (out + 1.0), upper.half_depth_mm + 5.0, -upper.height_mm / 2 - disc.height_mm[1] / 2 + 4.0])
            center = upper.frame.to_world(middle)
            half = (11.0, 8.5 * (1 - 0.35 * tight), 14.0 * (1 - 0.2 * tight))
            window = plane.window(center[None], 16.0)
            if window is not None:
                u, v, w = (plane.along(window, center, axis) for axis in upper.frame.axes)
                noise = grain(u, v, w, (1.2, 1.2, 1.2), anatomy.seed + 53, 1.2)
                fat = (canvas.palette["epidural_fat"][0], canvas.palette["epidural_fat"][1] * (1 - 0.35 * tight + 0.1 * noise))
                canvas.cover(window, ellipsoid(u, v, w, half) + 0.8 * noise, fat)


def paint_canal(anatomy: Anatomy, canvas: Canvas) -> None:
    """Epidural fat, flavum, dura, CSF, cord and cauda equina, in this order."""
    window = canal_window(anatomy, canvas)
    if window is None:
        return
    field = CanalField(anatomy, canvas, window)
    front, back = field["sac_front"], field["sac_back"]
    inside = field.z - np.float32(anatomy.sac_end_mm)
    sac = ellipse(field.u, field.v - (front + back) / 2, np.maximum(field["sac_half_width"], 0.8), np.maximum((back - front) / 2, 0.6))
    flavum = _flavum_distances(field)
    sac = np.maximum(sac, np.maximum(flavum[0], flavum[1]))
    sac = np.maximum(sac, -inside)
    if canvas.palette is None:
        canvas.cover(window, sac, (0.0, 0.0), CANAL)
        return
    palette = canvas.palette
    noise = grain(field.x, field.y, field.z, (1.1, 1.1, 1.6), anatomy.seed + 61, 1.2)
    half = field["canal_half"]
    bony = ellipse(field.u, field.v, half * 1.32, half)
    fat = (palette["epidural_fat"][0], palette["epidural_fat"][1] * (0.92 + 0.12 * noise))
    canvas.cover(window, bony, fat)
    here = np.clip(field["disc_here"] * 1.6 - 0.25, 0, 1)
    for number, side in enumerate(SIDES):
        thick = 3.6 + 0.6 * np.float32(anatomy.narrowing[0].mean())
        ligament = np.maximum(-flavum[number], flavum[number] - thick)
        beside = np.float32(side) * field.u
        tangent = beside * 0.60 - field.v * 0.80
        ligament = np.maximum(np.maximum(ligament, np.abs(tangent + 1.5) - 10.0), 1.0 - beside)
        canvas.cover(window, ligament + (1 - here) * 6, palette["flavum"])
    canvas.cover(window, sac - 0.55, palette["fascia"])
    _paint_sac(anatomy, canvas, field, sac, (front, back))


def _flavum_distances(field: CanalField) -> tuple[Floats, Floats]:
    """How far each pixel lies beyond the inner face of the left and right flavum, which run together behind the sac like a roof."""
    left = field.u * 0.80 + field.v * 0.60 - field["flavum_left"]
    right = -field.u * 0.80 + field.v * 0.60 - field["flavum_right"]
    return left, right


def _paint_sac(anatomy: Anatomy, canvas: Canvas, field: CanalField, sac: Floats, borders: tuple[Floats, Floats]) -> None:
    assert canvas.palette is not None
    palette, (front, back) = canvas.palette, borders
    flow = grain(field.x, field.y, field.z, (2.2, 2.2, 9.0), anatomy.seed + 71, 2.0)
    csf = palette["csf"][0] * (0.94 + 0.06 * flow)
    canvas.cover(field.window, sac, (csf, 0.0))
    half_width, half_depth, middle = np.maximum(field["sac_half_width"], 1.0), np.maximum((back - front) / 2, 0.8), (front + back) / 2
    above = field.z - np.float32(anatomy.conus_tip_mm)
    thick = np.clip(np.minimum(above / 24.0, 1.0), 0.02, 1) ** 0.7
    cord = ellipse(field.u, field.v - middle - 0.4, 4.6 * thick, 3.6 * thick)
    canvas.cover(field.window, np.maximum(cord, 0.2 - above), palette["cord"])
    _paint_cauda(anatomy, canvas, field, (half_width, half_depth, middle), sac)


def _paint_cauda(anatomy: Anatomy, canvas: Canvas, field: CanalField, shape: tuple[Floats, Floats, Floats], sac: Floats) -> None:
    """Threads of the cauda equina: each runs from the conus, first behind, then to the side on which it leaves; they crowd where the sac is tight."""
    assert canvas.palette is not None
    half_width, half_depth, middle = shape
    random = np.random.default_rng([anatomy.seed, 5])
    levels = [anatomy.disc(name).frame.center_mm[2] for name in ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")]
    levels = [*levels, levels[-1] - 28, levels[-1] - 45]
    nearest = np.full(field.u.shape, 9.0, dtype=np.float32)
    for number, leaves in enumerate(levels):
        for side in SIDES:
            for _ in range(2 if number < 5 else 3):
                jitter = random.normal(size=4)
                to_go = np.clip((field.z - np.float32(leaves)) / 60.0, 0, 1)
                aside = side * (0.30 + 0.10 * jitter[0] + 0.42 * (1 - to_go) ** 2)
                behind = 0.42 + 0.20 * jitter[1] - 0.55 * (1 - to_go) ** 3 + 0.06 * np.sin(field.z / 17.0 + 3 * jitter[2])
                du = field.u - half_width * np.clip(aside, -0.86, 0.86)
                dv = field.v - middle - half_depth * np.clip(behind, -0.8, 0.8)
                gone = np.maximum(np.float32(leaves) - field.z, 0)
                nearest = np.minimum(nearest, np.sqrt(du * du + dv * dv) + gone)
    fade = np.maximum(field.z - np.float32(anatomy.conus_tip_mm + 25), 0) * 0.2
    canvas.cover(field.window, np.maximum(nearest - 0.62 + fade, sac + 0.3), canvas.palette["nerve"])


def paint_roots(anatomy: Anatomy, canvas: Canvas) -> None:
    """Nerve roots from the sac through recess and foramen, with the ganglion under the pedicle."""
    if canvas.palette is None:
        return
    plane = canvas.plane
    for k in range(2, 8):
        upper = anatomy.vertebrae[k]
        out = upper.pedicle_mm[0]
        for number, side in enumerate(SIDES):
            tight = float(anatomy.narrowing[1 + number, k - 3]) if 3 <= k < 8 else 0.1
            low = -upper.height_mm * 0.30
            path = np.array(
                [
                    (side * 7.0, upper.half_depth_mm + 4.0, upper.height_mm * 0.62),
                    (side * 9.5, upper.half_depth_mm + 3.5, upper.height_mm * 0.15),
                    (side * (out - 1.0), upper.half_depth_mm + 5.0, low),
                    (side * (out + 6.0), upper.half_depth_mm + 4.0, low - 4.5),
                    (side * (out + 20.0), upper.half_depth_mm - 6.0, low - 21.0),
                ]
            )
            for first, second, radius in zip(path, path[1:], (1.3, 1.5, 2.6 * (1 - 0.25 * tight), 1.9), strict=False):
                ends = upper.frame.to_world(np.array([first, second]))
                window = plane.window(ends, radius + 1.5)
                if window is None:
                    continue
                u, v, w = (plane.along(window, upper.frame.center_mm, axis) for axis in upper.frame.axes)
                distance = capsule(u, v, w, np.array([first, second]), radius)
                canvas.cover(window, distance, canvas.palette["ganglion" if radius > 1.8 else "nerve"])
