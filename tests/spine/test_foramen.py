"""Foramina of a block spine whose pedicles, facets and disc stand where they were put."""

import numpy as np
import pytest

from lumbar.domain.anatomy import Side, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.spine.foramen import foramen_at
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM, Segmentation
from lumbar.spine.shape import outline

SLICES, ROWS, COLUMNS, GAP = 15, 128, 128, 4.0
MIDDLE = 64  # row of the middle of the disc
BACK = 60  # last column of the column's bone


def spine(heights_mm: dict[Side, float], widths_mm: dict[Side, float]) -> Midplane:
    """Column with a disc; on each side pedicles above and below, so that a foramen of this height and width is left."""
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    labels[:, 10:118, 14 : BACK + 1] = SpineClass.BODY
    labels[:, MIDDLE - 5 : MIDDLE + 6, 14 : BACK + 1] = SpineClass.DISC
    for k in range(SLICES):
        aside = (k - SLICES // 2) * GAP
        side = Side.LEFT if aside > 0 else Side.RIGHT
        if not 12 <= abs(aside) <= 20:
            continue
        half, behind = heights_mm[side] / 2 / PIXEL_MM, BACK + 1 + round(widths_mm[side] / PIXEL_MM)
        labels[k, 20:108, behind : behind + 14] = SpineClass.POSTERIOR
        for rows in (slice(round(MIDDLE + 0.5 - half) - 14, round(MIDDLE + 0.5 - half)), slice(round(MIDDLE + 0.5 + half), round(MIDDLE + 0.5 + half) + 14)):
            labels[k, rows, BACK + 1 : behind] = SpineClass.POSTERIOR
    shares = np.stack([labels == kind for kind in SpineClass], axis=1).astype(np.float16)
    grid = Grid(np.arange(SLICES)[:, None] * np.array([GAP, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    images = Volume(labels.astype(np.float32), grid)
    segmentation = Segmentation(images, shares, labels, grid)
    middle = shares[SLICES // 2].astype(np.float32)
    return Midplane(np.full(ROWS, SLICES // 2, float), middle, middle.argmax(axis=0).astype(np.uint8), images.array[0], segmentation)


def disc_of(midplane: Midplane):
    found = outline(midplane.labels == SpineClass.DISC, midplane.probabilities[SpineClass.DISC])
    assert found is not None
    return found


def test_each_side_has_its_own_height_width_and_area():
    midplane = spine({Side.LEFT: 18.0, Side.RIGHT: 12.0}, {Side.LEFT: 9.0, Side.RIGHT: 4.5})
    left, right = (foramen_at(midplane, disc_of(midplane), side) for side in (Side.LEFT, Side.RIGHT))
    assert left is not None and right is not None
    assert left.height_mm == pytest.approx(18.0, abs=1.0) and right.height_mm == pytest.approx(12.0, abs=1.0)
    assert left.width_mm == pytest.approx(9.0, abs=0.6) and right.width_mm == pytest.approx(4.5, abs=0.6)
    assert left.area_mm2 == pytest.approx(18.0 * 9.0, rel=0.1) and right.area_mm2 == pytest.approx(12.0 * 4.5, rel=0.15)


def test_without_pedicles_nothing_is_measured():
    midplane = spine({Side.LEFT: 60.0, Side.RIGHT: 12.0}, {Side.LEFT: 9.0, Side.RIGHT: 4.5})
    assert foramen_at(midplane, disc_of(midplane), Side.LEFT) is None
    assert foramen_at(midplane, disc_of(midplane), Side.RIGHT) is not None


def test_a_pedicle_counts_where_neither_of_its_classes_reaches_one_half():
    midplane = spine({Side.LEFT: 18.0, Side.RIGHT: 18.0}, {Side.LEFT: 9.0, Side.RIGHT: 9.0})
    shares = midplane.segmentation.probabilities
    seam = slice(BACK - 2, BACK + 6)  # where the pedicles join the body: both classes are as likely, and a little background
    bone = shares[:, SpineClass.BODY, :, seam] + shares[:, SpineClass.POSTERIOR, :, seam]
    shares[:, SpineClass.BODY, :, seam] = shares[:, SpineClass.POSTERIOR, :, seam] = 0.45 * bone
    found = foramen_at(midplane, disc_of(midplane), Side.LEFT)
    assert found is not None and found.height_mm == pytest.approx(18.0, abs=1.0)


def test_the_slice_through_the_pedicles_counts_not_those_beside_their_axis():
    midplane = spine({Side.LEFT: 18.0, Side.RIGHT: 18.0}, {Side.LEFT: 9.0, Side.RIGHT: 9.0})
    higher = spine({Side.LEFT: 24.0, Side.RIGHT: 24.0}, {Side.LEFT: 9.0, Side.RIGHT: 9.0})
    beside = SLICES // 2 + 4  # 16 mm from the midline; the slice at 12 mm keeps its pedicles, and that at 20 mm loses them as well
    midplane.segmentation.probabilities[beside:] = higher.segmentation.probabilities[beside:]
    found = foramen_at(midplane, disc_of(midplane), Side.LEFT)
    assert found is not None and found.height_mm == pytest.approx(18.0, abs=1.0)
