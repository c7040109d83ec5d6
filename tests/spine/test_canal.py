"""The width of a drawn canal at a disc, and the reasons to doubt it."""

from dataclasses import dataclass

import numpy as np
import pytest

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.spine.canal import Canal, canal_at
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM, Segmentation
from lumbar.spine.shape import outline

SLICES, ROWS, COLUMNS, GAP_MM = 15, 120, 120, 4.0
DISC_ROWS = slice(54, 66)
WIDTH, HALF_WIDE_MM = 16, 9.0  # pixels from front to back, and half the width from side to side


@dataclass(frozen=True)
class Drawn:
    """An elliptical canal behind a disc; places are slices."""

    middle: float = 7.0
    last_row: int = ROWS
    section: float = 7.0  # through which the midplane passes
    protrusion: int = 0  # pixels by which the disc narrows the middle of the canal
    gap: bool = False  # three rows at the disc without canal


def measured(drawn: Drawn) -> Canal | None:
    labels = np.zeros((SLICES, ROWS, COLUMNS), np.uint8)
    labels[:, DISC_ROWS, 30:76] = SpineClass.DISC
    for number in range(SLICES):
        aside = (number - drawn.middle) * GAP_MM / HALF_WIDE_MM
        if abs(aside) < 1:
            half = round(WIDTH / 2 * np.sqrt(1 - aside**2))
            labels[number, : drawn.last_row, 90 - half : 90 + half] = SpineClass.CANAL
        if abs(aside) < 0.3:
            labels[number, DISC_ROWS, 82 : 82 + drawn.protrusion] = SpineClass.DISC
    if drawn.gap:
        labels[:, 58:61, 76:] = SpineClass.BACKGROUND
    grid = Grid(np.arange(SLICES)[:, None] * np.array([GAP_MM, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    shares = np.stack([labels == value for value in SpineClass], axis=1).astype(np.float16)
    segmentation = Segmentation(Volume(labels.astype(np.float32), grid), shares, labels, grid)
    seen, flat = shares[round(drawn.section)].astype(np.float32), labels[round(drawn.section)]
    disc = outline(flat == SpineClass.DISC, seen[SpineClass.DISC])
    assert disc is not None
    return canal_at(Midplane(np.full(ROWS, drawn.section), seen, flat, flat.astype(np.float32), segmentation), disc)


def test_width_and_area_are_those_of_the_drawn_canal() -> None:
    canal = measured(Drawn())
    assert canal is not None and canal.doubt is None
    assert canal.ap_mm == pytest.approx(WIDTH * PIXEL_MM, abs=0.5)
    assert canal.center[1] == pytest.approx(89.5 * PIXEL_MM, abs=0.5)


def test_a_section_beside_the_middle_is_doubted() -> None:
    canal = measured(Drawn(section=9.0))  # 8 mm aside: the width is less than half of the true one
    assert canal is not None and canal.ap_mm < 0.6 * WIDTH * PIXEL_MM
    assert canal.doubt is not None and "middle" in canal.doubt


def test_a_protrusion_in_the_middle_is_no_reason_to_doubt() -> None:
    canal = measured(Drawn(protrusion=9))
    assert canal is not None and canal.doubt is None
    assert canal.ap_mm == pytest.approx((WIDTH - 9) * PIXEL_MM, abs=0.6)


@pytest.mark.parametrize("section", [0.0, 14.0])
def test_a_canal_at_the_edge_of_the_stack_is_doubted(section: float) -> None:
    canal = measured(Drawn(middle=section, section=section))
    assert canal is not None and canal.doubt is not None and "stack" in canal.doubt


def test_a_mask_that_ends_at_the_disc_is_doubted() -> None:
    canal = measured(Drawn(last_row=64))
    assert canal is not None and canal.doubt is not None and "ends" in canal.doubt
    assert measured(Drawn(last_row=30)) is None


def test_an_interrupted_mask_is_doubted() -> None:
    canal = measured(Drawn(gap=True))
    assert canal is not None and canal.doubt is not None and "interrupted" in canal.doubt
