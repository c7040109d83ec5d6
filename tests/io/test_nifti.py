"""NIfTI: every voxel at its point, compared with nibabel and SimpleITK, there and back."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, UnreadableInput
from lumbar.io.nifti import open_nifti, read_nifti, read_nifti_mask, write_nifti
from lumbar.io.read import read_study

LABELS = np.arange(1, 121).reshape(6, 5, 4)  # (i, j, k) of the file
AFFINES = st.builds(
    lambda angles, signs, origin: nib.affines.from_matvec(
        Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(np.array([0.6, 0.8, 4.4]) * signs), origin
    ),
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
    st.tuples(*[st.floats(-400, 400)] * 3),
)


def points_by_label(volume: Volume) -> np.ndarray:
    index = np.argwhere(np.ones(volume.array.shape, bool))
    return volume.grid.points_mm(index)[np.argsort(volume.array.reshape(-1))]


def ras_points(affine: np.ndarray) -> np.ndarray:
    return nib.affines.apply_affine(affine, np.argwhere(np.ones(LABELS.shape, bool)))


def save(path, affine=None, data=LABELS, dtype=np.int16):
    affine = np.diag([0.6, 0.8, 4.4, 1.0]) if affine is None else affine
    image = nib.Nifti1Image(data.astype(dtype), affine)
    image.header["sform_code"] = image.header["qform_code"] = 1
    nib.save(image, path)
    return path


@settings(max_examples=40, deadline=None)
@given(affine=AFFINES)
def test_reading_agrees_with_nibabel_and_simpleitk(tmp_path_factory, affine):
    path = save(tmp_path_factory.mktemp("nifti") / "a.nii", affine)
    ours = points_by_label(read_nifti(path))
    np.testing.assert_allclose(ours * [-1, -1, 1], ras_points(nib.load(path).affine), atol=1e-4)
    image = sitk.ReadImage(str(path))
    theirs = {int(image[i, j, k]): image.TransformIndexToPhysicalPoint((i, j, k)) for i in range(6) for j in range(5) for k in range(4)}
    np.testing.assert_allclose(ours, [theirs[label] for label in range(1, 121)], atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(affine=AFFINES, suffix=st.sampled_from([".nii", ".nii.gz"]))
def test_writing_agrees_with_simpleitk_and_comes_back_unchanged(tmp_path_factory, affine, suffix):
    folder = tmp_path_factory.mktemp("nifti")
    volume = read_nifti(save(folder / "a.nii", affine))
    write_nifti(folder / f"b{suffix}", volume)
    again = read_nifti(folder / f"b{suffix}")
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(nib.load(folder / f"b{suffix}").affine, affine, atol=1e-4)
    # Near half a turn a quaternion of single precision is only good to some 0.001 rad; the sform, which comes first, is exact.
    np.testing.assert_allclose(nib.load(folder / f"b{suffix}").get_qform(), affine, atol=0.01)
    image = sitk.ReadImage(str(folder / f"b{suffix}"))
    for k, j, i in [(0, 0, 0), (3, 4, 5), (2, 0, 4)]:
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((i, j, k)), volume.grid.points_mm([k, j, i]), atol=1e-3)
        assert image[i, j, k] == volume.array[k, j, i]


def test_the_patients_left_is_positive_x_inside(tmp_path):
    # RAS: the file's first axis runs to the patient's right, so in LPS x falls along it.
    volume = read_nifti(save(tmp_path / "a.nii", np.diag([0.6, 0.8, 4.4, 1.0])))
    np.testing.assert_allclose(volume.grid.column_step_mm, [-0.6, 0, 0], atol=1e-7)


def test_masks_are_written_as_uint8(tmp_path):
    grid = read_nifti(save(tmp_path / "a.nii")).grid
    write_nifti(tmp_path / "m.nii.gz", Volume(np.ones(grid.shape, np.uint8), grid))
    assert nib.load(tmp_path / "m.nii.gz").get_data_dtype() == np.uint8
    assert read_nifti_mask(tmp_path / "m.nii.gz").array.dtype == np.uint8


@pytest.mark.parametrize(("values", "dtype"), [(0.5, np.float32), (-1, np.int16), (300, np.int16)])
def test_an_image_is_no_mask(tmp_path, values, dtype):
    path = save(tmp_path / "a.nii", data=np.full((3, 3, 3), values), dtype=dtype)
    with pytest.raises(UnreadableInput, match="not a mask"):
        read_nifti_mask(path)


def uneven(positions) -> Volume:
    origins = np.array([[0.0, 0.0, z] for z in positions])
    grid = Grid(origins, np.array([0, 0.8, 0]), np.array([0.6, 0, 0]), 5, 6)
    return Volume(np.arange(1, len(positions) * 30 + 1, dtype=np.float32).reshape(-1, 5, 6), grid)


@pytest.mark.parametrize("positions", [(0, 4, 12, 16), (16, 12, 4, 0), (0, 4, 8, 20)])
def test_missing_slices_are_filled_with_zeros_at_their_places(tmp_path, positions):
    volume = uneven(positions)
    write_nifti(tmp_path / "a.nii", volume)
    again = read_nifti(tmp_path / "a.nii")
    assert again.grid.even
    for index, z in enumerate(positions):
        place = np.round(again.grid.indices([0, 0, z])[0]).astype(int)
        np.testing.assert_allclose(again.grid.origins_mm[place], [0, 0, z], atol=1e-5)
        np.testing.assert_array_equal(again.array[place], volume.array[index])
    assert np.count_nonzero(again.array) == volume.array.size


def test_uneven_spacing_is_rejected(tmp_path):
    with pytest.raises(GeometryError, match="unevenly spaced"):
        write_nifti(tmp_path / "a.nii", uneven((0, 4, 9.5, 13.5)))
    assert not (tmp_path / "a.nii").exists()


def test_without_affine_codes_left_and_right_are_unknown(tmp_path):
    path = save(tmp_path / "a.nii")
    raw = bytearray(path.read_bytes())
    raw[252:256] = bytes(4)  # qform_code and sform_code
    path.write_bytes(raw)
    with pytest.raises(GeometryError, match="left and right are unknown"):
        read_nifti(path)


def test_sform_and_qform_that_swap_sides_are_rejected(tmp_path):
    image = nib.Nifti1Image(LABELS.astype(np.int16), np.diag([0.6, 0.8, 4.4, 1]))
    image.set_sform(np.diag([0.6, 0.8, 4.4, 1]), code=1)
    image.set_qform(np.diag([-0.6, 0.8, 4.4, 1]), code=1)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(GeometryError, match="disagree on left and right"):
        read_nifti(tmp_path / "a.nii")


def test_sform_and_qform_that_shift_are_warned_of(tmp_path):
    image = nib.Nifti1Image(LABELS.astype(np.int16), np.diag([0.6, 0.8, 4.4, 1]))
    image.set_sform(nib.affines.from_matvec(np.diag([0.6, 0.8, 4.4]), [0, 3, 4]), code=1)
    image.set_qform(np.diag([0.6, 0.8, 4.4, 1]), code=1)
    nib.save(image, tmp_path / "a.nii")
    opened = open_nifti(tmp_path / "a.nii")
    assert opened.warnings == ("its sform and qform place corners 5.0 mm apart; the sform was used",)
    np.testing.assert_allclose(opened.volume.grid.origins_mm[0], [0, -3, 4], atol=1e-6)


def test_metres_are_understood(tmp_path):
    image = nib.Nifti1Image(LABELS.astype(np.int16), np.diag([0.0006, 0.0008, 0.0044, 1]))
    image.header.set_xyzt_units("meter")
    affine = image.affine
    image.set_sform(affine, 1)
    nib.save(image, tmp_path / "a.nii")
    assert read_nifti(tmp_path / "a.nii").grid.spacing_mm == pytest.approx((4.4, 0.8, 0.6), rel=1e-5)


def test_scaling_of_stored_numbers(tmp_path):
    image = nib.Nifti1Image(LABELS.astype(np.int16), np.diag([0.6, 0.8, 4.4, 1]))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "a.nii")
    raw = nib.load(tmp_path / "a.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii").array.transpose(2, 1, 0), raw.get_fdata(), rtol=1e-6)


def test_voxels_that_are_not_numbers_become_zero_with_a_warning(tmp_path):
    data = LABELS.astype(np.float32)
    data[0, 0, :2] = np.nan, np.inf
    opened = open_nifti(save(tmp_path / "a.nii", data=data, dtype=np.float32))
    assert np.isfinite(opened.volume.array).all()
    assert opened.warnings == ("2 of 120 voxels are not numbers and were set to 0",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((4, 4, 4, 3), np.int16), "4 dimensions"),
        (np.full((4, 4, 4), np.nan, np.float32), "not numbers"),
        (np.zeros((4, 4, 4), np.complex64), "complex"),
    ],
)
def test_images_of_another_kind_are_rejected(tmp_path, data, message):
    with pytest.raises(UnreadableInput, match=message):
        read_nifti(save(tmp_path / "a.nii", data=data, dtype=data.dtype))


def test_a_flat_affine_is_rejected(tmp_path):
    path = save(tmp_path / "a.nii")
    raw = bytearray(path.read_bytes())
    raw[280:328] = np.zeros(12, "<f4").tobytes()  # srow_x, srow_y, srow_z
    path.write_bytes(raw)
    with pytest.raises(GeometryError, match="its affine is invalid"):
        read_nifti(path)


@pytest.mark.parametrize("keep", [0, 100, 352, 500])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_cut_off_files_are_rejected(tmp_path, suffix, keep):
    path = save(tmp_path / f"a{suffix}", data=np.random.default_rng(0).integers(0, 999, (12, 12, 12)))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UnreadableInput):
        read_nifti(path)


def test_a_folder_in_place_of_a_file_is_rejected_with_the_commands_that_read_folders(tmp_path):
    with pytest.raises(UnreadableInput, match=r"is a folder.*lumbar analyze"):
        read_nifti(tmp_path)


def test_a_folder_of_nifti_is_a_study_with_roles_from_names(tmp_path):
    sagittal = nib.affines.from_matvec([[0, 0, 4.0], [0.7, 0, 0], [0, -0.7, 0]])
    save(tmp_path / "patient_T1.nii.gz", sagittal, np.zeros((20, 20, 6)))
    save(tmp_path / "patient_t2_tse.nii.gz", sagittal, np.zeros((20, 20, 6)))
    save(tmp_path / "patient_water.nii.gz", np.diag([1, 1, 4.0, 1]), np.zeros((20, 20, 6)))
    save(tmp_path / "patient_mask.nii.gz", sagittal, np.zeros((20, 20, 6)))
    study = read_study(tmp_path)
    assert {s.series_uid: s.role.value for s in study.series} == {
        "patient_T1": "sagittal_t1",
        "patient_t2_tse": "sagittal_t2_stir",
        "patient_water": "dixon_water",
    }
    assert any("patient_mask" in text for text in study.warnings)
    assert all(s.stacks[0].volume.array.shape[0] == 6 for s in study.series)


def test_slices_are_the_axis_of_widest_spacing_for_any_order_of_axes(tmp_path):
    # Stored as right-left first, as tools that turn volumes to RAS do.
    path = save(tmp_path / "T2.nii", np.diag([4.0, 0.8, 0.6, 1]), LABELS.transpose(2, 1, 0))
    series = read_study(path).series[0]
    assert series.plane.value == "sagittal"
    assert series.stacks[0].volume.array.shape == (4, 6, 5)
    truth = nib.affines.apply_affine(np.diag([4.0, 0.8, 0.6, 1]), np.argwhere(np.ones((4, 5, 6), bool)))
    order = np.argsort(LABELS.transpose(2, 1, 0).reshape(-1))
    np.testing.assert_allclose(points_by_label(series.stacks[0].volume) * [-1, -1, 1], truth[order], atol=1e-5)


@pytest.mark.parametrize(("shape", "kind"), [((4000, 4000, 4000), np.int16), ((512, 512, 512), np.float64), ((30000, 30000, 1), np.uint8)])
def test_a_header_that_announces_too_much_is_refused_before_any_voxel_is_read(tmp_path, shape, kind):
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(kind)
    header.set_sform(np.diag([0.09, 0.09, 0.09, 1]), 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    (tmp_path / "t2.nii").write_bytes(header.binaryblock + bytes(1000))
    with pytest.raises(UnreadableInput, match="GiB to be read"):
        read_nifti(tmp_path / "t2.nii")
