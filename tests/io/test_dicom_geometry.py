"""Left stays left: labelled volumes through DICOM come back with every voxel at its point, compared with the truth and with SimpleITK."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_factory import enhanced_dataset, sagittal_matrix, save, stack_datasets, write_stack
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lumbar.domain.volume import Volume
from lumbar.io.positions import order_is_wrong
from lumbar.io.read import read_study

SHAPE = (4, 5, 6)
LABELS = np.arange(1, 121, dtype=np.uint16).reshape(SHAPE)  # every voxel has a number of its own


def points_by_label(volume: Volume) -> np.ndarray:
    """(120, 3): where each label lies, by the volume's grid."""
    index = np.argwhere(np.ones(volume.array.shape, bool))
    order = np.argsort(volume.array.reshape(-1))
    return volume.grid.points_mm(index)[order]


def true_points(array: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    index = np.argwhere(np.ones(array.shape, bool))
    points = index @ matrix[:3, :3].T + matrix[:3, 3]
    return points[np.argsort(array.reshape(-1))]


def only_volume(path: Path) -> Volume:
    study = read_study(path)
    assert len(study.series) == 1
    assert len(study.series[0].stacks) == 1
    return study.series[0].stacks[0].volume


# The 48 ways in which the axes of a volume can follow those of the patient.
WAYS = [(axes, flips) for axes in itertools.permutations(range(3)) for flips in itertools.product((1, -1), repeat=3)]


@pytest.mark.parametrize(("axes", "flips"), WAYS)
def test_every_voxel_keeps_its_point_along_all_axes(tmp_path, axes, flips):
    matrix = np.eye(4)
    directions = np.zeros((3, 3))
    for column, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
        directions[axis, column] = flip
    matrix[:3, :3] = directions @ np.diag([3.7, 0.8, 0.6])
    matrix[:3, 3] = [11, -22, 33]
    write_stack(tmp_path, LABELS, matrix)
    np.testing.assert_allclose(points_by_label(only_volume(tmp_path)), true_points(LABELS, matrix), atol=1e-9)


rotations = st.tuples(*[st.floats(-180, 180)] * 3).map(lambda angles: Rotation.from_euler("xyz", angles, degrees=True).as_matrix())


@settings(max_examples=30, deadline=None)
@given(rotation=rotations, flip=st.booleans(), order=st.permutations(range(4)), origin=st.tuples(*[st.floats(-500, 500)] * 3))
def test_oblique_slices_in_shuffled_files(tmp_path_factory, rotation, flip, order, origin):
    folder = tmp_path_factory.mktemp("oblique")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag([-4.4 if flip else 4.4, 0.8, 0.6])
    matrix[:3, 3] = origin
    write_stack(folder, LABELS, matrix, names=[f"{k}" for k in order])
    volume = only_volume(folder)
    np.testing.assert_allclose(points_by_label(volume), true_points(LABELS, matrix), atol=1e-6)

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    theirs = {int(image[i, j, k]): image.TransformIndexToPhysicalPoint((i, j, k)) for i in range(6) for j in range(5) for k in range(4)}
    np.testing.assert_allclose(points_by_label(volume), [theirs[label] for label in range(1, 121)], atol=1e-3)


def test_slices_come_in_order_along_the_normal_with_their_own_instance_numbers(tmp_path):
    write_stack(tmp_path, LABELS, sagittal_matrix(slice_mm=-4.0), names=["c", "a", "d", "b"])
    stack = read_study(tmp_path).series[0].stacks[0]
    along = stack.volume.grid.origins_mm @ stack.volume.grid.normal
    assert (np.diff(along) > 0).all()
    for array, number in zip(stack.volume.array, stack.instance_numbers, strict=True):
        np.testing.assert_array_equal(array, LABELS[number - 1])


def test_instance_numbers_that_contradict_the_positions_do_not_order_slices(tmp_path):
    for dataset, number in zip(stack_datasets(LABELS, sagittal_matrix()), (3, 1, 4, 2), strict=True):
        dataset.InstanceNumber = number
        save(dataset, tmp_path / f"{number}.dcm")
    volume = only_volume(tmp_path)
    np.testing.assert_allclose(points_by_label(volume), true_points(LABELS, sagittal_matrix()), atol=1e-9)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1)])
def test_enhanced_multiframe_keeps_points_values_and_times(tmp_path, order):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (85, 10, 95), degrees=True).as_matrix() @ np.diag([4.0, 0.8, 0.6])
    save(enhanced_dataset(LABELS, matrix, order, repetition_ms=600.0, echo_ms=9.0), tmp_path / "multi")
    study = read_study(tmp_path)
    stack = study.series[0].stacks[0]
    # Frame k was stored with slope 0.5 and intercept k.
    undone = np.empty(SHAPE)
    for index, frame_number in enumerate(stack.instance_numbers):
        undone[index] = (stack.volume.array[index] - order[frame_number - 1]) / 0.5
    np.testing.assert_allclose(points_by_label(Volume(undone.astype(np.float32), stack.volume.grid)), true_points(LABELS, matrix), atol=1e-6)
    assert study.series[0].weighting.value == "T1"


def test_multiframe_without_functional_groups_is_rejected_with_the_reason(tmp_path):
    dataset = enhanced_dataset(LABELS, sagittal_matrix())
    del dataset.PerFrameFunctionalGroupsSequence
    save(dataset, tmp_path / "multi.dcm")
    with pytest.raises(Exception, match="several frames without functional groups"):
        read_study(tmp_path)


def test_drawings_without_noise_are_in_any_order():
    """Two sides that are the same drawing fit many orders: nothing tells that theirs is wrong."""
    random = np.random.default_rng(2)
    outer, half, middle = random.uniform(0, 500, (3, 60, 50))
    images = [outer] * 3 + [half] * 3 + [middle] * 4 + [half] * 3 + [outer] * 3
    assert not order_is_wrong(images, np.arange(16) * 4.0)
