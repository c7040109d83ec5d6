"""The bony canal of a drawn vertebra, whose arch stands where it was put."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.spine.bony_canal import bony_canal_mm
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM, Segmentation
from lumbar.spine.shape import Outline, outline

ROWS, COLUMNS, FINE = 96, 128, 4
HEIGHT_MM, DEPTH_MM, ARCH_MM = 26.0, 34.0, 10.0
CENTER_MM = (36.0, 30.0)


def vertebra(canal_mm: float, lower_mm: float = 4.0, degrees: float = 0.0, speck: bool = False) -> tuple[Midplane, Outline]:
    """A body and, `canal_mm` behind it, the front of an arch whose upper end lies `lower_mm` below the middle of the body."""
    rows, columns = (np.mgrid[: ROWS * FINE, : COLUMNS * FINE] + 0.5) / FINE * PIXEL_MM - PIXEL_MM / 2
    angle = np.deg2rad(degrees)
    down, back = rows - CENTER_MM[0], columns - CENTER_MM[1]
    along, across = back * np.cos(angle) - down * np.sin(angle), back * np.sin(angle) + down * np.cos(angle)
    body = (np.abs(along) <= DEPTH_MM / 2) & (np.abs(across) <= HEIGHT_MM / 2)
    front = DEPTH_MM / 2 + canal_mm
    arch = (along >= front) & (along <= front + ARCH_MM) & (across >= lower_mm) & (across <= lower_mm + 12)
    shares = np.zeros((1, len(SpineClass), ROWS, COLUMNS), np.float32)
    shares[0, SpineClass.BODY], shares[0, SpineClass.POSTERIOR] = share(body), share(arch)
    if speck:
        shares[0, SpineClass.POSTERIOR, round(CENTER_MM[0] / PIXEL_MM), round((CENTER_MM[1] + DEPTH_MM / 2 + 9.0) / PIXEL_MM)] = 1
    shares[0, SpineClass.BACKGROUND] = 1 - shares[0].sum(axis=0)
    labels = shares.argmax(axis=1).astype(np.uint8)
    grid = Grid(np.zeros((1, 3)), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    segmentation = Segmentation(Volume(labels.astype(np.float32), grid), shares.astype(np.float16), labels, grid)
    found = outline(labels[0] == SpineClass.BODY, shares[0, SpineClass.BODY], np.array([-np.sin(angle), np.cos(angle)]))
    assert found is not None
    return Midplane(np.zeros(ROWS), shares[0], labels[0], labels[0].astype(np.float32), segmentation), found


def share(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return mask.reshape(ROWS, FINE, COLUMNS, FINE).mean(axis=(1, 3), dtype=np.float32)


@pytest.mark.parametrize("degrees", [0.0, -20.0, 15.0])
@pytest.mark.parametrize("canal_mm", [11.0, 16.0, 22.0])
def test_straight_behind_the_body_it_is_the_gap(canal_mm: float, degrees: float) -> None:
    assert bony_canal_mm(*vertebra(canal_mm, lower_mm=-6.0, degrees=degrees)) == pytest.approx(canal_mm, abs=0.6)


def test_to_an_arch_that_hangs_lower_it_is_the_nearest_point() -> None:
    nearest = float(np.hypot(16.0, 6.0))

    assert nearest - 0.5 <= bony_canal_mm(*vertebra(16.0, lower_mm=6.0)) <= nearest + 2.0  # the very edge, seen in one direction alone, does not count


def test_a_single_pixel_is_not_an_arch() -> None:
    assert bony_canal_mm(*vertebra(16.0, lower_mm=-6.0, speck=True)) == pytest.approx(16.0, abs=0.6)


def test_without_an_arch_in_the_plane_there_is_no_value() -> None:
    assert bony_canal_mm(*vertebra(40.0)) is None


def test_a_body_that_ends_beyond_the_image_has_no_back_wall() -> None:
    midplane, body = vertebra(16.0)
    filled = midplane.probabilities.copy()
    filled[SpineClass.BODY, :, round(CENTER_MM[1] / PIXEL_MM) :] = 1

    assert bony_canal_mm(Midplane(midplane.slice_of_row, filled, midplane.labels, midplane.image, midplane.segmentation), body) is None
