"""Outlines and names drawn over the views."""

from pathlib import Path

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from lumbar.report.views import AxialView, SagittalView
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.spine_map import SpineMap

_ZOOM = 2
MUSCLE_COLORS = ("#c0c0c0", "#f28cb1", "#b39df2", "#b39df2", "#f28cb1")  # by label: both erector spinae alike, both multifidi alike
BODY_COLOR, DISC_COLOR, CANAL_COLOR, TEXT_COLOR = "#7fd1ae", "#f2b45c", "#6db3f2", "#ffffff"


def draw_sagittal(view: SagittalView, spine: SpineMap, outlines: bool = True) -> Image.Image:
    """The sagittal view with named levels and, if wanted, the outlines of bodies, discs and canal."""
    picture = _enlarged(view.grey)
    draw = ImageDraw.Draw(picture)
    if outlines:
        _outline(draw, view.canal, CANAL_COLOR)
        for number in np.unique(view.instances[view.instances > 0]):
            _outline(draw, view.instances == number, DISC_COLOR if number < FIRST_BODY else BODY_COLOR)
    for i, vertebra in enumerate(spine.names.bodies):
        place = np.argwhere(view.instances == FIRST_BODY + i)
        if vertebra is not None and len(place) > 200:
            _text(draw, place.mean(axis=0)[::-1] * _ZOOM, vertebra.value, 22, "mm")
    for i, level in enumerate(spine.names.discs):
        place = np.argwhere(view.instances == 1 + i)
        if level is not None and len(place):
            front = place[place[:, 1] <= place[:, 1].min() + 3].mean(axis=0)
            _text(draw, (front[1] * _ZOOM - 10, front[0] * _ZOOM), level.value, 18, "rm", DISC_COLOR)
    return picture


def draw_axial(view: AxialView) -> Image.Image:
    """One axial view with its level, the patient's sides and a scale of 5 cm."""
    picture = _enlarged(view.grey)
    draw = ImageDraw.Draw(picture)
    if view.muscles is not None:
        for label in np.unique(view.muscles[view.muscles > 0]):
            _outline(draw, view.muscles == label, MUSCLE_COLORS[int(label) % len(MUSCLE_COLORS)])
    width, height = picture.size
    _text(draw, (12, height // 2), "R", 24, "lm")
    _text(draw, (width - 12, height // 2), "L", 24, "rm")
    _text(draw, (12, 10), view.level.level.value, 28, "la", DISC_COLOR)
    bar = 50 / view.pixel_mm * _ZOOM
    draw.line([(width - 20 - bar, height - 18), (width - 20, height - 18)], fill=TEXT_COLOR, width=3)
    _text(draw, (width - 20 - bar / 2, height - 24), "5 cm", 16, "mb")
    return picture


def save(picture: Image.Image, path: Path) -> None:
    """Write a PNG without any of the input's metadata."""
    picture.save(path, format="PNG", optimize=False, compress_level=4)


def _enlarged(grey: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(grey)
    return picture.resize((grey.shape[1] * _ZOOM, grey.shape[0] * _ZOOM), Image.Resampling.BICUBIC).convert("RGB")


def _outline(draw: ImageDraw.ImageDraw, mask: NDArray[np.bool_] | NDArray[np.uint8], color: str) -> None:
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), 1.2)
    for line in contour_generator(z=smooth).lines(0.5):
        points = (np.asarray(line) + 0.5) * _ZOOM
        draw.line([(float(x), float(y)) for x, y in points], fill=color, width=2, joint="curve")


def _text(draw: ImageDraw.ImageDraw, place: tuple[float, float] | NDArray[np.float64], text: str, size: int, anchor: str, color: str = TEXT_COLOR) -> None:
    font = ImageFont.load_default(size)
    draw.text((float(place[0]), float(place[1])), text, font=font, fill=color, anchor=anchor, stroke_width=2, stroke_fill="#000000")
