"""Foramina drawn with known size between pedicles and facets, as a network that labels foramina gives them."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.domain.anatomy import AddedClass, Side, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane
from lumbar.domain.volume import Volume
from lumbar.spine.foramen import foramen_at
from lumbar.spine.foramen_class import ASIDE_MM, pedicles_mm
from lumbar.spine.foramen_window import windows_beside
from lumbar.spine.midplane import Midplane
from lumbar.spine.network import SpineNetwork
from lumbar.spine.segment import PIXEL_MM, Segmentation, segment
from lumbar.spine.shape import Outline, outline

SLICES, ROWS, COLUMNS, GAP = 19, 128, 128, 4.0
MIDDLE, BACK = 64, 60  # row of the middle of the disc, last column of the column's bone
UPPER_MM, LOWER_MM = 15.0, 16.8  # lateral axes of the pedicles
HALF_MM = 5.0  # half their width: at their borders the foramen is 8 mm higher at either end


def spine(height_mm: float, width_mm: float, shift_mm: float = 0.0, only: Side | None = None) -> Midplane:
    """A column with a disc and a foramen on each side that is lowest at the axis of elliptic pedicles; `shift_mm` moves the spine against the slices."""
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    foramen = np.zeros(labels.shape, bool)
    labels[:, 6:122, 14 : BACK + 1] = SpineClass.BODY
    labels[:, MIDDLE - 5 : MIDDLE + 6, 14 : BACK + 1] = SpineClass.DISC
    away_mm = (np.arange(ROWS) - MIDDLE) * PIXEL_MM
    behind = BACK + 1 + round(width_mm / PIXEL_MM)
    for k in range(SLICES):
        aside = (k - SLICES // 2) * GAP - shift_mm
        if not 8.0 <= abs(aside) <= 24.0 or (only is not None and only is not (Side.LEFT if aside > 0 else Side.RIGHT)):
            continue
        labels[k, 12:116, behind : behind + 12] = SpineClass.POSTERIOR
        free = np.ones(ROWS, bool)
        for sign, axis in ((-1, UPPER_MM), (1, LOWER_MM)):
            half = 8.0 * np.sqrt(max(0.0, 1 - ((abs(aside) - axis) / HALF_MM) ** 2))
            free &= np.abs(sign * away_mm - (height_mm / 2 + 8.0)) > half
        bridged = ~free
        labels[k, bridged, BACK + 1 : behind] = SpineClass.POSTERIOR
        inner = np.flatnonzero(bridged[:MIDDLE])[-1:], np.flatnonzero(bridged[MIDDLE:])[:1]
        if all(len(end) for end in inner):
            foramen[k, inner[0][0] + 1 : MIDDLE + inner[1][0], BACK + 1 : behind] = True
    shares = np.stack([labels == kind for kind in SpineClass], axis=1).astype(np.float16)
    grid = Grid(np.arange(SLICES)[:, None] * np.array([GAP, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    segmentation = Segmentation(Volume(labels.astype(np.float32), grid), shares, labels, grid, foramen=foramen.astype(np.float16))
    centre = SLICES // 2 + shift_mm / GAP
    flat = shares[SLICES // 2].astype(np.float32)
    return Midplane(np.full(ROWS, centre), flat, flat.argmax(axis=0).astype(np.uint8), segmentation.image.array[0], segmentation)


def disc_of(midplane: Midplane) -> Outline:
    found = outline(midplane.labels == SpineClass.DISC, midplane.probabilities[SpineClass.DISC])
    assert found is not None
    return found


@pytest.mark.parametrize("shift_mm", [0.0, 1.0, 2.0, 3.0])
def test_size_and_axis_do_not_depend_on_where_the_slices_lie(shift_mm: float):
    midplane = spine(18.0, 9.0, shift_mm)
    for side in Side:
        place = pedicles_mm(*windows_beside(midplane, disc_of(midplane), side, ASIDE_MM))
        assert place == pytest.approx(UPPER_MM, abs=1.2)
        found = foramen_at(midplane, disc_of(midplane), side)
        assert found is not None
        assert found.height_mm == pytest.approx(18.0, abs=1.8)  # at the axis; slices beside it show up to 24 mm
        assert found.width_mm == pytest.approx(9.0, abs=0.6)
        assert found.area_mm2 == pytest.approx(18.0 * 9.0, rel=0.15)


def test_left_is_the_side_of_the_later_slices():
    midplane = spine(16.0, 6.0, only=Side.LEFT)
    assert foramen_at(midplane, disc_of(midplane), Side.LEFT) is not None
    assert foramen_at(midplane, disc_of(midplane), Side.RIGHT) is None


def test_a_facet_that_is_weakly_labelled_still_bounds_the_foramen():
    midplane = spine(18.0, 9.0)
    shares = midplane.segmentation.probabilities
    front = BACK + 1 + round(6.0 / PIXEL_MM)  # a process that narrows the foramen to 6 mm, with posterior elements at 0.4: less than one half
    rows = slice(MIDDLE - 4, MIDDLE + 5)
    assert midplane.segmentation.foramen is not None
    inside = midplane.segmentation.foramen[:, rows, front:] > 0
    for kind, value in ((SpineClass.POSTERIOR, 0.4), (SpineClass.BACKGROUND, 0.6)):
        shares[:, kind, rows, front:][inside] = value
    midplane.segmentation.foramen[:, rows, front:][inside] = 0.1
    found = foramen_at(midplane, disc_of(midplane), Side.LEFT)
    assert found is not None and found.width_mm == pytest.approx(6.0, abs=1.2)
    without = replace(midplane, segmentation=replace(midplane.segmentation, foramen=None))
    bony = foramen_at(without, disc_of(without), Side.LEFT)
    assert bony is not None and bony.width_mm == pytest.approx(9.0, abs=0.6)


def test_a_foramen_that_no_pedicle_closes_is_not_measured():
    midplane = spine(18.0, 9.0)
    shares = midplane.segmentation.probabilities
    shares[:, SpineClass.POSTERIOR, : MIDDLE - 5] = 0  # no upper pedicle
    assert foramen_at(midplane, disc_of(midplane), Side.LEFT) is None


def test_the_segmentation_keeps_the_probability_of_foramina_where_the_network_has_them():
    rows, columns = 160, 96

    def run(images: np.ndarray) -> np.ndarray:
        logits = np.zeros((len(images), 8, *images.shape[2:]), np.float32)
        logits[:, 7, 40:60, 30:50] = 2.0  # probability e² / (e² + 7)
        return logits

    grid = Grid(np.arange(3)[:, None] * np.array([GAP, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), rows, columns)
    volume = Volume(np.random.default_rng(0).random((3, rows, columns)).astype(np.float32), grid)
    found = segment(volume, SpineNetwork(run, added=(None, AddedClass.NEURAL_FORAMEN)), Plane.SAGITTAL)
    assert found.foramen is not None and found.probabilities.shape[1] == len(SpineClass)
    assert found.foramen.max() == pytest.approx(np.exp(2) / (np.exp(2) + 7), abs=0.002)
    assert found.probabilities.sum(axis=1, dtype=np.float32) == pytest.approx(np.ones((3, *found.labels.shape[1:])), abs=0.005)
    assert segment(volume, SpineNetwork(run, added=(None, None)), Plane.SAGITTAL).foramen is None
