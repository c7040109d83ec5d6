"""Resampling keeps every value at its place in the patient."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from lumbar.domain.geometry import Grid, grid_from_matrix
from lumbar.domain.volume import Volume
from lumbar.imaging.intensity import standardized, windowed
from lumbar.imaging.orient import to_sagittal
from lumbar.imaging.resample import regular, resize_image, resized_grid, sample


def field(points):
    """A linear field: linear interpolation must give it back exactly."""
    return points @ np.array([0.5, -1.25, 2.0]) + 7.0


def turned_matrix(angles, spacing, origin):
    a, b, c = angles
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = rx @ ry @ rz @ np.diag(spacing)
    matrix[:3, 3] = origin
    return matrix


def volume_of(matrix, shape):
    grid = grid_from_matrix(matrix, shape)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return Volume(field(grid.points_mm(index)).astype(np.float32), grid)


oblique = st.tuples(*[st.floats(-0.7, 0.7)] * 3)


@settings(max_examples=30, deadline=None)
@given(angles=oblique, spacing=st.tuples(st.floats(1, 5), st.floats(0.4, 1.5), st.floats(0.4, 1.5)))
def test_sampling_an_oblique_volume_gives_the_field(angles, spacing):
    volume = volume_of(turned_matrix(angles, spacing, (12.0, -30.0, 55.0)), (6, 9, 11))
    inner = np.random.default_rng(0).uniform([0, 0, 0], np.array(volume.grid.shape) - 1, (50, 3))
    points = volume.grid.points_mm(inner)
    assert np.allclose(sample(volume, points), field(points), atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(angles=oblique, shape=st.tuples(st.integers(8, 40), st.integers(8, 40)))
def test_a_resized_image_on_its_resized_grid_is_the_same_field(angles, shape):
    volume = volume_of(turned_matrix(angles, (4.0, 0.9, 1.1), (0.0, 0.0, 0.0)), (2, 20, 24))
    grid = resized_grid(volume.grid, shape)
    image = resize_image(np.asarray(volume.array[1]), shape)
    index = np.stack(np.meshgrid([1], *(np.arange(n) for n in shape), indexing="ij"), axis=-1)[0]
    inside = (slice(3, -3), slice(3, -3))  # at the border there is nothing to interpolate with
    assert np.allclose(
        image[inside], field(grid.points_mm(index))[inside], atol=0.3
    )  # weights of averaged pixels are discrete: at most 0.254 over all shapes, at the coarsest
    assert np.allclose(grid.center_mm, volume.grid.center_mm)


@settings(max_examples=20, deadline=None)
@given(angles=oblique)
def test_resampling_agrees_with_simpleitk(angles):
    matrix = turned_matrix(angles, (3.0, 0.8, 0.7), (5.0, 6.0, 7.0))
    rng = np.random.default_rng(1)
    volume = Volume(rng.normal(size=(7, 8, 9)).astype(np.float32), grid_from_matrix(matrix, (7, 8, 9)))
    image = sitk.GetImageFromArray(volume.array)  # x of SimpleITK is our column
    image.SetSpacing((0.7, 0.8, 3.0))
    direction = matrix[:3, [2, 1, 0]] / np.array([0.7, 0.8, 3.0])
    if np.linalg.det(direction) < 0:
        return  # SimpleITK wants right-handed axes
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin((5.0, 6.0, 7.0))
    for index in rng.uniform([0.5] * 3, [5.5, 6.5, 7.5], (20, 3)):
        point = volume.grid.points_mm(index)
        theirs = image.EvaluateAtPhysicalPoint(point.tolist(), sitk.sitkLinear)
        assert sample(volume, point[None])[0] == pytest.approx(theirs, abs=1e-3)


def test_regular_fills_the_gap_of_a_missing_slice():
    origins = np.array([[0.0, 0, 0], [0, 0, 4], [0, 0, 12], [0, 0, 16]])
    grid = Grid(origins, np.array([0, 1.0, 0]), np.array([1.0, 0, 0]), 5, 6)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    filled = regular(Volume(field(grid.points_mm(index)).astype(np.float32), grid))
    assert filled.grid.even
    assert filled.grid.shape == (5, 5, 6)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in filled.grid.shape), indexing="ij"), axis=-1)
    assert np.allclose(filled.array, field(filled.grid.points_mm(index)), atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(angles=oblique, axes=st.permutations(range(3)), flips=st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_to_sagittal_runs_right_to_left_head_to_foot_front_to_back(angles, axes, flips):
    small = tuple(a * 0.4 for a in angles)  # nearest axes are only defined well away from 45 degrees
    volume = volume_of(turned_matrix(small, (1.0, 1.2, 1.4), (0, 0, 0)), (5, 6, 7)).rearranged(tuple(axes), flips)
    turned = to_sagittal(volume)
    grid = turned.grid
    assert grid.slice_step_mm[0] > 0  # towards the patient's left
    assert grid.row_step_mm[2] < 0  # towards the feet
    assert grid.column_step_mm[1] > 0  # towards the back
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    assert np.allclose(turned.array, field(grid.points_mm(index)), atol=1e-2)


def test_standardized_images_have_zero_mean_and_unit_variance_for_any_scale():
    image = np.random.default_rng(2).gamma(2.0, 300.0, (64, 64)).astype(np.float32)
    for scaled in (image, image * 0.001 - 5):
        out = standardized(scaled)
        assert abs(out.mean()) < 1e-5
        assert out.std() == pytest.approx(1.0, abs=1e-4)
    assert np.allclose(standardized(image), standardized(image * 0.001 - 5), atol=1e-3)
    assert np.isfinite(standardized(np.full((8, 8), 3.0, np.float32))).all()


def test_windowed_maps_its_percentiles_to_black_and_white():
    image = np.linspace(0, 1000, 10_001, dtype=np.float32).reshape(1, -1)
    grey = windowed(image, 10, 90)
    assert grey[0, 0] == 0 and grey[0, -1] == 255
    assert grey[0, 5000] == pytest.approx(127, abs=1)
