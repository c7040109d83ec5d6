"""Outlines, names and colours drawn over the views."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from lumbar.domain.geometry import Points
from lumbar.domain.mask_colors import AXIAL_BODY_COLOR, BODY_COLORS, CANAL_COLOR, DISC_COLORS, MUSCLE_COLORS, SACRUM_COLORS
from lumbar.domain.mask_labels import Structure
from lumbar.muscle.labels import LABELS, VERTEBRA
from lumbar.report.colors import FAT, IMPORTANCE, YOUNGER_OLDER, Rgb, colored, laid_over
from lumbar.report.evidence import CloseView
from lumbar.report.views import AxialView, SagittalView
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.spine_map import SpineMap

_ZOOM = 2
_MASK_COLORS = {**{label: MUSCLE_COLORS[muscle] for label, (muscle, _) in LABELS.items()}, VERTEBRA: AXIAL_BODY_COLOR}
RING_COLOR = "#35e0ff"
_RING_MM = 3.0
_OUTLINE_SIGMA, _OUTLINE_MARGIN = 1.2, 6  # pixels: blur of a mask before its outline is drawn, and how far it reaches
_NAMED_PIXELS = 200  # smaller parts of a body are not named
_HALF = 0.5  # of the largest importance: what lies within is outlined
BODY_COLOR, DISC_COLOR, TEXT_COLOR = BODY_COLORS[0], DISC_COLORS[0], "#ffffff"


def draw_sagittal(view: SagittalView, spine: SpineMap, outlines: bool = True) -> Image.Image:
    """The sagittal view with named levels and, if wanted, the outlines of bodies, discs, canal, S1 and S2."""
    image = _enlarged(view.grey)
    draw = ImageDraw.Draw(image)
    if outlines:
        _outline(draw, view.canal, CANAL_COLOR)
        for number in np.unique(view.instances[view.instances > 0]):
            _outline(draw, view.instances == number, DISC_COLOR if number < FIRST_BODY else BODY_COLOR)
        _outline_sacrum(draw, view)
    for i, vertebra in enumerate(spine.names.bodies):
        place = np.argwhere(view.instances == FIRST_BODY + i)
        if vertebra is not None and len(place) > _NAMED_PIXELS:
            _text(draw, place.mean(axis=0)[::-1] * _ZOOM, vertebra.value, 22, "mm")
    for i, level in enumerate(spine.names.discs):
        place = np.argwhere(view.instances == 1 + i)
        if level is not None and len(place):
            front = place[place[:, 1] <= place[:, 1].min() + 3].mean(axis=0)
            _text(draw, (front[1] * _ZOOM - 10, front[0] * _ZOOM), level.value, 18, "rm", DISC_COLOR)
    return image


def _outline_sacrum(draw: ImageDraw.ImageDraw, view: SagittalView) -> None:
    for structure, color in zip((Structure.S1, Structure.S2), SACRUM_COLORS, strict=True):
        mask = view.sacrum == structure
        _outline(draw, mask, color, width=1)
        if structure is Structure.S2 and np.count_nonzero(mask) > _NAMED_PIXELS:
            _text(draw, np.argwhere(mask).mean(axis=0)[::-1] * _ZOOM, structure.name, 22, "mm")


def draw_axial(view: AxialView, fat: bool = False) -> Image.Image:
    """One axial view with its level, the patient's sides, a scale bar of 5 cm and the muscles' outlines; with `fat`, the fat in them in colours."""
    image = _enlarged(_with_fat(view) if fat else view.grey)
    draw = ImageDraw.Draw(image)
    if view.muscles is not None:
        for label in np.unique(view.muscles[view.muscles > 0]):
            _outline(draw, view.muscles == label, TEXT_COLOR if fat else _MASK_COLORS[int(label)], 1 if fat else 2)
    width, height = image.size
    _sides(draw, width, height)
    _text(draw, (12, 10), view.level.level.value, 28, "la", DISC_COLOR)
    _scale_bar(draw, (width, height), 50 / view.pixel_mm * _ZOOM, "5 cm")
    return image


def draw_close(view: CloseView, rings_mm: Sequence[Points] = (), sides: bool = True) -> Image.Image:
    """A close-up view with a ring around each point, the patient's sides if they are in the plane, and a scale bar of 1 cm."""
    image = _enlarged(view.grey)
    draw = ImageDraw.Draw(image)
    radius = _RING_MM / view.pixel_mm * _ZOOM
    for point in rings_mm:
        row, column = view.pixel(point)
        y, x = (row + 0.5) * _ZOOM, (column + 0.5) * _ZOOM
        for extra, color, width in ((1, "#000000", 5), (0, RING_COLOR, 3)):
            draw.ellipse((x - radius - extra, y - radius - extra, x + radius + extra, y + radius + extra), outline=color, width=width)
    _close_marks(draw, image.size, view, sides)
    return image


