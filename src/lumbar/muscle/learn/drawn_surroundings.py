"""Tissues around the back muscles of a simulated slice: skin and fat, abdominal wall, other muscles, organs, bones."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.muscle.labels import PSOAS_LEFT, PSOAS_RIGHT, VERTEBRA
from lumbar.muscle.learn.axial_slice import FloatImage
from lumbar.muscle.learn.drawn_canvas import DrawnCanvas, blotches
from lumbar.muscle.learn.drawn_outline import Outline, smooth

Pair = tuple[float, float]  # water, fat


@dataclass(frozen=True)
class Tissues:
    """Water and fat of each tissue on one image; muscle water is 0.7 and pure fat about 1."""

    muscle: Pair
    fat: Pair
    skin: Pair
    bone: Pair
    marrow: Pair
    disc: Pair
    fluid: Pair
    organ: Pair
    fascia: Pair


def random_tissues(rng: Generator) -> Tissues:
    """Random signals of another person and scanner."""

    def one(water: Pair, fat: Pair) -> Pair:
        return float(rng.uniform(*water)), float(rng.uniform(*fat))

    return Tissues(
        muscle=one((0.62, 0.78), (0.01, 0.1)),
        fat=one((0.02, 0.16), (0.8, 1.3)),
        skin=one((0.4, 1.0), (0.0, 0.2)),
        bone=one((0.0, 0.15), (0.0, 0.1)),
        marrow=one((0.15, 0.5), (0.2, 0.7)),
        disc=one((0.25, 0.8), (0.0, 0.08)),
        fluid=one((0.6, 1.4), (0.0, 0.05)),
        organ=one((0.5, 1.2), (0.0, 0.12)),
        fascia=one((0.1, 0.45), (0.0, 0.5)),
    )


def draw_trunk(canvas: DrawnCanvas, sides: tuple[Outline, Outline], level: float, tissues: Tissues, rng: Generator) -> None:
    """Draw skin, subcutaneous fat, the muscles of the abdominal wall, and the tissue in front of the back muscles."""
    tip = np.mean([np.abs(side.tip[0]) for side in sides]), np.mean([side.tip[1] for side in sides])
    width, front = max(rng.uniform(108, 155), 1.25 * tip[0]), rng.uniform(-75, -45)
    reach = np.sqrt(max(1 - (tip[0] / width) ** 2, 0.05))
    depth = (tip[1] + rng.uniform(-14, 9) - front) / reach  # the wall ends before the tip or wraps around it
    x = canvas.x[0]
    wall = front + depth * np.sqrt(np.clip(1 - (x / width) ** 2, 0, 1))
    behind = np.maximum(np.where(np.abs(x) < width, wall, -200), -200)
    for side in sides:
        behind = np.maximum(behind, _rearmost(side, x))
    under = rng.uniform(1.5, 12) + rng.gamma(1.5, 6.0) * (0.3 + 0.7 * np.clip(level, 0, 1))
    dip = rng.uniform(0, 12) * np.exp(-np.square(x / rng.uniform(7, 20)))
    skin = ndimage.gaussian_filter1d(np.where(behind > -150, behind, front - (np.abs(x) - width) * 3), rng.uniform(3, 14), mode="nearest") + under - dip
    body = np.clip(skin[None] - canvas.y + 0.5, 0, 1).astype(np.float32)
    canvas.paint(body, *tissues.fat)
    canvas.water *= 1 + np.float32(0.3) * blotches(canvas.water.shape, 12, rng) * np.float32(rng.random())
    layer = skin - under * rng.uniform(0.25, 0.7)  # the membrane within the fat
    canvas.paint(np.exp(-np.square(canvas.y - layer[None]) / 1.2).astype(np.float32) * np.float32(rng.uniform(0, 0.5)), *tissues.fascia)
    thick = rng.uniform(1.2, 3.0)
    canvas.paint(body * np.clip(canvas.y - skin[None] + thick + 0.5, 0, 1).astype(np.float32), *tissues.skin)
    beside = np.clip((np.abs(canvas.x) - tip[0] + 12) / 5, 0, 1)  # between the tips the back muscles are the wall
    middle = rng.uniform(4, 18)
    canvas.paint(canvas.ellipse((0, front), (width, depth)) * beside, *tissues.fascia)
    canvas.paint(canvas.ellipse((0, front), (width - 1, depth - 1)) * beside, *_varied(tissues.muscle, rng))
    canvas.paint(canvas.ellipse((0, front), (width - middle, depth - middle)), *tissues.fat)
    _draw_belly(canvas, level, tissues, rng)
    for sign in (-1.0, 1.0):
        if level < 0.9:
            spot = (sign * rng.uniform(46, 66), rng.uniform(-5, 8))
            _muscle(canvas, canvas.ellipse(spot, (rng.uniform(13, 30), rng.uniform(5, 12)), sign * rng.uniform(-20, 25)), tissues, rng)
        spot = (sign * (rng.uniform(30, 38) + 8 * level), rng.uniform(-34, -22) + 4 * level)
        psoas = canvas.ellipse(spot, (rng.uniform(9, 14) + 12 * level, rng.uniform(12, 17) + 9 * level), sign * rng.uniform(-30, 30))
        _muscle(canvas, psoas, tissues, rng)
        canvas.labels[psoas > 0.5] = PSOAS_RIGHT if sign < 0 else PSOAS_LEFT


def draw_bones(canvas: DrawnCanvas, level: float, tissues: Tissues, rng: Generator) -> None:
    """Draw vertebra or disc, canal, arch and processes; in lower slices the ilium with the muscles behind it."""
    if level > rng.uniform(0.7, 1.0):
        _draw_ilium(canvas, tissues, rng)
    half = rng.uniform(20, 29), rng.uniform(14, 19)
    middle = (0.0, -half[1] - rng.uniform(8, 13))
    canvas.paint(canvas.ellipse(middle, (half[0] + 1.5, half[1] + 1.5)), *tissues.bone)
    body = canvas.ellipse(middle, half)
    canvas.paint(body, *(tissues.disc if rng.random() < 0.45 else tissues.marrow))
    canvas.labels[body > 0.5] = VERTEBRA
    if rng.random() < 0.4:  # transverse processes
        for sign in (-1.0, 1.0):
            _bone(
                canvas,
                canvas.ellipse((sign * rng.uniform(28, 36), rng.uniform(-3, 6)), (rng.uniform(9, 15), rng.uniform(2, 5)), sign * rng.uniform(-10, 30)),
                tissues,
            )
    for sign in (-1.0, 1.0):
        _bone(
            canvas,
            canvas.ellipse((sign * rng.uniform(14, 20), rng.uniform(1, 8)), (rng.uniform(5, 10), rng.uniform(6, 10)), sign * rng.uniform(-40, 40)),
            tissues,
        )
        _bone(
            canvas,
            canvas.ellipse((sign * rng.uniform(6, 10), rng.uniform(10, 14)), (rng.uniform(7, 13), rng.uniform(2, 4)), sign * rng.uniform(-55, -20)),
            tissues,
        )
    canal = canvas.ellipse((0, 0), (rng.uniform(8, 13), rng.uniform(6.5, 10)))
    canvas.paint(ndimage.grey_dilation(canal, size=3), *(tissues.fat if rng.random() < 0.5 else tissues.bone))
    canvas.paint(canal, *tissues.fluid)
    canvas.paint(canal * np.clip(blotches(canal.shape, 3, rng) - 0.8, 0, 1), 0.5, 0.05)
    for sign in (-1.0, 1.0):  # fat and short muscles in the corner between lamina and spinous process
        corner = canvas.ellipse((sign * rng.uniform(5, 10), rng.uniform(17, 24)), (rng.uniform(4, 8), rng.uniform(5, 11)), sign * rng.uniform(-30, 10))
        lean = np.clip(rng.uniform(-1, 1) + blotches(corner.shape, rng.uniform(2, 5), rng), 0, 1)
        canvas.paint(corner, lean * tissues.muscle[0], (1 - lean) * tissues.fat[1])
    tip = rng.uniform(38, 52)
    if rng.random() < 0.6:
        _bone(canvas, canvas.ellipse((0, (14 + tip) / 2), (rng.uniform(2.0, 4.5), (tip - 12) / 2)), tissues)
    else:
        canvas.paint(canvas.ellipse((0, (14 + tip) / 2), (rng.uniform(1.5, 3.5), (tip - 10) / 2)), *tissues.fascia)


def _draw_belly(canvas: DrawnCanvas, level: float, tissues: Tissues, rng: Generator) -> None:
    """Kidneys, bowel and vessels."""
    for _ in range(int(rng.integers(4, 18))):
        spot = (rng.uniform(-110, 110), rng.uniform(-110, -30))
        share = canvas.ellipse(spot, (rng.uniform(7, 24), rng.uniform(7, 20)), rng.uniform(-60, 60))
        texture = blotches(share.shape, rng.uniform(3, 10), rng)
        canvas.paint(share, np.clip(rng.uniform(0.1, 1.1) + rng.uniform(0, 0.4) * texture, 0, 2), rng.uniform(0, 0.3))
    for sign in (-1.0, 1.0):
        if rng.random() < 0.9 - level:
            canvas.paint(
                canvas.ellipse((sign * rng.uniform(55, 75), rng.uniform(-25, 0)), (rng.uniform(18, 28), rng.uniform(22, 34)), sign * rng.uniform(10, 50)),
                *tissues.organ,
            )
        if level < 0.3 and rng.random() < 0.6:  # liver, spleen
            canvas.paint(
                canvas.ellipse((sign * rng.uniform(95, 115), rng.uniform(-60, -10)), (rng.uniform(25, 45), rng.uniform(30, 60))), *_varied(tissues.organ, rng)
            )


def _draw_ilium(canvas: DrawnCanvas, tissues: Tissues, rng: Generator) -> None:
    size = rng.uniform(0.8, 1.15)
    crest = np.array([(62, 24), (70, 34), (80, 22), (98, 2), (118, -22), (110, -34), (92, -14), (74, 6)], np.float64) * size
    crest += rng.normal(0, 2.5, crest.shape) + np.array([rng.uniform(-4, 10), rng.uniform(-12, 8)])
    for sign in (-1.0, 1.0):
        gluteal = smooth(np.array([(66, 36), (80, 44), (112, 30), (135, 0), (118, -18), (96, 8)]) * size + rng.normal(0, 3, (6, 2)))
        _muscle(canvas, canvas.shape(gluteal * (sign, 1)), tissues, rng)
        _bone(canvas, canvas.shape(smooth(crest + rng.normal(0, 1.0, crest.shape)) * (sign, 1)), tissues)


def _bone(canvas: DrawnCanvas, share: FloatImage, tissues: Tissues) -> None:
    """Draw marrow with a dark cortex."""
    canvas.paint(share, *tissues.bone)
    canvas.paint(np.clip(ndimage.grey_erosion(share, size=3), 0, 1), *tissues.marrow)


def _muscle(canvas: DrawnCanvas, share: FloatImage, tissues: Tissues, rng: Generator) -> None:
    """Draw a muscle with a thin fascia, which is often invisible."""
    if rng.random() < 0.5:
        canvas.paint(ndimage.grey_dilation(share, size=3), *(tissues.fascia if rng.random() < 0.5 else tissues.fat))
    canvas.paint(share, *_varied(tissues.muscle, rng))


def _varied(pair: Pair, rng: Generator) -> Pair:
    return pair[0] * float(rng.uniform(0.9, 1.1)), pair[1] * float(rng.uniform(0.7, 1.5))


def _rearmost(side: Outline, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Posterior border of the muscles in each column; far anterior where there are none."""
    points = side.compartment
    columns = np.round(points[:, 0] - x[0]).astype(int)
    depth = np.full(len(x), -200.0)
    inside = (columns >= 0) & (columns < len(x))
    np.maximum.at(depth, columns[inside], points[inside, 1])
    known = np.flatnonzero(depth > -200)
    if len(known) > 1:
        between = np.arange(known[0], known[-1] + 1)
        depth[between] = np.interp(between, known, depth[known])
    return depth
