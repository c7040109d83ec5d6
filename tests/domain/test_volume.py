"""Volumes: voxels keep their points whatever way they are arranged."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lumbar.domain.geometry import Grid, grid_from_matrix
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError

PERMUTATIONS = list(itertools.permutations(range(3)))
flip_triples = st.tuples(st.booleans(), st.booleans(), st.booleans())


def labelled(grid: Grid) -> Volume:
    return Volume(np.arange(np.prod(grid.shape), dtype=np.float32).reshape(grid.shape), grid)


def points_by_label(volume: Volume) -> np.ndarray:
    index = np.argwhere(np.ones(volume.array.shape, bool))
    return volume.grid.points_mm(index)[np.argsort(volume.array.reshape(-1))]


@settings(max_examples=60)
@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), axes=st.sampled_from(PERMUTATIONS), flips=flip_triples)
def test_rearranging_keeps_every_voxel_at_its_point(angles, axes, flips):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag([4.0, 0.7, 0.6])
    matrix[:3, 3] = 1, 2, 3
    volume = labelled(grid_from_matrix(matrix, (3, 4, 5)))
    turned = volume.rearranged(axes, flips)
    assert turned.array.shape == tuple((3, 4, 5)[axis] for axis in axes)
    np.testing.assert_allclose(points_by_label(turned), points_by_label(volume), atol=1e-9)


@given(axes=st.sampled_from([(0, 1, 2), (0, 2, 1)]), flips=flip_triples, shear=st.floats(-2, 2))
def test_uneven_and_sheared_stacks_can_be_turned_in_plane(axes, flips, shear):
    origins = np.array([[shear * z, 0.0, z] for z in (0, 4, 12, 13)])
    volume = labelled(Grid(origins, np.array([0, 0.7, 0]), np.array([0.6, 0, 0]), 4, 5))
    np.testing.assert_allclose(points_by_label(volume.rearranged(axes, flips)), points_by_label(volume), atol=1e-9)


def test_uneven_stacks_are_not_cut_along_another_axis():
    origins = np.array([[0, 0.0, z] for z in (0, 4, 12)])
    volume = labelled(Grid(origins, np.array([0, 0.7, 0]), np.array([0.6, 0, 0]), 4, 5))
    with pytest.raises(GeometryError, match="without resampling"):
        volume.rearranged((1, 0, 2), (False, False, False))


def test_voxels_and_grid_must_agree_in_shape():
    with pytest.raises(GeometryError, match="does not fit"):
        Volume(np.zeros((3, 4, 6), np.float32), grid_from_matrix(np.eye(4), (3, 4, 5)))
