"""Grids against hand-worked points and properties that hold for any stack."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lumbar.domain.geometry import BACK, HEAD, LEFT, Grid, grid_from_matrix
from lumbar.errors import GeometryError

angles = st.tuples(*[st.floats(-180, 180)] * 3)
indices = st.tuples(st.floats(-20, 40), st.floats(-50, 400), st.floats(-50, 400))


@st.composite
def grids(draw) -> Grid:
    """Oblique stacks with uneven gaps, shear, both orders of slices, and sometimes a single slice."""
    turn = Rotation.from_euler("xyz", draw(angles), degrees=True).as_matrix()
    gaps = draw(st.lists(st.floats(0.5, 12), min_size=0, max_size=8))
    along = np.concatenate([[0.0], np.cumsum(gaps)]) * draw(st.sampled_from([-1, 1]))
    shear = np.array(draw(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))))
    local = np.column_stack([along[:, None] * shear, along])  # column and row direction, normal
    origin = np.array(draw(st.tuples(*[st.floats(-500, 500)] * 3)))
    spacing = draw(st.tuples(st.floats(0.2, 3), st.floats(0.2, 3)))
    return Grid(origin + local @ turn.T, turn[:, 1] * spacing[0], turn[:, 0] * spacing[1], 320, 256)


@given(grid=grids(), index=indices)
def test_indices_undo_points_between_slices_and_beyond_the_ends(grid, index):
    np.testing.assert_allclose(grid.indices(grid.points_mm(index)), index, atol=1e-6)


@given(grid=grids(), index=indices)
def test_points_of_many_indices_are_the_points_of_each(grid, index):
    many = np.array([[index, index], [index, (0, 0, 0)]])
    points = grid.points_mm(many)
    assert points.shape == (2, 2, 3)
    np.testing.assert_allclose(points[0, 1], grid.points_mm(index))
    np.testing.assert_allclose(points[1, 1], grid.origins_mm[0], atol=1e-9)


@given(grid=grids())
def test_every_slice_starts_at_its_own_origin(grid):
    for k, origin in enumerate(grid.origins_mm):
        np.testing.assert_allclose(grid.points_mm([k, 0, 0]), origin, atol=1e-9)


@given(grid=grids())
def test_the_normal_is_along_a_row_times_down_a_column(grid):
    assert np.linalg.norm(grid.normal) == pytest.approx(1)
    assert np.linalg.det([grid.column_step_mm, grid.row_step_mm, grid.normal]) > 0


@given(matrix_angles=angles, flip=st.booleans(), index=indices)
def test_one_matrix_describes_an_even_grid(matrix_angles, flip, index):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", matrix_angles, degrees=True).as_matrix() @ np.diag([-4.0 if flip else 4.0, 0.7, 0.6])
    matrix[:3, 3] = 10, -20, 30
    grid = grid_from_matrix(matrix, (5, 6, 7))
    assert grid.even
    np.testing.assert_allclose(grid.matrix, matrix, atol=1e-9)
    np.testing.assert_allclose(grid.points_mm(index), (matrix @ [*index, 1])[:3], atol=1e-9)


def gapped() -> Grid:
    """Axial slices at z = 0, 4, 12 mm; pixels of 0.5 mm down and 0.25 mm across; first pixel at (-10, -20)."""
    return Grid(np.array([[-10, -20, 0], [-10, -20, 4], [-10, -20, 12.0]]), np.array([0, 0.5, 0]), np.array([0.25, 0, 0]), 10, 20)


@pytest.mark.parametrize(
    ("index", "point"),
    [
        ((0, 0, 0), (-10, -20, 0)),
        ((1, 2, 4), (-9, -19, 4)),
        ((1.5, 0, 0), (-10, -20, 8)),  # half-way through the gap
        ((3, 0, 0), (-10, -20, 20)),  # beyond the end by the last gap
        ((-1, 0, 0), (-10, -20, -4)),  # before the start by the first gap
    ],
)
def test_points_worked_by_hand(index, point):
    np.testing.assert_allclose(gapped().points_mm(index), point)
    np.testing.assert_allclose(gapped().indices(point), index)


def test_facts_of_a_gapped_grid():
    grid = gapped()
    assert grid.shape == (3, 10, 20)
    assert grid.spacing_mm == pytest.approx((6.0, 0.5, 0.25))  # median of 4 and 8
    assert not grid.even
    with pytest.raises(GeometryError, match="not evenly spaced"):
        _ = grid.matrix


def test_contains_includes_whole_voxels_and_a_margin():
    grid = grid_from_matrix(np.diag([4.0, 1.0, 1.0, 1.0]), (3, 10, 10))  # slices along x
    assert grid.contains([0, 0, 0])
    assert grid.contains([9.9, 9.4, -0.4])
    assert not grid.contains([10.1, 5, 5])
    assert grid.contains([10.1, 5, 5], margin_mm=0.5)
    np.testing.assert_array_equal(grid.contains([[0, 0, 0], [0, 0, 20]]), [True, False])


def test_a_single_slice_reaches_a_millimetre_a_step_along_its_normal():
    grid = Grid(np.array([[0.0, 0, 5]]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), 4, 4)
    np.testing.assert_allclose(grid.points_mm([2, 0, 0]), [0, 0, 7])
    assert grid.spacing_mm[0] == 0
    assert not grid.contains([1, 1, 6.2], margin_mm=0.5)
    assert grid.contains([1, 1, 5.9], margin_mm=0.5)


@pytest.mark.parametrize(
    ("origins", "row", "column", "message"),
    [
        ([[0, 0, 0], [0, 0, np.nan]], [0, 1, 0], [1, 0, 0], "not a number"),
        ([[0, 0, 0], [0, 0, 4]], [0, 1, 0], [0, 2, 0], "same way"),
        ([[0, 0, 0], [0, 0, 4]], [0, 0, 0], [1, 0, 0], "no size"),
        ([[0, 0, 0], [0, 0, 4], [0, 0, 2]], [0, 1, 0], [1, 0, 0], "ordered"),
        ([[0, 0, 0], [0, 0, 4], [0, 0, 4]], [0, 1, 0], [1, 0, 0], "ordered"),
        ([[0, 0, 0], [3, 0, 0]], [0, 1, 0], [1, 0, 0], "ordered"),
        (np.empty((0, 3)), [0, 1, 0], [1, 0, 0], "at least one slice"),
        ([0, 0, 0], [0, 1, 0], [1, 0, 0], "at least one slice"),
    ],
)
def test_contradictions_are_rejected(origins, row, column, message):
    with pytest.raises(GeometryError, match=message):
        Grid(np.array(origins, float), np.array(row, float), np.array(column, float), 4, 4)


def test_a_grid_cannot_be_changed_and_does_not_follow_what_it_was_made_from():
    origins = np.array([[0.0, 0, 0], [0, 0, 4]])
    grid = Grid(origins, np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), 4, 4)
    origins[1] = 99
    np.testing.assert_array_equal(grid.origins_mm[1], [0, 0, 4])
    with pytest.raises(ValueError, match="read-only"):
        grid.origins_mm[0, 0] = 1


def test_toward_is_the_in_plane_axis_that_runs_most_along_a_direction() -> None:
    tilt = np.deg2rad(20)
    row_step, column_step = 0.5 * np.array([0, np.cos(tilt), np.sin(tilt)]), np.array([-0.5, 0, 0])  # columns run to the patient's right
    grid = Grid(np.array([[0.0, 0, 0]]), row_step, column_step, 4, 4)
    np.testing.assert_allclose(grid.toward(LEFT), [1, 0, 0])
    np.testing.assert_allclose(grid.toward(BACK), [0, np.cos(tilt), np.sin(tilt)])
    np.testing.assert_allclose(grid.toward((0, -1, 0)), [0, -np.cos(tilt), -np.sin(tilt)])
    np.testing.assert_allclose(grid.toward(HEAD), [0, np.cos(tilt), np.sin(tilt)])


@given(grid=grids(), index=indices)
def test_nearest_slice_is_the_one_of_least_distance_and_the_foot_lies_in_it(grid, index):
    point = grid.points_mm(index)
    found = grid.nearest_slice(point)
    distances = [abs((origin - point) @ grid.normal) for origin in grid.origins_mm]
    assert found.distance_mm == pytest.approx(min(distances), abs=1e-6)
    assert distances[found.number] == pytest.approx(min(distances), abs=1e-6)
    assert (found.foot_mm - grid.origins_mm[found.number]) @ grid.normal == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(found.foot_mm - point) == pytest.approx(found.distance_mm, abs=1e-6)


def test_feet_outside_of_the_image_are_told_apart():
    grid = Grid([[0, 0, 0], [0, 0, 4]], [0, 2, 0], [1, 0, 0], 10, 20)
    inside, outside = grid.nearest_slice([19, 18, 3]), grid.nearest_slice([19.1, 18, 3])
    assert (inside.number, inside.inside, inside.distance_mm) == (1, True, 1.0)
    assert not outside.inside
