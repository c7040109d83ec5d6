"""Voids with bright rims near the spine are called metal; voids alone, bright tissue alone and flow voids in the canal are not."""

from types import SimpleNamespace

import numpy as np
import pytest

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.metal import check_metal
from lumbar.spine.segment import PIXEL_MM

SLICES, ROWS, COLUMNS, GAP_MM = 9, 240, 160, 4.0
BODY, FAT, FLUID = 100.0, 200.0, 300.0


def spine() -> SimpleNamespace:
    """A straight column in columns 50 to 95 with a canal behind it; the disc L4/L5 lies at row 150."""
    start = np.stack([np.arange(SLICES) * GAP_MM, np.zeros(SLICES), np.zeros(SLICES)], axis=1)
    grid = Grid(start, np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    labels = np.zeros((SLICES, ROWS, COLUMNS), dtype=np.uint8)
    labels[:, :, 50:95], labels[:, :, 97:115] = SpineClass.BODY, SpineClass.CANAL
    image = np.where(labels == SpineClass.BODY, BODY, np.where(labels == SpineClass.CANAL, FLUID, FAT)).astype(np.float32)
    instances = np.where(labels == SpineClass.BODY, FIRST_BODY, 0).astype(np.uint8)
    level = SimpleNamespace(level=Level.L4_L5, center_mm=tuple(grid.points_mm(np.array([4.0, 150.0, 72.0]))))
    far = SimpleNamespace(level=Level.L1_L2, center_mm=tuple(grid.points_mm(np.array([4.0, 20.0, 72.0]))))
    return SimpleNamespace(
        segmentation=SimpleNamespace(image=SimpleNamespace(array=image), labels=labels, grid=grid),
        column=SimpleNamespace(line=np.stack([np.arange(ROWS), np.full(ROWS, 72.0)], axis=1)),
        midplane=SimpleNamespace(slice_of_row=np.full(ROWS, 4.0)),
        instances=instances,
        finding=SimpleNamespace(levels=(level, far)),
    )


def painted(void: bool, rim: bool, columns: slice, slices: slice = slice(3, 6)) -> SimpleNamespace:
    found = spine()
    image = found.segmentation.image.array
    if rim:
        image[slices, 146:149, columns] = 1.5 * FLUID
    if void:
        image[slices, 149:157, columns] = 5.0
    return found


def test_a_void_with_a_bright_rim_marks_the_level_beside_it() -> None:
    (check,) = check_metal(painted(True, True, slice(60, 85)), "1.2.3")
    assert (check.status, check.level, check.series_uid) == ("doubtful", Level.L4_L5, "1.2.3")
    assert "metal" in check.note


@pytest.mark.parametrize(("void", "rim"), [(False, False), (True, False), (False, True)], ids=["plain", "gas in a disc", "bright tissue"])
def test_one_sign_alone_is_no_metal(void: bool, rim: bool) -> None:
    (check,) = check_metal(painted(void, rim, slice(60, 85)), "1.2.3")
    assert (check.status, check.level) == ("passed", None)


def test_flow_voids_in_fluid_are_no_metal() -> None:
    (check,) = check_metal(painted(True, True, slice(98, 114)), "1.2.3")
    assert check.status == "passed"


def test_a_single_slice_is_no_metal() -> None:
    (check,) = check_metal(painted(True, True, slice(60, 85), slice(4, 5)), "1.2.3")
    assert check.status == "passed"
