"""What anonymisers and senders do to identifiers and pixels is undone or said."""

import struct

import nibabel as nib
import numpy as np
import pytest
from dicom_factory import axial_matrix, sagittal_matrix, save, set_pixels, stack_datasets
from pydicom.uid import generate_uid
from smooth_body import slices

from lumbar.domain.study import Role, Weighting
from lumbar.errors import UnreadableInput
from lumbar.io.read import read_study

SHAPE = (12, 40, 40)
SAGITTAL = sagittal_matrix(slice_mm=4.4, pixel_mm=4.0, origin=(-24, -70, 80))
AXIAL = axial_matrix(slice_mm=4.4, pixel_mm=4.0, origin=(-70, -70, -20))
T2, T1 = {"RepetitionTime": "3500", "EchoTime": "100"}, {"RepetitionTime": "500", "EchoTime": "10"}


def write(folder, datasets):
    for number, one in enumerate(datasets):
        save(one, folder / f"{number:03}.dcm")
    return folder


def test_one_series_uid_for_all_series_is_parted_by_weighting_and_plane(tmp_path):
    shifted = SAGITTAL.copy()
    shifted[0, 3] += 1.5  # the T1 series does not show the same places
    made = [
        *stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL, SeriesDescription="", **T2),
        *stack_datasets(slices(shifted, SHAPE, 1), shifted, SeriesDescription="", **T1),
        *stack_datasets(slices(AXIAL, SHAPE), AXIAL, SeriesDescription="", **T2),
    ]
    study = read_study(write(tmp_path, made))
    assert {(series.role, series.instances) for series in study.series} == {(Role.SAGITTAL_T2, 12), (Role.SAGITTAL_T1, 12), (Role.AXIAL_T2, 12)}
    assert any("different contrast" in warning for warning in study.warnings)


def test_two_slices_of_another_echo_time_do_not_make_a_series(tmp_path):
    made = stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL, SeriesDescription="", **T2)
    for one in made[:2]:
        one.EchoTime, one.RepetitionTime = "10", "500"
    (series,) = read_study(write(tmp_path, made)).series
    assert (series.weighting, series.instances) == (Weighting.T2, 12)


def test_a_series_uid_for_every_file_is_read_as_the_series_they_were(tmp_path):
    made = [*stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL, **T2), *stack_datasets(slices(AXIAL, SHAPE), AXIAL, **T2)]
    for one in made:
        one.SeriesInstanceUID = generate_uid()
    study = read_study(write(tmp_path, made))
    assert {(series.role, series.instances) for series in study.series} == {(Role.SAGITTAL_T2, 12), (Role.AXIAL_T2, 12)}
    assert any("24 slices have a SeriesInstanceUID each" in warning for warning in study.warnings)


def test_padding_far_below_all_values_is_as_dark_as_the_darkest_pixel(tmp_path):
    array = slices(SAGITTAL, SHAPE).astype(np.int16)
    array[:, :, :3] = -32768
    made = stack_datasets(array, SAGITTAL, **T2)
    (series,) = read_study(write(tmp_path, made)).series
    assert series.stacks[0].volume.array.min() == array[array > -32768].min()


