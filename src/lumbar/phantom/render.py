"""Rendering of one slice: paint planes within its thickness and average them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.bone import paint_pelvis, paint_vertebra
from lumbar.phantom.canvas import Canvas, Plane
from lumbar.phantom.disc import paint_disc
from lumbar.phantom.muscles import paint_muscles
from lumbar.phantom.neural import paint_canal, paint_foramina, paint_roots
from lumbar.phantom.signal import Palette
from lumbar.phantom.soft import Field, paint_belly, paint_midline, paint_trunk, paint_vessels

Floats = NDArray[np.floating[Any]]


def paint_ground(anatomy: Anatomy, canvas: Canvas) -> None:
    """Paint the trunk and the abdomen, which vary little between planes."""
    if canvas.palette is not None:
        paint_trunk(anatomy, canvas, Field(anatomy.profiles, canvas.plane, canvas.plane.whole))
        paint_belly(anatomy, canvas)


def paint_back(anatomy: Anatomy, canvas: Canvas) -> None:
    """Paint vessels, muscles and spine, from the surroundings inwards."""
    paint_vessels(anatomy, canvas)
    paint_pelvis(anatomy, canvas)
    paint_muscles(anatomy, canvas)
    paint_midline(anatomy, canvas)
    paint_foramina(anatomy, canvas)
    paint_canal(anatomy, canvas)
    paint_roots(anatomy, canvas)
    for disc in anatomy.discs:
        paint_disc(anatomy, canvas, disc)
    for number in range(len(anatomy.vertebrae)):
        paint_vertebra(anatomy, canvas, number)


def render_slice(anatomy: Anatomy, plane: Plane, thickness_mm: float, palette: Palette, samples: int) -> tuple[Floats, Floats]:
    """(water, fat) of a slice: the mean of `samples` planes spread evenly over its thickness."""
    normal = np.cross(plane.column_step_mm, plane.row_step_mm)
    normal = normal / np.linalg.norm(normal)
    ground = Canvas(plane, palette)
    paint_ground(anatomy, ground)
    water = np.zeros((plane.rows, plane.columns), dtype=np.float32)
    fat = np.zeros_like(water)
    for number in range(samples):
        shift = ((number + 0.5) / samples - 0.5) * thickness_mm
        canvas = Canvas(Plane(plane.origin_mm + shift * normal, plane.row_step_mm, plane.column_step_mm, plane.rows, plane.columns), palette)
        canvas.water[:], canvas.fat[:] = ground.water, ground.fat
        paint_back(anatomy, canvas)
        water += canvas.water
        fat += canvas.fat
    return water / np.float32(samples), fat / np.float32(samples)


def render_labels(anatomy: Anatomy, plane: Plane) -> NDArray[np.uint8]:
    """The label at the centre of each pixel of a plane."""
    canvas = Canvas(plane, None)
    paint_back(anatomy, canvas)
    return canvas.labels
