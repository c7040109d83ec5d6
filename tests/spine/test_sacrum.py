"""The slip of L5 on a drawn S1, whose strip ends where the disc ends and whose back wall stands where it was put."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.spine.midplane import Midplane
from lumbar.spine.morphometry import USUAL_STEP_MM, meyerding, slip
from lumbar.spine.sacrum import sacral_outline
from lumbar.spine.segment import PIXEL_MM, Segmentation
from lumbar.spine.shape import Outline, outline

ROWS, COLUMNS, FINE = 128, 128, 4
DEPTH_MM, BODY_MM, DISC_MM, STRIP_MM, S1_MM = 34.0, 26.0, 9.0, 16.0, 26.0
CENTER_MM = (46.0, 48.0)  # of the disc


def drawn(slip_mm: float, degrees: float) -> tuple[Midplane, NDArray[np.bool_], Outline, Outline]:
    """L5, which has slipped by `slip_mm`, on its disc and S1; the midplane, the strip of S1, the disc and L5."""
    rows, columns = (np.mgrid[: ROWS * FINE, : COLUMNS * FINE] + 0.5) / FINE * PIXEL_MM - PIXEL_MM / 2
    angle = np.deg2rad(degrees)
    down, back = rows - CENTER_MM[0], columns - CENTER_MM[1]
    along, below = back * np.cos(angle) - down * np.sin(angle), back * np.sin(angle) + down * np.cos(angle)

    def block(top_mm: float, height_mm: float, moved_mm: float = 0.0) -> NDArray[np.float32]:
        inside = (np.abs(along - moved_mm) <= DEPTH_MM / 2) & (below >= top_mm) & (below <= top_mm + height_mm)
        return inside.reshape(ROWS, FINE, COLUMNS, FINE).mean(axis=(1, 3), dtype=np.float32)

    shares = np.zeros((len(SpineClass), ROWS, COLUMNS), np.float32)
    shares[SpineClass.BODY] = block(-DISC_MM / 2 - BODY_MM, BODY_MM)
    shares[SpineClass.DISC] = block(-DISC_MM / 2, DISC_MM)
    shares[SpineClass.SACRUM] = block(DISC_MM / 2, STRIP_MM)
    s1 = np.clip(block(DISC_MM / 2, S1_MM, slip_mm) - shares[SpineClass.SACRUM], 0, 1)
    shares[SpineClass.BACKGROUND] = 1 - shares.sum(axis=0)
    labels = shares.argmax(axis=0).astype(np.uint8)
    grid = Grid(np.zeros((1, 3)), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    segmentation = Segmentation(Volume(labels[None].astype(np.float32), grid), shares[None].astype(np.float16), labels[None], grid)
    midplane = Midplane(np.zeros(ROWS), shares, labels, labels.astype(np.float32), segmentation, s1=s1)
    disc, body = (outline(labels == kind, shares[kind], np.array([-np.sin(angle), np.cos(angle)])) for kind in (SpineClass.DISC, SpineClass.BODY))
    assert disc is not None and body is not None
    return midplane, labels == SpineClass.SACRUM, disc, body


def slip_of(slip_mm: float, degrees: float) -> tuple[float, float] | None:
    midplane, strip, disc, body = drawn(slip_mm, degrees)
    s1 = sacral_outline(midplane, strip, disc)
    assert s1 is not None
    return slip(Level.L5_S1, body, disc, s1)


@given(st.floats(0.0, 16.0), st.floats(-10.0, 55.0))
def test_l5_slips_by_as_much_as_s1_reaches_further_back(slip_mm: float, degrees: float) -> None:
    found = slip_of(slip_mm, degrees)

    assert found is not None
    assert found[0] + USUAL_STEP_MM[Level.L5_S1] == pytest.approx(slip_mm, abs=0.5)
    assert found[1] == pytest.approx(100 * found[0] / DEPTH_MM, rel=0.08, abs=0.5)  # of the depth of L5


@pytest.mark.parametrize(("slip_mm", "grade"), [(2.0, 0), (6.0, 1), (12.0, 2)])
def test_grades_follow_quarters(slip_mm: float, grade: int) -> None:
    found = slip_of(slip_mm, 30.0)

    assert found is not None and meyerding(Level.L5_S1, *found) == grade


def test_no_slip_is_given_where_the_back_of_s1_was_missed() -> None:
    midplane, strip, disc, body = drawn(0.0, 30.0)
    half = (np.argwhere(np.ones_like(strip)) * PIXEL_MM - disc.center) @ disc.across < 5.0  # the network saw the front of S1 only
    seen = np.where(half.reshape(strip.shape), midplane.probabilities[SpineClass.SACRUM], 0)
    midplane.probabilities[SpineClass.SACRUM] = seen
    s1 = sacral_outline(replace(midplane, s1=np.zeros_like(seen)), strip & (seen > 0.5), disc)

    assert s1 is not None and slip(Level.L5_S1, body, disc, s1) is None


def test_a_network_that_labels_the_strip_only_gives_no_wall() -> None:
    midplane, strip, disc, _ = drawn(5.0, 30.0)

    assert sacral_outline(replace(midplane, s1=None), strip, disc) is None
    assert sacral_outline(midplane, np.zeros_like(strip), disc) is None
