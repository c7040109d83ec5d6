"""Painting the soft tissue around the spine: trunk, abdomen, vessels, fasciae."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy, Profiles
from lumbar.phantom.canvas import Canvas, Plane, Window
from lumbar.phantom.solids import ellipse, ellipsoid
from lumbar.phantom.texture import BUNDLE, FIBRE, FINE, HUGE, SMOOTH, WIDE, grain

Floats = NDArray[np.floating[Any]]
_ZERO = np.zeros(3)


class Field:
    """Patient coordinates of a window of pixels, and the profiles at each of them."""

    def __init__(self, profiles: Profiles, plane: Plane, window: Window) -> None:
        self.window = window
        self.x = plane.along(window, _ZERO, (1.0, 0.0, 0.0))
        self.y = plane.along(window, _ZERO, (0.0, 1.0, 0.0))
        self.z = plane.along(window, _ZERO, (0.0, 0.0, 1.0))
        self._profiles = profiles
        self._index = profiles.index(self.z)
        self.beside = self.x - self["canal_x"]  # to the left of the middle of the canal
        self.behind = self.y - self["canal_y"]  # behind it

    def __getitem__(self, name: str) -> Floats:
        return self._profiles[name][self._index]


def paint_trunk(anatomy: Anatomy, canvas: Canvas, field: Field) -> None:
    """Paint skin, subcutaneous fat with septa, the abdominal wall and its contents."""
    if canvas.palette is None:
        return
    palette, seed = canvas.palette, anatomy.seed
    skin, belly = field["skin"], field["belly"]
    groove = np.float32(6.0) * np.exp(-np.square(field.beside * np.float32(1 / 15)))
    outline = ellipse(field.beside, field.y - (skin + belly) * np.float32(0.5) + groove, field["trunk"], (skin - belly) * np.float32(0.5))
    canvas.cover(field.window, outline, palette["skin"])
    rough, threads = grain(field.x, field.y, field.z, 0.8, seed, SMOOTH), grain(field.x, field.y, field.z, 1.0, seed + 31, BUNDLE)
    shade = 1 + np.float32(0.05) * rough - np.float32(0.12) * np.clip(1 - np.abs(threads) * 6, 0, 1)
    canvas.cover(field.window, outline + np.float32(1.8), (palette["fat"][0], np.float32(palette["fat"][1]) * shade))
    fascia = field["fascia"]
    inner = ellipse(field.beside, field.y - (fascia + belly + 14) * np.float32(0.5), field["trunk"] * np.float32(0.92), (fascia - belly - 10) * np.float32(0.5))
    ring = np.clip((np.abs(field.beside) - 55) * np.float32(1 / 55), 0, 1) + np.clip((-30 - field.behind) * np.float32(1 / 30), 0, 1)
    share = np.clip(np.float32(0.05) + np.float32(0.25) * np.maximum(threads, 0) ** 2, 0, 1)
    muscle = (np.float32(palette["muscle"][0]) * (1 - share), np.float32(palette.pure_fat) * share)
    canvas.cover(field.window, inner, muscle)
    canvas.cover(field.window, inner + np.float32(14.0) * np.clip(ring, 0, 1), (palette["fat"][0], np.float32(palette["fat"][1] * 0.93) * shade))
    _paint_gut(canvas, field, inner, seed)


def _paint_gut(canvas: Canvas, field: Field, inner: Floats, seed: int) -> None:
    """Paint bowel and mesentery in front of the great vessels as heterogeneous tissue without labels."""
    assert canvas.palette is not None
    place = grain(field.x, field.y, field.z, 0.9, seed + 77, HUGE)
    stuff = grain(field.x, field.y, field.z, 0.9, seed + 78, WIDE)
    front = np.maximum(field.behind + np.float32(60) - np.square(field.beside * np.float32(1 / 9)) + 14 * stuff, inner + 16)
    loops = np.maximum(front, (np.float32(-0.45) - place) * 7)
    water = np.float32(canvas.palette["bowel"][0]) * (np.float32(0.75) + np.float32(0.45) * stuff)
    canvas.cover(field.window, loops, (water, np.float32(0.08 * canvas.palette.pure_fat)))
    canvas.cover(field.window, np.maximum(loops + 5, (np.float32(0.7) - stuff) * 6), canvas.palette["air"])


def paint_belly(anatomy: Anatomy, canvas: Canvas) -> None:
    """Organs and loops of bowel."""
    if canvas.palette is None:
        return
    plane = canvas.plane
    for number, blob in enumerate(anatomy.blobs):
        center, half = np.array(blob.center_mm), np.array(blob.half_mm)
        window = plane.window(np.stack([center - half, center + half]), 3.0)
        if window is None:
            continue
        u, v, w = (plane.along(window, center, axis) for axis in np.eye(3))
        distance = ellipsoid(u, v, w, blob.half_mm) + np.float32(2.5) * grain(u, v, w, 1.1, anatomy.seed + 13 * number, WIDE)
        water, fat = canvas.palette[blob.tissue]
        fine = 1 + np.float32(0.10) * grain(u, v, w, 0.8, anatomy.seed + 5, SMOOTH)
        canvas.cover(window, distance, (np.float32(water) * fine, np.float32(fat) * fine))
        if blob.tissue in ("bowel", "kidney"):  # contents of a loop, pelvis of a kidney
            bowel = blob.tissue == "bowel"
            core = canvas.palette["air" if number % 3 == 0 and bowel else "fluid" if number % 3 == 1 and bowel else "bowel" if bowel else "fat"]
            canvas.cover(window, distance + np.float32(3.5 if bowel else 0.55 * blob.half_mm[0]), core)


def _near(anatomy: Anatomy, canvas: Canvas, box_mm: Floats) -> Field | None:
    """The field around a structure, or None where the plane misses it or renders labels only."""
    window = canvas.plane.window(box_mm, 2.0) if canvas.palette is not None else None
    return Field(anatomy.profiles, canvas.plane, window) if window else None


def paint_vessels(anatomy: Anatomy, canvas: Canvas) -> None:
    """Paint aorta and vena cava, which bifurcate in front of L4."""
    field = _near(anatomy, canvas, anatomy.vessel_box_mm)
    if canvas.palette is None or field is None:
        return
    apart = field["vessels_apart"]
    for name in ("aorta", "cava"):
        radius = field[f"{name}_radius"]
        for side in SIDES:
            shift = np.float32(side) * apart
            across, through = (radius, radius) if name == "aorta" else (radius * np.float32(1.2), radius * np.float32(0.75))
            distance = ellipse(field.beside - field[f"{name}_x"] - shift, field.y - field[f"{name}_y"] - np.float32(0.1) * apart, across, through)
            canvas.cover(field.window, distance - np.float32(1.1), canvas.palette["fascia"])
            canvas.cover(field.window, distance, canvas.palette["blood" if name == "aorta" else "vein"])


def paint_midline(anatomy: Anatomy, canvas: Canvas) -> None:
    """Paint ligaments and fat between the spinous processes, and the supraspinous ligament behind them."""
    field = _near(anatomy, canvas, anatomy.midline_box_mm)
    if canvas.palette is None or field is None:
        return
    half = field["canal_half"]
    back = field["fascia"] - field["canal_y"]
    plate = np.maximum(np.abs(field.beside) - np.float32(3.2), np.maximum(half + 5 - field.behind, field.behind - back + 1))
    slant = field.z - np.float32(0.25) * field.behind
    streak, cloud = grain(field.x, slant, field.behind, 0.8, anatomy.seed + 23, FIBRE), grain(field.x, field.y, field.z, 0.9, anatomy.seed + 25, SMOOTH)
    share = np.clip(np.float32(0.42) + np.float32(0.16) * streak + np.float32(0.36) * cloud, 0.05, 0.95)
    first, second = canvas.palette["ligament"][0] * 1.4, canvas.palette.pure_fat
    canvas.cover(field.window, plate, ((1 - share) * np.float32(first), share * np.float32(second)))
    speck = grain(field.x, field.y, field.z, 0.8, anatomy.seed + 24, FINE)
    canvas.blend(field.window, np.clip(speck - np.float32(0.75), 0, 1) * (plate < 0), (0.0, canvas.palette.pure_fat))
