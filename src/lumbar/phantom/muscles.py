"""Painting the paraspinal muscles with their intramuscular fat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy
from lumbar.phantom.canvas import Canvas
from lumbar.phantom.labels import MUSCLE
from lumbar.phantom.profiles import MUSCLES, SIDE_NAMES, side_tables
from lumbar.phantom.soft import Field
from lumbar.phantom.texture import BUNDLE, FIBRE, SHEET, SMOOTH, grain
from lumbar.phantom.tissues import FAT_DENSITY, TISSUES

Floats = NDArray[np.floating[Any]]


def paint_muscles(anatomy: Anatomy, canvas: Canvas) -> None:
    """Psoas, quadratus lumborum, erector spinae and multifidus, separated by thin layers of fat."""
    for muscle in MUSCLES:
        for side in SIDES:
            name = SIDE_NAMES[side]
            window = canvas.plane.window(anatomy.muscle_boxes_mm[muscle, name], 5.0)
            if window is None:
                continue
            field = Field(anatomy.profiles, canvas.plane, window)
            distance = muscle_distance(anatomy, muscle, side, field)
            if canvas.palette is None:
                canvas.cover(window, distance, (0.0, 0.0), MUSCLE[muscle, name])
                continue
            if float(distance.min()) > 1:
                continue
            fat = muscle_fat_map(anatomy, muscle, side, field)
            noise = _bundles(anatomy, field)
            grey = 1 + np.float32(0.07) * noise
            fascia_mm, layer_mm = _coats(noise)
            if muscle == "multifidus":  # a layer of fat separates it from the erector spinae
                canvas.cover(window, distance - layer_mm, canvas.palette["epidural_fat"])
            canvas.cover(window, distance - fascia_mm, canvas.palette["fascia"])
            # The fat share is a proton fraction, so fat in muscle has the proton density of muscle.
            lean, pure = np.float32(canvas.palette["muscle"][0]), np.float32(canvas.palette.pure_fat * TISSUES["muscle"].density / FAT_DENSITY)
            canvas.cover(window, distance, ((1 - fat) * lean * grey, fat * pure))


def _bundles(anatomy: Anatomy, field: Field) -> Floats:
    """Noise that varies the thickness of the fascia and fat layers."""
    return grain(field.x, field.y, field.z, 0.9, anatomy.seed + 19, BUNDLE)


def _coats(noise: Floats) -> tuple[Floats, Floats]:
    """Thickness in mm of the fascia and, around multifidus, of the fat layer."""
    return np.float32(0.25) + np.float32(0.55) * noise, np.float32(1.2) + np.float32(0.9) * noise


def muscle_distance(anatomy: Anatomy, muscle: str, side: float, field: Field) -> Floats:
    """Distance to one muscle: a tilted, bent superellipse with an uneven border in each cross-section, never through the fascia."""
    x, y, half_width, half_depth, cosine, sine = (field[name] for name in side_tables(muscle, side)[:6])
    beside = np.float32(side) * (field.beside - x)
    behind = field.behind - y
    across = beside * cosine - behind * sine
    through = beside * sine + behind * cosine
    nx = across / half_width
    square = nx * nx
    ny = through / half_depth - np.float32(0.10) * square
    square_y = ny * ny
    radius = np.sqrt(np.sqrt(square * square + square_y * square_y + np.float32(1.1) * square * square_y))
    distance = (radius - 1) * np.minimum(half_width, half_depth)
    if muscle != "psoas":
        dent = np.float32(3.0) * np.exp(-np.square(field.beside * np.float32(1 / 12)))
        distance = np.maximum(distance, field.y - field["fascia"] + np.float32(2.5) + dent)
    border = grain(field.x, field.y, field.z, 0.9, anatomy.seed + 3, SMOOTH)
    return np.asarray(distance + np.float32(0.8) * border)


def painted_fat_map(anatomy: Anatomy, muscle: str, side: float, field: Field) -> Floats:
    """Fat share of each point within a muscle's label, including, in the erector spinae, the fat layer of multifidus painted over it."""
    share = muscle_fat_map(anatomy, muscle, side, field)
    if muscle != "erector_spinae":
        return share
    fascia_mm, layer_mm = _coats(_bundles(anatomy, field))
    inner = muscle_distance(anatomy, "multifidus", side, field)
    share = np.where(inner < layer_mm, np.float32(TISSUES["epidural_fat"].fat_share), share)
    return np.where(inner < fascia_mm, np.float32(TISSUES["fascia"].fat_share), share)


def muscle_fat_map(anatomy: Anatomy, muscle: str, side: float, field: Field) -> Floats:
    """Fat share of each point: streaks along the fibres, which run down and outward, and more fat deep beside the midline in multifidus."""
    tables = side_tables(muscle, side)
    mean = field[tables[6]]
    if muscle == "multifidus":
        deep = np.clip((field[tables[1]] - field.behind) / field[tables[3]], -1, 1)
        mean = mean * (1 + np.float32(0.55) * deep)
    slant = np.float32(0.20) * field.z
    beside, behind = np.float32(side) * field.beside + slant, field.behind - np.float32(0.3) * slant
    shift = anatomy.seed + 3 + (0 if side > 0 else 41) + 7 * len(muscle)
    spots = grain(beside, behind, field.z, 0.75, shift, FIBRE)
    turn = np.radians({"multifidus": -28.0, "erector_spinae": 24.0}.get(muscle, 60.0))
    across, along = beside * np.float32(np.cos(turn)) - behind * np.float32(np.sin(turn)), beside * np.float32(np.sin(turn)) + behind * np.float32(np.cos(turn))
    sheets = 1 - 2 * np.abs(grain(across, along, field.z, 0.95, shift + 57, SHEET))
    return np.float32(0.25) * _fat_share(mean, spots) + np.float32(0.75) * _fat_share(mean, sheets)


def _fat_share(mean: Floats, noise: Floats) -> Floats:
    """Fat share of lean muscle with streaks of fat; its mean over uniform noise is `mean`.

    Where noise u in [0, 1] exceeds 1 − p, the share rises linearly from g to h, so that the mean is g + (h − g)·p/2.
    """
    ground = np.float32(0.25) * mean
    top = np.minimum(np.float32(0.75) + mean, np.float32(0.98))
    share = np.clip(2 * (mean - ground) / (top - ground), 0.02, 1.0)
    level = (noise + 1) * np.float32(0.5)
    return np.asarray(ground + (top - ground) * np.clip((level - (1 - share)) / share, 0, 1))
