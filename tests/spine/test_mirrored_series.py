"""Series whose images run against their header from left to right."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.spine.planes import with_planes_by_spine
from lumbar.spine.series_fit import TOLERATED_MM, fit_series

_FIELD = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=(80, 110, 110)), 3.0)
_FIELD = (1000 * (_FIELD - _FIELD.min()) / np.ptp(_FIELD)).astype(np.float32)  # voxels of 2 mm around the origin
# Alike on both sides, as people are, with a part that is not.
_FIELD = (0.5 * (_FIELD + _FIELD[::-1]) + 0.35 * (_FIELD - _FIELD[::-1])).astype(np.float32)


def image_of(grid: Grid) -> Volume:
    points = grid.points_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    at = points / 2 + np.array([39.5, 54.5, 54.5])
    return Volume(ndimage.map_coordinates(_FIELD, np.moveaxis(at, -1, 0), order=1, mode="nearest").astype(np.float32), grid)


def series(grid: Grid, plane: Plane, weighting: Weighting, role: Role, uid: str, flipped: int | None = None) -> Series:
    volume = image_of(grid)
    array = volume.array if flipped is None else np.ascontiguousarray(np.flip(volume.array, flipped))
    return Series(uid, (Stack(Volume(array, grid), tuple(range(1, grid.shape[0] + 1))),), plane, weighting, role, "")


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def sagittal(degrees: float = 0.0, pixel_mm: float = 1.2) -> Grid:
    turn = turned(degrees)
    origins = np.array([[x, -80.0, 80.0] for x in np.arange(-28, 29, 4.0)]) @ turn.T
    return Grid(origins, np.array([0.0, 0, -pixel_mm]), turn @ np.array([0.0, pixel_mm, 0]), 133, 133)


def axial(degrees: float = 0.0) -> Grid:
    turn = turned(degrees)
    origins = np.array([[-60.0, -60.0, z] for z in np.arange(-50, 51, 4.0)]) @ turn.T
    return Grid(origins, turn @ np.array([0.0, 1.0, 0]), turn @ np.array([1.0, 0.0, 0]), 120, 120)


def checked(reference: Series, *others: Series) -> tuple[list[Series], list[str], list[str]]:
    fitted = fit_series(Study("1", (reference, *others)), reference)
    return list(fitted.study.series[1:]), list(fitted.warnings), [check.status for check in fitted.checks]


@pytest.mark.parametrize("degrees", [0.0, 12.0])
def test_a_mirrored_axial_series_is_withheld(degrees):
    reference = series(sagittal(degrees), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "sag")
    straight = series(axial(degrees), Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "ax")
    assert checked(reference, straight)[2] == ["passed"]
    mirrored = series(axial(degrees), Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "ax", flipped=2)
    (withheld,), warnings, statuses = checked(reference, mirrored)
    assert withheld.role is Role.OTHER
    assert not withheld.usable
    assert statuses == ["failed"]
    assert "mirror images" in warnings[0]


def test_a_reversed_reference_makes_left_and_right_uncertain_everywhere():
    reference = series(sagittal(), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "sag", flipped=0)
    t1 = series(sagittal(pixel_mm=1.1), Plane.SAGITTAL, Weighting.T1, Role.SAGITTAL_T1, "t1")
    ax = series(axial(), Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "ax")
    fitted = fit_series(Study("1", (reference, t1, ax)), reference)
    failed = [check for check in fitted.checks if check.status == "failed"]
    assert len(failed) == 2
    assert all(check.series_uid is None for check in failed)  # so that it concerns every result


@pytest.mark.parametrize(("axis", "words"), [(1, "upside down"), (2, "front and back")])
def test_a_reference_that_is_upside_down_is_named_where_the_names_of_levels_are_uncertain(axis, words):
    reference = series(sagittal(), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "sag", flipped=axis)
    ax = series(axial(), Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "ax")
    fitted = fit_series(Study("1", (reference, ax)), reference, sure=False)
    assert any(words in text and "against its header" in text for text in fitted.warnings)
    straight = series(sagittal(), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "sag")
    assert not fit_series(Study("1", (straight, ax)), straight, sure=False).warnings


def test_a_block_58_degrees_off_axial_is_axial_where_the_spine_is_as_steep():
    c, s = np.cos(np.radians(58)), np.sin(np.radians(58))
    normal = np.array([0.0, s, c])
    origins = np.array([[-60.0, 0, 0]]) + np.arange(8)[:, None] * 4.4 * normal
    grid = Grid(origins, np.array([0.0, c, -s]), np.array([1.0, 0, 0]), 100, 120)
    block = series(grid, Plane.CORONAL, Weighting.T2, Role.OTHER, "steep")
    levels = tuple(LevelFinding(level, tuple(grid.center_mm + normal * 35.0 * (3 - k))) for k, level in enumerate(Level))
    judged = with_planes_by_spine(Study("1", (block,)), levels).series[0]
    assert (judged.plane, judged.role) == (Plane.AXIAL, Role.AXIAL_T2)
    upright = tuple(LevelFinding(level, tuple(grid.center_mm + np.array([0, 0, 35.0]) * (3 - k))) for k, level in enumerate(Level))
    assert with_planes_by_spine(Study("1", (block,)), upright).series[0].plane is Plane.CORONAL


@settings(max_examples=6, deadline=None)
@given(st.tuples(st.floats(-20, 20), st.floats(-30, 30), st.floats(-60, 60)))
def test_any_shift_of_a_series_is_undone_or_it_is_withheld(shift):
    reference = series(sagittal(), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "sag")
    straight = series(axial(), Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "ax")
    stack = straight.stacks[0]
    moved = replace(straight, stacks=(replace(stack, volume=stack.volume.moved(shift)),))
    (found,), warnings, _ = checked(reference, moved)
    off = np.linalg.norm(found.stacks[0].volume.grid.center_mm - stack.volume.grid.center_mm)
    assert off <= TOLERATED_MM + 1 or found.role is Role.OTHER
    assert bool(warnings) or np.linalg.norm(shift) <= TOLERATED_MM + 1
