"""Cross-section of the dural sac: hand-drawn sacs of known size and place, in grids of any orientation."""

from dataclasses import replace

import numpy as np
import pytest
from cartoon import Drawing, draw, spine_task
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding, ModelUse
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Patient, Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.spine.sac.measure import areas_of, patch, sacs_of
from lumbar.spine.sac.outline import PIXEL_MM, SIZE, outline_sacs
from lumbar.spine.sac.task import SacTask

pytestmark = pytest.mark.usefixtures("whole_images")


def bright_is_sac(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that takes what lies in the upper half of the grey values of an image for the sac."""
    middle = (images.min(axis=(2, 3), keepdims=True) + images.max(axis=(2, 3), keepdims=True)) / 2
    logits = np.zeros((len(images), 4, *images.shape[2:]), np.float32)
    logits[:, 1] = np.where(images[:, 0] > middle[:, 0], 8, -8)
    return logits


def drawn(row: float, column: float, radius_mm: float, size: int = SIZE) -> NDArray[np.float32]:
    """A bright disc, its centre in mm from the middle of the patch."""
    offsets = (np.arange(size) - (size - 1) / 2) * PIXEL_MM
    return np.where(np.hypot(offsets[:, None] - row, offsets[None] - column) <= radius_mm, 100.0, 10.0).astype(np.float32)


@given(radius=st.floats(4, 10), row=st.floats(-5, 5), column=st.floats(-3, 3))
@settings(max_examples=40, deadline=None)
def test_the_area_is_that_of_the_drawn_disc(radius, row, column):
    (sac,) = outline_sacs(drawn(row, column, radius)[None], bright_is_sac)
    assert sac is not None
    assert sac.reliable
    assert sac.area_mm2 == pytest.approx(np.pi * radius**2, rel=0.05)


def test_a_ring_of_roots_is_filled_and_what_lies_apart_is_left_out():
    image = drawn(0, 0, 8) - drawn(0, 0, 3) + 10 + drawn(-17, 15, 6) - 10
    (sac,) = outline_sacs(image[None], bright_is_sac)
    assert sac is not None
    assert sac.area_mm2 == pytest.approx(np.pi * 64, rel=0.05)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (drawn(0, 0, 1.8), "too small"),
        (drawn(0, 0, 14), "too large"),
        (drawn(-18, 0, 12), "reaches the border"),
        (drawn(0, 7, 6), "beside the middle"),
        (drawn(0, 0, 8) + 200, "hardly brighter than what is around"),
        (np.maximum.reduce([drawn(-4, -5, 4), drawn(-4, 2, 4), drawn(3, 2, 4), drawn(8, 2, 4)]), "not convex"),
    ],
)
def test_an_impossible_sac_is_not_reliable(image, why):
    (sac,) = outline_sacs(image[None], bright_is_sac)
    assert sac is not None, why
    assert not sac.reliable, why


def test_an_outline_that_changes_in_the_mirror_is_not_reliable():
    """A network that finds a bright disc only where the left half of the image is dark."""

    def lopsided(images):
        left, right = (images[..., part].mean(axis=(1, 2, 3), keepdims=True) for part in (slice(20), slice(-20, None)))
        return np.where(left < right, 1, -1) * bright_is_sac(images)

    image = drawn(0, 0, 8)
    image[:, -20:] += 20
    (sac,) = outline_sacs(image[None], lopsided)
    assert sac is None or not sac.reliable


def test_a_patch_without_a_sac_gives_none_and_no_patches_give_nothing():
    (sac,) = outline_sacs(drawn(-20, -20, 3)[None], bright_is_sac)
    assert sac is None
    assert outline_sacs(np.zeros((0, SIZE, SIZE), np.float32), bright_is_sac) == []


def axial(turn: Rotation, flips: tuple[bool, bool], transposed: bool) -> tuple[Series, NDArray[np.float64]]:
    """An axial stack with a tube of 7 mm radius whose left half is brighter, in any in-plane orientation, and the turn as a matrix."""
    matrix = turn.as_matrix()
    across, back, head = (matrix[:, k] for k in range(3))
    x = (np.arange(120) - 59.5) * 0.6
    image = np.where(np.hypot(x[:, None], x[None]) <= 7, 100.0, 10.0) + np.where(x[None] > 0, 20.0, 0.0)  # rows to the back, columns to the left
    row, column, origin = back * 0.6, across * 0.6, -(59.5 * 0.6) * (across + back)
    if flips[0]:
        image, origin, row = image[::-1], origin + 119 * row, -row
    if flips[1]:
        image, origin, column = image[:, ::-1], origin + 119 * column, -column
    if transposed:
        image, row, column = image.T, column, row
    slices = np.arange(-2, 3)
    grid = Grid(origin + slices[:, None] * 4.0 * head, row, column, 120, 120)
    volume = Volume(np.repeat(image[None], 5, axis=0).astype(np.float32), grid)
    return Series("a", (Stack(volume, (1, 2, 3, 4, 5)),), Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "drawn"), matrix


@given(angles=st.tuples(st.floats(-25, 25), st.floats(-15, 15), st.floats(-15, 15)), flips=st.tuples(st.booleans(), st.booleans()), transposed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_patches_look_alike_in_every_orientation_of_the_slices(angles, flips, transposed):
    series, matrix = axial(Rotation.from_euler("xyz", angles, degrees=True), flips, transposed)
    level = LevelFinding(Level.L4_L5, tuple(matrix @ (0, -25.0, 0.5)), tuple(matrix @ (0, 0, 0.5)))
    above = LevelFinding(Level.L3_L4, tuple(matrix @ (0, -25.0, 35.5)), tuple(matrix @ (0, 0, 35.5)))
    (found,) = sacs_of([above, level], [series], bright_is_sac)  # the level above lies outside the stack
    assert found.place.stack.volume.grid.nearest_slice(level.canal_center_mm).number == found.place.number
    seen = patch(found.place, level.canal_center_mm)
    assert seen[SIZE // 2, -20:].mean() > seen[SIZE // 2, :20].mean() + 15  # the patient's left is at the right edge
    assert areas_of([found])[Level.L4_L5] == pytest.approx(np.pi * 49, rel=0.05)


def test_the_task_completes_the_levels_of_the_spine_and_says_what_it_could_not_outline():
    sagittal, _ = draw(Drawing())
    stack = Stack(sagittal, tuple(range(1, len(sagittal.array) + 1)))
    study = Study("1", (Series("s", (stack,), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, "drawn"),), Patient())
    found = spine_task().run(study, None, Patient()).evidence
    task = SacTask(bright_is_sac, ModelUse("dural_sac", "drawn", "1", "0" * 64, "drawings"))
    assert task.run(study, found, Patient()).findings == {}
    first, second = found.spine.finding.levels[2:4]
    blocks = tuple(block_at(level.canal_center_mm, radius) for level, radius in ((first, 7.0), (second, 1.5)))
    axial = Series("a", blocks, Plane.AXIAL, Weighting.T2, Role.AXIAL_T2, "drawn")
    part = task.run(replace(study, series=(*study.series, axial)), found, Patient())
    areas = {level.level: level.dural_sac_mm2 for level in part.findings["spine"].levels}
    assert areas.pop(first.level) == pytest.approx(np.pi * 49, rel=0.05)
    assert set(areas.values()) == {None}
    assert part.findings["spine"].measured_in == "s"
    assert [warning.split(":")[0] for warning in part.warnings] == [second.level.value]


def block_at(middle_mm: tuple[float, float, float], radius_mm: float) -> Stack:
    """Three axial slices with a bright disc around a point."""
    x = (np.arange(120) - 59.5) * 0.5
    image = np.where(np.hypot(x[:, None], x[None]) <= radius_mm, 100.0, 10.0).astype(np.float32)
    corner = np.array(middle_mm) - (59.5 * 0.5, 59.5 * 0.5, 0)
    grid = Grid(corner + np.array([[0, 0, -3.0], [0, 0, 0], [0, 0, 3.0]]), np.array([0, 0.5, 0]), np.array([0.5, 0, 0]), 120, 120)
    return Stack(Volume(np.repeat(image[None], 3, axis=0), grid), (1, 2, 3))
