"""A synthetic spine of rectangles with ground truth for every measurement, and a stand-in network that recovers its classes.

Each class has its own grey value, so the stand-in needs no training; a block of known grey in the first corner gives the intensity scale.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.findings import ModelUse
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.spine.task import SpineTask

ROWS, COLUMNS, PIXEL, GAP, SLICES = 300, 200, 0.8, 4.0, 15
CORNER = (-70.0, 110.0)  # y and z of the first pixel; x runs evenly to both sides of 0
STEP = 100.0  # grey between classes
# Adjacent classes have adjacent grey values, so that resampling does not move their borders.
GREY = {SpineClass.CANAL: 2, SpineClass.BACKGROUND: 3, SpineClass.BODY: 4, SpineClass.DISC: 5, SpineClass.SACRUM: 6, SpineClass.POSTERIOR: 7}
BELOW_MM = 8.0  # by which the canal goes on below the lowest disc
MARK, MARK_GREY = 6, 6  # size in pixels and grey step of the corner block


@dataclass(frozen=True)
class Drawing:
    """Parameters of one synthetic spine; lists run from L5/S1 upwards."""

    tilts: tuple[float, ...] = (32.0, 18.0, 6.0, -2.0, -8.0, -12.0)  # of the discs, degrees, positive: front lower
    disc_mm: float = 9.0
    body_mm: float = 26.0
    depth_mm: float = 34.0
    canal_mm: float = 14.0
    narrow: dict[int, float] = field(default_factory=dict)  # disc number → canal width there
    slips: dict[int, float] = field(default_factory=dict)  # disc number → forward slip of all above it, mm
    fused: frozenset[int] = frozenset()  # numbers of discs replaced by bone
    sacrum: bool = True
    sideways_mm: float = 0.0  # how far the top of the spine leans to the patient's left
    lowest_mm: tuple[float, float] = (10.0, -60.0)  # y, z of the middle of the lowest disc


@dataclass(frozen=True)
class Truth:
    """Ground truth from the lowest disc upwards."""

    discs: list[NDArray[np.float64]]  # LPS
    bodies: list[NDArray[np.float64]]


def draw(drawing: Drawing, slices: int = SLICES, gap_mm: float = GAP, turn_degrees: float = 0.0) -> tuple[Volume, Truth]:
    """The sagittal volume and its ground truth; `turn_degrees` turns the slices about the long axis, their fronts to the patient's left."""
    start = np.array([-gap_mm * (slices - 1) / 2, *CORNER])
    turn = np.array([[np.cos(a := np.deg2rad(turn_degrees)), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    grid = Grid((start + np.arange(slices)[:, None] * [gap_mm, 0, 0]) @ turn.T, np.array([0, 0, -PIXEL]), turn @ [0, PIXEL, 0], ROWS, COLUMNS)
    points = grid.points_mm(np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1))
    code = np.zeros(grid.shape)
    truth = Truth([], [])
    middle = np.array([0.0, *drawing.lowest_mm])
    for number, tilt in enumerate(drawing.tilts):
        truth.discs.append(_leaning(middle, drawing))
        if number == 0 and drawing.sacrum:
            _box(code, points, middle - _frame(tilt)[1] * (drawing.disc_mm / 2 + 8), tilt, (25, drawing.depth_mm, 16), SpineClass.SACRUM, drawing)
        kind = SpineClass.BODY if number in drawing.fused else SpineClass.DISC
        _box(code, points, middle, tilt, (22, drawing.depth_mm, drawing.disc_mm), kind, drawing)
        above = drawing.tilts[number + 1] if number + 1 < len(drawing.tilts) else tilt
        shift = -_frame(tilt)[0] * drawing.slips.get(number, 0.0)  # the first vector of the frame points backwards
        body, top = _next_places(middle + shift, tilt, above, drawing)
        truth.bodies.append(_leaning(body, drawing))
        _body(code, points, (middle, body, top), (tilt, above), drawing)
        _canal(code, points, body, (tilt + above) / 2, drawing, drawing.body_mm / 2 + 6)
        _canal(code, points, middle, tilt, drawing, drawing.disc_mm / 2 + (0 if number else BELOW_MM))
        middle = top
    for number, width in drawing.narrow.items():
        _narrow(code, points, truth.discs[number], drawing.tilts[number], drawing, width)
    array = np.array([GREY[SpineClass(k)] for k in range(len(GREY))], dtype=np.float32)[code.astype(int)] * STEP
    array[:, :MARK, :MARK] = MARK_GREY * STEP
    return Volume(array, grid), truth


def read(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stand-in for the network: logits of the class that has the pixel's grey value."""
    out = np.empty((len(images), len(SpineClass), *images.shape[2:]), dtype=np.float32)
    for k, (image,) in enumerate(images):
        ground = GREY[SpineClass.BACKGROUND]
        zero = np.median(image[:200, 180:200])  # background behind the back
        grey = (image - zero) / (image[1:4, 1:4].mean() - zero) * (MARK_GREY - ground) + ground
        grey[: MARK + 4, : MARK + 4] = ground
        for kind in SpineClass:
            out[k, kind] = -20 * (grey - GREY[kind]) ** 2
    return out


def spine_task() -> SpineTask:
    """The spine task of the pipeline with this network in place of a trained one."""
    return SpineTask(read, ModelUse("spine", "cartoon", "1", "0" * 64, "drawings"))


def _frame(tilt: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors backwards along a disc and up across it; a positive tilt has the front lower."""
    angle = np.deg2rad(tilt)
    return np.array([0, np.cos(angle), np.sin(angle)]), np.array([0, -np.sin(angle), np.cos(angle)])


def _leaning(point: NDArray[np.float64], drawing: Drawing) -> NDArray[np.float64]:
    return point + np.array([_lean(point[2], drawing), 0, 0])


def _lean(z: NDArray[np.float64] | float, drawing: Drawing) -> NDArray[np.float64]:
    return np.asarray(drawing.sideways_mm * (np.asarray(z) + 60.0) / 150.0)


def _local(points: NDArray[np.float64], middle: NDArray[np.float64], tilt: float, drawing: Drawing) -> tuple[NDArray[np.float64], ...]:
    across, up = _frame(tilt)
    offset = points - middle
    return points[..., 0] - _lean(points[..., 2], drawing), offset @ across, offset @ up


def _box(code: NDArray[np.float64], points: NDArray[np.float64], middle: NDArray[np.float64], tilt: float, size: tuple[float, float, float],
         kind: SpineClass, drawing: Drawing) -> None:  # fmt: skip
    x, back, high = _local(points, middle, tilt, drawing)
    code[(np.abs(x) <= size[0]) & (np.abs(back) <= size[1] / 2) & (np.abs(high) <= size[2] / 2)] = kind


def _next_places(disc: NDArray[np.float64], tilt: float, above: float, drawing: Drawing) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of the body above a disc, and of the disc above that body."""
    along = _frame((tilt + above) / 2)[1] * drawing.body_mm / 2
    body = disc + _frame(tilt)[1] * (drawing.disc_mm / 2) + along
    return body, body + along + _frame(above)[1] * (drawing.disc_mm / 2)


def _body(
    code: NDArray[np.float64], points: NDArray[np.float64], places: tuple[NDArray[np.float64], ...], tilts: tuple[float, float], drawing: Drawing
) -> None:
    """Fill the space between two discs with a body, so that they share endplates."""
    x, back, _ = _local(points, places[1], sum(tilts) / 2, drawing)
    over = _local(points, places[0], tilts[0], drawing)[2] >= drawing.disc_mm / 2
    under = _local(points, places[2], tilts[1], drawing)[2] <= -drawing.disc_mm / 2
    code[(np.abs(x) <= 22) & (np.abs(back) <= drawing.depth_mm / 2) & over & under] = SpineClass.BODY


def _canal(code: NDArray[np.float64], points: NDArray[np.float64], middle: NDArray[np.float64], tilt: float, drawing: Drawing, half: float) -> None:
    x, back, high = _local(points, middle, tilt, drawing)
    start = drawing.depth_mm / 2 + 2
    inside = (np.abs(x) <= 9) & (back >= start) & (back <= start + drawing.canal_mm) & (np.abs(high) <= half)
    code[inside & (code == 0)] = SpineClass.CANAL


def _narrow(code: NDArray[np.float64], points: NDArray[np.float64], middle: NDArray[np.float64], tilt: float, drawing: Drawing, width: float) -> None:
    """Remove canal in front and behind at the height of a disc, so that `width` remains."""
    _, back, high = _local(points, middle, tilt, drawing)
    off = np.abs(back - (drawing.depth_mm / 2 + 2 + drawing.canal_mm / 2)) > width / 2
    code[(code == SpineClass.CANAL) & off & (np.abs(high) <= drawing.disc_mm / 2)] = SpineClass.BACKGROUND
