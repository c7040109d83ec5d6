"""Painting the canal and nerve roots: epidural fat, ligamentum flavum, dural sac, cord and roots, foramina."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy
from lumbar.phantom.canvas import Canvas, Plane, Window
from lumbar.phantom.labels import CANAL
from lumbar.phantom.solids import capsule, ellipse, ellipsoid
from lumbar.phantom.texture import BUNDLE, SMOOTH, grain

Floats = NDArray[np.floating[Any]]
_ZERO = np.zeros(3)


class CanalField:
    """Coordinates of pixels near the canal, perpendicular to its axis: u to the left, v backwards from its middle."""

    def __init__(self, anatomy: Anatomy, plane: Plane, window: Window) -> None:
        profiles = anatomy.profiles
        self.window = window
        self.x = plane.along(window, _ZERO, (1.0, 0.0, 0.0))
        self.y = plane.along(window, _ZERO, (0.0, 1.0, 0.0))
        straight = plane.along(window, _ZERO, (0.0, 0.0, 1.0))
        rough = profiles.index(straight)
        # Projection on the canal's axis, to first order.
        lean, upright = profiles["sin"][rough], profiles["cos"][rough]
        self.z = straight + np.clip(self.y - profiles["canal_y"][rough], -15, 15) * lean * upright
        self.index = profiles.index(self.z)
        self._profiles = profiles
        self.u = self.x - self["canal_x"]
        self.v = (self.y - self["canal_y"]) / self["cos"]

    def __getitem__(self, name: str) -> Floats:
        return self._profiles[name][self.index]


def paint_foramina(anatomy: Anatomy, canvas: Canvas) -> None:
    """Paint the fat of the foramina, before bone, disc and root."""
    if canvas.palette is None:
        return
    plane = canvas.plane
    for k, disc in enumerate(anatomy.discs[:8]):
        upper = anatomy.vertebrae[k]
        for number, side in enumerate(SIDES):
            tight = float(anatomy.narrowing[1 + number, k - 3]) if 3 <= k < 8 else 0.1
            middle = np.array([side * (upper.pedicle_mm[0] + 1.0), upper.half_depth_mm + 5.0, -upper.height_mm / 2 - disc.height_mm[1] / 2 + 4.0])
            center = upper.frame.to_world(middle)
            window = plane.window(center[None], 16.0)
            if window is None:
                continue
            u, v, w = (plane.along(window, center, axis) for axis in upper.frame.axes)
            noise = grain(u, v, w, 0.7, anatomy.seed + 53, SMOOTH)
            fat = np.float32(canvas.palette["epidural_fat"][1]) * (np.float32(1 - 0.45 * tight) + np.float32(0.25) * noise)
            half = (12.0, 8.5 * (1 - 0.30 * tight), 14.0 * (1 - 0.20 * tight))
            canvas.cover(window, ellipsoid(u, v, w, half) + np.float32(0.8) * noise, (canvas.palette["epidural_fat"][0], fat))


def paint_canal(anatomy: Anatomy, canvas: Canvas) -> None:
    """Epidural fat, flavum, dura, CSF, cord and cauda equina, in this order."""
    window = canvas.plane.window(anatomy.canal_box_mm, 16.0)
    if window is None:
        return
    field = CanalField(anatomy, canvas.plane, window)
    front, back = field["sac_front"], field["sac_back"]
    middle, half_depth, half_width = (front + back) * np.float32(0.5), (back - front) * np.float32(0.5), field["sac_half_width"]
    sac = ellipse(field.u * _flare(field.v - middle, half_depth), field.v - middle, half_width, half_depth)
    flavum = _flavum_distances(field)
    sac = np.maximum(np.maximum(sac, np.maximum(flavum[0], flavum[1])), np.float32(anatomy.sac_end_mm) - field.z)
    if canvas.palette is None:
        canvas.cover(window, sac, (0.0, 0.0), CANAL)
        return
    _paint_around(anatomy, canvas, field, flavum, back)
    canvas.cover(window, sac - np.float32(0.35), canvas.palette["fascia"])
    _paint_sac(anatomy, canvas, field, sac, (half_width, half_depth, middle))


def _flare(behind: Floats, half_depth: Floats) -> Floats:
    """Factor that makes the sac egg-shaped: flat and wide in front, narrow towards the laminae. The depth in the midline is unchanged."""
    return 1 + np.float32(0.22) * np.clip(behind / np.maximum(half_depth, np.float32(0.8)), -1, 1)


def _paint_around(anatomy: Anatomy, canvas: Canvas, field: CanalField, flavum: tuple[Floats, Floats], back: Floats) -> None:
    """Epidural fat, most of it behind the sac between the laminae, and the flavum."""
    assert canvas.palette is not None
    palette, half = canvas.palette, field["canal_half"]
    noise = grain(field.x, field.y, field.z, 0.7, anatomy.seed + 61, SMOOTH)
    fat = (palette["epidural_fat"][0], np.float32(palette["epidural_fat"][1]) * (np.float32(0.92) + np.float32(0.12) * noise))
    here = np.clip(field["disc_here"] * np.float32(1.6) - np.float32(0.25), 0, 1)
    bony = ellipse(field.u, field.v, half * np.float32(1.34), half)
    canvas.cover(field.window, bony, fat)
    for number, side in enumerate(SIDES):
        thick = np.float32(4.0 + 1.0 * float(anatomy.narrowing[0].mean()))
        beside = np.float32(side) * field.u
        tangent = beside * np.float32(0.60) - field.v * np.float32(0.80)
        ligament = np.maximum(
            np.maximum(-flavum[number], flavum[number] - thick), np.maximum(np.abs(tangent + np.float32(1.0)) - np.float32(9.5), 0.6 - beside)
        )
        canvas.cover(field.window, ligament + (1 - here) * 6, palette["flavum"])
    pad = ellipse(field.u, field.v - back - np.float32(1.6), 4.6, 4.4)
    canvas.cover(field.window, pad + (1 - here) * 5, fat)


def _flavum_distances(field: CanalField) -> tuple[Floats, Floats]:
    """Distance of each pixel beyond the inner face of the left and right ligamentum flavum, which meet behind the sac."""
    behind, beside = field.v * np.float32(0.60), field.u * np.float32(0.80)
    return behind + beside - field["flavum_left"], behind - beside - field["flavum_right"]


def _paint_sac(anatomy: Anatomy, canvas: Canvas, field: CanalField, sac: Floats, shape: tuple[Floats, Floats, Floats]) -> None:
    assert canvas.palette is not None
    palette, middle = canvas.palette, shape[2]
    flow = grain(field.x, field.y, field.z, 1.0, anatomy.seed + 71, BUNDLE)
    canvas.cover(field.window, sac, (np.float32(palette["csf"][0]) * (np.float32(0.95) + np.float32(0.05) * flow), 0.0))
    above = field.z - np.float32(anatomy.conus_tip_mm)
    if float(above.max()) > 0:
        thick = np.sqrt(np.clip(above * np.float32(1 / 26), 0.02, 1))
        cord = ellipse(field.u, field.v - middle - np.float32(0.4), np.float32(4.7) * thick, np.float32(3.5) * thick)
        canvas.cover(field.window, np.maximum(cord, np.float32(0.2) - above), palette["cord"])
    _paint_cauda(anatomy, canvas, field, shape, sac)


def _paint_cauda(anatomy: Anatomy, canvas: Canvas, field: CanalField, shape: tuple[Floats, Floats, Floats], sac: Floats) -> None:
    """Rootlets of the cauda equina; they crowd where the sac is narrow."""
    assert canvas.palette is not None
    nearest = np.full(field.u.shape, 99.0, dtype=np.float32)
    across, through = field.u * _flare(field.v - shape[2], shape[1]) / np.maximum(shape[0], 1), (field.v - shape[2]) / np.maximum(shape[1], np.float32(0.8))
    for root in anatomy.roots:
        du = (across - root[0][field.index]) * shape[0]
        dv = (through - root[1][field.index]) * shape[1]
        np.minimum(nearest, du * du + dv * dv, out=nearest)
    crowded = np.float32(0.5) + np.float32(0.45) * np.clip(1 - shape[1] * np.float32(1 / 4), 0, 1)  # radius: without CSF between them, rootlets appear thicker
    threads = np.maximum(np.sqrt(nearest) - crowded, sac + np.float32(0.3))
    canvas.cover(field.window, threads, canvas.palette["nerve"])


def paint_roots(anatomy: Anatomy, canvas: Canvas) -> None:
    """Nerve roots from the sac through recess and foramen, with the ganglion under the pedicle."""
    if canvas.palette is None:
        return
    plane = canvas.plane
    for k in range(2, 8):
        upper = anatomy.vertebrae[k]
        for number, side in enumerate(SIDES):
            tight = float(anatomy.narrowing[1 + number, k - 3]) if 3 <= k < 8 else 0.1
            path = _root_path(upper.pedicle_mm[0], upper.half_depth_mm, upper.height_mm) * np.array([side, 1.0, 1.0])
            for first, second, radius in zip(path, path[1:], (1.2, 1.4, 2.7 * (1 - 0.25 * tight), 1.9), strict=False):
                ends = np.array([first, second])
                window = plane.window(upper.frame.to_world(ends), radius + 1.5)
                if window is not None:
                    u, v, w = (plane.along(window, upper.frame.center_mm, axis) for axis in upper.frame.axes)
                    canvas.cover(window, capsule(u, v, w, ends, radius), canvas.palette["ganglion" if radius > 1.8 else "nerve"])


def _root_path(out: float, back: float, height: float) -> NDArray[np.float64]:
    """Vertices of the path of a left root, in the frame of the vertebra below whose pedicle it exits."""
    low = -0.30 * height
    return np.array(
        [
            (7.0, back + 4.0, 0.62 * height),
            (9.5, back + 3.5, 0.15 * height),
            (out - 1.0, back + 5.0, low),
            (out + 6.0, back + 4.0, low - 4.5),
            (out + 20.0, back - 6.0, low - 21.0),
        ]
    )