def draw_heat(view: CloseView, importance: NDArray[np.float32], sides: bool = True) -> Image.Image:
    """A graded crop with its heat map (rows, columns), 0 to 1: transparent where a region has no influence."""
    image = _enlarged(laid_over(view.grey, colored(importance, IMPORTANCE), np.clip((importance - 0.2) / 0.4, 0, 1) * 0.6))
    draw = ImageDraw.Draw(image)
    _outline(draw, importance > _HALF, TEXT_COLOR, 1)
    _close_marks(draw, image.size, view, sides)
    return image


def draw_age_map(view: SagittalView, years: NDArray[np.float32]) -> Image.Image:
    """The sagittal view with years (rows, columns) in colours: blue makes the spine look younger than average, red older."""
    share = (years / max(float(np.abs(years).max()), 1e-6)).astype(np.float32)
    opacity = (0.65 * np.clip(np.abs(share) * 1.5 - 0.15, 0, 1)).astype(np.float32)
    return _enlarged(laid_over(view.grey, colored(share / 2 + 0.5, YOUNGER_OLDER), opacity))


def _with_fat(view: AxialView) -> Rgb:
    """Muscles in the colours of their fat; those without any value, as the psoas without a Dixon pair, were not measured and stay grey."""
    assert view.fat is not None and view.muscles is not None
    measured = [label for label in LABELS if view.fat[view.muscles == label].any()]
    return laid_over(view.grey, colored(view.fat, FAT), 0.75 * np.isin(view.muscles, measured).astype(np.float32))


def _close_marks(draw: ImageDraw.ImageDraw, size: tuple[int, int], view: CloseView, sides: bool) -> None:
    if sides:
        _sides(draw, *size)
    _scale_bar(draw, size, 10 / view.pixel_mm * _ZOOM, "1 cm")


def _sides(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    """The patient's right is on the left of an axial image."""
    _text(draw, (12, height // 2), "R", 24, "lm")
    _text(draw, (width - 12, height // 2), "L", 24, "rm")


def _scale_bar(draw: ImageDraw.ImageDraw, size: tuple[int, int], length: float, text: str) -> None:
    right, bottom = size[0] - 20, size[1] - 14
    draw.line([(right - length, bottom), (right, bottom)], fill="#000000", width=5)
    draw.line([(right - length, bottom), (right, bottom)], fill=TEXT_COLOR, width=3)
    _text(draw, (right - length / 2, bottom - 5), text, 16, "mb")


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG without any of the input's metadata."""
    path.write_bytes(png(image))


def png(image: Image.Image) -> bytes:
    """A PNG without any of the input's metadata."""
    out = io.BytesIO()
    image.save(out, format="PNG", compress_level=1)
    return out.getvalue()


def jpeg(image: Image.Image) -> bytes:
    """A smaller image for the page."""
    out = io.BytesIO()
    image.convert("RGB").save(out, format="JPEG", quality=86)
    return out.getvalue()


def _enlarged(pixels: NDArray[np.uint8]) -> Image.Image:
    """Grey (rows, columns) or colour (rows, columns, 3) at the size of the drawing."""
    image = Image.fromarray(pixels)
    return image.resize((pixels.shape[1] * _ZOOM, pixels.shape[0] * _ZOOM), Image.Resampling.BICUBIC).convert("RGB")


def _outline(draw: ImageDraw.ImageDraw, mask: NDArray[np.bool_] | NDArray[np.uint8], color: str, width: int = 2) -> None:
    found = np.argwhere(mask)
    if not len(found):
        return
    low, high = np.maximum(found.min(axis=0) - _OUTLINE_MARGIN, 0), found.max(axis=0) + 1 + _OUTLINE_MARGIN
    smooth = ndimage.gaussian_filter(mask[low[0] : high[0], low[1] : high[1]].astype(np.float32), _OUTLINE_SIGMA)
    for line in contour_generator(z=smooth).lines(0.5):
        points = (np.asarray(line) + low[::-1] + 0.5) * _ZOOM
        draw.line([(float(x), float(y)) for x, y in points], fill=color, width=width, joint="curve")


def _text(draw: ImageDraw.ImageDraw, place: tuple[float, float] | NDArray[np.float64], text: str, size: int, anchor: str, color: str = TEXT_COLOR) -> None:
    font = ImageFont.load_default(size)
    draw.text((float(place[0]), float(place[1])), text, font=font, fill=color, anchor=anchor, stroke_width=2, stroke_fill="#000000")
