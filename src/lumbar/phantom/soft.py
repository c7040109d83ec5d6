"""Soft tissue around the spine: the trunk's outline, belly, vessels, muscles with the fat in them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy
from lumbar.phantom.canvas import Canvas, Window
from lumbar.phantom.labels import MUSCLE
from lumbar.phantom.profiles import SIDE_NAMES, side_tables
from lumbar.phantom.solids import ellipse, ellipsoid
from lumbar.phantom.texture import grain

Floats = NDArray[np.floating[Any]]


class Field:
    """Patient coordinates of a window of pixels, and the profiles at each of them."""

    def __init__(self, anatomy: Anatomy, canvas: Canvas, window: Window) -> None:
        plane = canvas.plane
        zero = np.zeros(3)
        self.window = window
        self.x = plane.along(window, zero, (1.0, 0.0, 0.0))
        self.y = plane.along(window, zero, (0.0, 1.0, 0.0))
        self.z = plane.along(window, zero, (0.0, 0.0, 1.0))
        self._profiles = anatomy.profiles
        self.index = anatomy.profiles.index(self.z)
        self.beside = self.x - self["canal_x"]  # to the left of the canal's middle
        self.behind = self.y - self["canal_y"]  # behind it

    def __getitem__(self, name: str) -> Floats:
        return self._profiles[name][self.index]


def paint_trunk(anatomy: Anatomy, canvas: Canvas, field: Field) -> Floats:
    """Skin, subcutaneous fat, belly wall and belly; returns the depth under the skin, positive inside."""
    palette = canvas.palette
    skin, belly = field["skin"], field["belly"]
    groove = 6.0 * np.exp(-((field.beside / 15.0) ** 2))
    half_depth = (skin - belly) / 2
    outline = ellipse(field.beside, field.y - (skin + belly) / 2 + groove, field["trunk"], half_depth)
    if palette is None:
        return np.asarray(-outline)
    canvas.cover(field.window, outline, palette["skin"])
    shade = 1 + np.float32(0.05) * grain(field.x, field.y, field.z, (3.0, 3.0, 6.0), anatomy.seed, 2.0)
    septa = np.clip(1 - np.abs(grain(field.x, field.y, field.z, (2.6, 1.5, 5.0), anatomy.seed + 31, 2.0)) * 14, 0, 1)
    shade = shade - 0.35 * septa
    canvas.cover(field.window, outline + 1.9, (palette["fat"][0], palette["fat"][1] * shade))
    inner = ellipse(field.beside, field.y - (field["fascia"] + belly + 14) / 2 + 3, field["trunk"] * 0.93, (field["fascia"] - belly - 14) / 2)
    wall = grain(field.x, field.y, field.z, (2.0, 2.0, 8.0), anatomy.seed + 7, 1.2)
    muscle = _marbled(canvas, wall, np.float32(0.06))
    front = np.maximum(inner, field.behind + 26 - 0.2 * np.abs(field.beside))
    canvas.cover(field.window, front, muscle)
    visceral = palette["fat"]
    canvas.cover(field.window, front + 15.0, (visceral[0], visceral[1] * (0.9 * shade)))
    return np.asarray(-outline)


def paint_belly(anatomy: Anatomy, canvas: Canvas) -> None:
    """Organs, bowel and the great vessels in front of the spine."""
    if canvas.palette is None:
        return
    plane = canvas.plane
    for number, blob in enumerate(anatomy.blobs):
        center, half = np.array(blob.center_mm), np.array(blob.half_mm)
        window = plane.window(np.stack([center - half, center + half]), 2.0)
        if window is None:
            continue
        u, v, w = (plane.along(window, center, axis) for axis in np.eye(3))
        wobble = grain(u, v, w, (9.0, 9.0, 9.0), anatomy.seed + 13 * number, 2.0)
        distance = ellipsoid(u, v, w, blob.half_mm) + 2.0 * wobble
        water, fat = canvas.palette[blob.tissue]
        fine = 1 + 0.08 * grain(u, v, w, (1.6, 1.6, 3.0), anatomy.seed + 5, 1.2)
        canvas.cover(window, distance, (water * fine, fat * fine))
        if blob.tissue in ("bowel", "kidney"):  # contents of a loop, pelvis of a kidney
            core = canvas.palette["air" if number % 3 == 0 and blob.tissue == "bowel" else "fluid" if blob.tissue == "bowel" else "fat"]
            canvas.cover(window, distance + (4.0 if blob.tissue == "bowel" else 0.55 * blob.half_mm[0]), core)


def paint_vessels(canvas: Canvas, field: Field) -> None:
    """Aorta and vena cava, which divide in front of L4."""
    if canvas.palette is None:
        return
    for name in ("aorta", "cava"):
        for side in SIDES:
            radius = field[f"{name}_radius"]
            apart = side * field["vessels_apart"]
            distance = ellipse(field.beside - field[f"{name}_x"] - apart, field.y - field[f"{name}_y"] - np.float32(0.1) * np.abs(apart), radius, radius)
            canvas.cover(field.window, distance - 1.3, canvas.palette["fascia"])
            canvas.cover(field.window, distance, canvas.palette["blood"])


def paint_muscles(anatomy: Anatomy, canvas: Canvas, field: Field) -> None:
    """Psoas, quadratus lumborum, erector spinae and multifidus, each a little apart from the next with fat between them."""
    limit = field.y - field["fascia"] + 2.5 + 3.0 * np.exp(-((field.beside / 12.0) ** 2))
    if canvas.palette is not None:
        streak = muscle_texture(anatomy, field)
        streak_wide = grain(field.x, field.y, field.z, (1.6, 1.6, 11.0), anatomy.seed + 91, 1.2)
    for muscle in ("psoas", "quadratus_lumborum", "erector_spinae", "multifidus"):
        for side in SIDES:
            distance = muscle_distance(muscle, side, field, limit)
            label = MUSCLE[muscle, SIDE_NAMES[side]]
            if canvas.palette is None:
                canvas.cover(field.window, distance, (0.0, 0.0), label)
                continue
            if float(distance.min()) > 2:
                continue
            fat = fat_share(field[side_tables(muscle, side)[5]], streak if muscle != "psoas" else streak_wide)
            canvas.cover(field.window, distance - 0.9, canvas.palette["fascia"])
            canvas.cover(field.window, distance, _marbled(canvas, None, fat))


def muscle_distance(muscle: str, side: float, field: Field, limit: Floats) -> Floats:
    """Distance to one muscle: a tilted, bent superellipse in each cross-section, never through the fascia."""
    x, y, a, b, tilt, _ = (field[name] for name in side_tables(muscle, side))
    beside = np.float32(side) * (field.beside - x)
    behind = field.behind - y
    angle = np.radians(tilt)
    cosine, sine = np.cos(angle), np.sin(angle)
    across = beside * cosine - behind * sine
    through = beside * sine + behind * cosine
    through = through - 0.10 * b * (across / a) ** 2
    nx, ny = across / a, through / b
    radius = np.sqrt(np.sqrt(nx**4 + ny**4 + 0.9 * (nx * ny) ** 2))
    distance = (radius - 1) * np.minimum(a, b) * 0.9
    return np.asarray(np.maximum(distance, limit))


def muscle_texture(anatomy: Anatomy, field: Field) -> Floats:
    """Evenly distributed noise in [-1, 1], drawn out along the fibres, which run down and outward."""
    slant = 0.22 * field.z
    return grain(np.abs(field.beside) + slant, field.behind - 0.3 * slant, field.z, (0.9, 1.25, 9.0), anatomy.seed + 3, 1.2)


def fat_share(mean: Floats, noise: Floats) -> Floats:
    """Fat share of each point of a muscle whose mean is `mean`: a lean ground and streaks of fat, exact on average over even noise.

    Where noise u in [0, 1] is above 1 − p the share rises from the ground g linearly to the top h, so that the mean is g + (h − g)·p/2.
    """
    ground = 0.35 * mean
    top = np.minimum(0.55 + mean, 0.97)
    share = np.clip(2 * (mean - ground) / (top - ground), 0.02, 1.0)
    level = (noise + 1) / 2
    return np.asarray(ground + (top - ground) * np.clip((level - (1 - share)) / share, 0, 1), dtype=np.float32)


def _marbled(canvas: Canvas, noise: Floats | None, fat: Floats | np.float32) -> tuple[Floats, Floats]:
    """Signal of muscle with a share of fat."""
    assert canvas.palette is not None
    muscle, pure = canvas.palette["muscle"][0], canvas.palette.pure_fat
    share = fat if noise is None else fat_share(np.asarray(fat), noise)
    return np.asarray((1 - share) * np.float32(muscle)), np.asarray(share * np.float32(pure))