def test_a_padding_value_that_is_a_grey_value_too_stays(tmp_path):
    array = slices(SAGITTAL, SHAPE)
    value = int(np.sort(array, axis=None)[array.size // 2])
    made = stack_datasets(array, SAGITTAL, **T2)
    for one in made:
        one.add_new(0x00280120, "US", value)
    (series,) = read_study(write(tmp_path, made)).series
    np.testing.assert_array_equal(np.sort(series.stacks[0].volume.array, axis=None), np.sort(array, axis=None))


def test_monochrome1_keeps_ratios_of_grey_values(tmp_path):
    """Numbers of 12 bits in 16: bright is bright again, and the darkest pixel is zero."""
    array = slices(SAGITTAL, SHAPE) - slices(SAGITTAL, SHAPE).min()
    made = stack_datasets(array, SAGITTAL, **T2)
    for one, pixels in zip(made, array, strict=True):
        set_pixels(one, (array.max() - pixels).astype(np.uint16))
        one.PhotometricInterpretation = "MONOCHROME1"
    (series,) = read_study(write(tmp_path, made)).series
    order = np.argsort(series.stacks[0].instance_numbers)
    np.testing.assert_array_equal(series.stacks[0].volume.array[order], array)


def test_a_slope_below_zero_is_refused(tmp_path):
    made = stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL, RescaleSlope="-1", RescaleIntercept="0", **T2)
    with pytest.raises(UnreadableInput, match="rescaling"):
        read_study(write(tmp_path, made))


def test_a_slope_of_zero_makes_the_scale_doubtful(tmp_path):
    made = stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL, RescaleSlope="0", RescaleIntercept="0", **T2)
    (series,) = read_study(write(tmp_path, made)).series
    assert "rescale slope" in series.scale_doubt


@pytest.mark.parametrize("stray", [True, False])
def test_a_slice_of_another_person_is_named(tmp_path, stray):
    array = slices(SAGITTAL, SHAPE)
    if stray:
        array[5] = slices(SAGITTAL, SHAPE, 7)[9]
    (series,) = read_study(write(tmp_path, stack_datasets(array, SAGITTAL, **T2))).series
    assert any("resembles neither neighbour" in warning for warning in series.warnings) == stray


@pytest.mark.parametrize("first", [None, 1, 5, 9])
def test_two_exchanged_neighbours_are_named(tmp_path, first):
    array = slices(SAGITTAL, SHAPE)
    if first is not None:
        array[[first, first + 1]] = array[[first + 1, first]]
    (series,) = read_study(write(tmp_path, stack_datasets(array, SAGITTAL, **T2))).series
    said = [warning for warning in series.warnings if "each other's positions" in warning]
    assert len(said) == (first is not None)
    assert all(f"{first:03}.dcm and {first + 1:03}.dcm" in warning or f"{first + 1:03}.dcm and {first:03}.dcm" in warning for warning in said)


def nifti(path, values):
    image = nib.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), np.diag([-1.0, -1, 1, 1]) @ SAGITTAL @ np.eye(4)[[2, 1, 0, 3]])
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


@pytest.mark.parametrize("offset", [-1024, 0])
def test_values_that_start_below_zero_are_raised_to_zero(tmp_path, offset):
    array = slices(SAGITTAL, SHAPE).astype(np.int16) - 200
    (series,) = read_study(nifti(tmp_path / "t2.nii", (array + offset).astype(np.int16))).series
    assert series.stacks[0].volume.array.min() == max(0, array.min())
    assert np.ptp(series.stacks[0].volume.array) == np.ptp(array)
    assert any("start at -" in warning for warning in series.warnings) == bool(offset)


def test_padding_of_nifti_is_as_dark_as_the_darkest_voxel(tmp_path):
    array = slices(SAGITTAL, SHAPE).astype(np.int16)
    array[:, :, :3] = -32768
    (series,) = read_study(nifti(tmp_path / "t2.nii", array)).series
    assert series.stacks[0].volume.array.min() == array[array > -32768].min()


def test_a_slope_below_zero_of_nifti_is_refused(tmp_path):
    path = nifti(tmp_path / "t2.nii", slices(SAGITTAL, SHAPE).astype(np.int16))
    content = bytearray(path.read_bytes())
    content[112:116] = struct.pack("<f", -1.0)  # scl_slope
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match="scl_slope"):
        read_study(path)


def test_a_single_mask_is_no_image(tmp_path):
    mask = (slices(SAGITTAL, SHAPE) > 900).astype(np.uint8)
    with pytest.raises(UnreadableInput, match="as masks do"):
        read_study(nifti(tmp_path / "t2.nii", mask))
