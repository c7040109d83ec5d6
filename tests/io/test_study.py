"""Folders as from scanners, archives and challenges: stacks, copies, gaps, foreign files, and the warnings about them."""

import shutil
import zipfile

import numpy as np
import pytest
from dicom_factory import axial_matrix, sagittal_matrix, save, slice_dataset, stack_datasets, write_stack
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian

from lumbar.domain.study import Plane, Role
from lumbar.errors import InputError, NoUsableSeries, UnreadableInput
from lumbar.io.read import read_study

RNG = np.random.default_rng(0)


def noise(slices: int, rows: int = 8, columns: int = 10) -> np.ndarray:
    return RNG.integers(1, 999, (slices, rows, columns)).astype(np.uint16)


def write_study(folder):
    """Sagittal T1 and T2 and axial T2."""
    write_stack(folder / "a", noise(6), sagittal_matrix(), SeriesInstanceUID="1.1", SeriesDescription="T1", SeriesNumber=2)
    write_stack(folder / "b", noise(6), sagittal_matrix(), SeriesInstanceUID="1.2", SeriesDescription="T2", SeriesNumber=3)
    write_stack(folder / "c", noise(8), axial_matrix(), SeriesInstanceUID="1.3", SeriesDescription="T2", SeriesNumber=4)


def test_nested_folders_with_foreign_files_and_no_extensions(tmp_path):
    write_study(tmp_path / "deep" / "er")
    for path in list((tmp_path / "deep").rglob("*.dcm")):
        path.rename(path.with_suffix(""))
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "deep" / "thumbs.db").write_bytes(bytes(500))
    (tmp_path / ".DS_Store").write_bytes(b"\x00" * 200)
    study = read_study(tmp_path)
    assert [(s.series_uid, s.role, s.instances) for s in study.series] == [
        ("1.1", Role.SAGITTAL_T1, 6),
        ("1.2", Role.SAGITTAL_T2, 6),
        ("1.3", Role.AXIAL_T2, 8),
    ]
    assert study.study_uid == "1.2.3.4"
    assert study.warnings == ()
    assert all(s.warnings == () for s in study.series)


def test_files_without_preamble_are_read(tmp_path):
    for path in write_stack(tmp_path, noise(4), sagittal_matrix()):
        path.write_bytes(path.read_bytes()[132:])
    assert read_study(tmp_path).series[0].instances == 4


def test_a_single_file_is_read_without_its_folder(tmp_path):
    path = write_stack(tmp_path, noise(4), sagittal_matrix())[2]
    series = read_study(path).series[0]
    assert series.instances == 1
    assert "single slice" in series.warnings[0]


def test_angulations_become_stacks_and_parallel_blocks_too(tmp_path):
    stacks = [
        (axial_matrix(origin=(-60, -60, 0)), 5),
        (axial_matrix(origin=(-60, -60, 26.5)), 5),  # parallel to the first, a gap of 10.5 mm where slices are 4 mm apart
        (axial_matrix(origin=(-60, -60, 60), tilt_degrees=0.5), 4),
        (axial_matrix(origin=(-60, -40, 70), tilt_degrees=25), 4),  # crosses the third
    ]
    number = 0
    for matrix, count in stacks:
        for dataset in stack_datasets(noise(count), matrix):
            number += 1
            dataset.InstanceNumber = number
            save(dataset, tmp_path / f"{(number * 7) % 19}")
    series = read_study(tmp_path).series
    assert len(series) == 1
    assert [s.instance_numbers for s in series[0].stacks] == [(1, 2, 3, 4, 5), (6, 7, 8, 9, 10), (11, 12, 13, 14), (15, 16, 17, 18)]
    assert series[0].warnings == ()


@pytest.mark.filterwarnings("error")
def test_gaps_of_two_sizes_equally_often_are_read_without_a_number_going_missing(tmp_path):
    """Half of the gaps are 3 mm and half 5 mm: the mean of the two, which an even count has as its median, is like none of them."""
    datasets = stack_datasets(noise(9), sagittal_matrix())
    for dataset, x in zip(datasets, np.cumsum([0, 3, 5, 3, 5, 3, 5, 3, 5]), strict=True):
        dataset.ImagePositionPatient = [float(x), *dataset.ImagePositionPatient[1:]]
        save(dataset, tmp_path / f"{x}.dcm")
    (series,) = read_study(tmp_path).series
    assert series.instances == 9
    assert series.warnings == ("its slices are unevenly spaced, 3.00 to 5.00 mm apart",)


def test_missing_slices_keep_the_stack_together_and_are_counted(tmp_path):
    paths = write_stack(tmp_path, noise(12), sagittal_matrix())
    for index in (4, 5, 8):
        paths[index].unlink()
    series = read_study(tmp_path).series[0]
    assert len(series.stacks) == 1
    assert series.warnings == ("3 slices are missing between its first and its last (base spacing 4.00 mm)",)
    grid = series.stacks[0].volume.grid
    np.testing.assert_allclose(np.diff(grid.origins_mm @ grid.normal), [4, 4, 8, 4, 12, 4, 4, 4])  # the normal points to the right, numbers run to the left


def test_a_slice_whose_position_is_far_off_is_left_out_by_name(tmp_path):
    for dataset in stack_datasets(noise(8), sagittal_matrix()):
        if dataset.InstanceNumber == 3:
            dataset.ImagePositionPatient[0] = 480
        save(dataset, tmp_path / f"{dataset.InstanceNumber}.dcm")
    series = read_study(tmp_path).series[0]
    assert [len(stack.instance_numbers) for stack in series.stacks] == [7]
    assert any("far from all others" in text and "3.dcm" in text for text in series.warnings)


def test_uneven_spacing_is_reported(tmp_path):
    for dataset, x in zip(stack_datasets(noise(5), sagittal_matrix()), (0, 4, 9, 12, 17), strict=True):
        dataset.ImagePositionPatient[0] = x
        save(dataset, tmp_path / str(x))
    series = read_study(tmp_path).series[0]
    assert series.warnings == ("its slices are unevenly spaced, 3.00 to 5.00 mm apart",)


def test_a_file_that_lies_there_twice_is_read_once(tmp_path):
    paths = write_stack(tmp_path, noise(5), sagittal_matrix())
    shutil.copy(paths[0], tmp_path / "copy")
    series = read_study(tmp_path).series[0]
    assert series.instances == 5
    assert series.warnings == ("1 slice repeats another and was left out",)


def test_the_same_pixels_under_a_new_uid_are_a_copy(tmp_path):
    array = noise(4)
    write_stack(tmp_path / "sent", array, sagittal_matrix())
    write_stack(tmp_path / "again", array, sagittal_matrix())
    series = read_study(tmp_path).series[0]
    assert series.instances == 4
    assert series.warnings == ("4 slices repeat others and were left out",)


def test_equal_sop_uids_in_different_series_or_places_are_no_copies(tmp_path):
    # Challenge data number instances anew in every series.
    write_stack(tmp_path / "a", noise(4), sagittal_matrix(), SeriesInstanceUID="1.1", SOPInstanceUID="1.1.1")
    write_stack(tmp_path / "b", noise(4), sagittal_matrix(), SeriesInstanceUID="1.2", SOPInstanceUID="1.1.1")
    assert [s.instances for s in read_study(tmp_path).series] == [4, 4]


def test_two_echoes_in_one_series_become_two_series(tmp_path):
    write_stack(tmp_path / "a", noise(5), sagittal_matrix(), EchoTime="20", RepetitionTime="3000")
    write_stack(tmp_path / "b", noise(5), sagittal_matrix(), EchoTime="100", RepetitionTime="3000")
    series = read_study(tmp_path).series
    assert len(series) == 2
    assert [s.instances for s in series] == [5, 5]
    assert {s.series_uid for s in series} == {"1.2.3.4.5"}


def test_dixon_images_of_one_series_are_distinguished(tmp_path):
    for word in ("WATER", "FAT", "IN_PHASE", "OPP_PHASE"):
        image_type = ["DERIVED", "PRIMARY", "DIXON", word]
        write_stack(tmp_path / word, noise(6), axial_matrix(), ImageType=image_type, SeriesDescription="t1_vibe_dixon")
    study = read_study(tmp_path)
    assert sorted(s.role.value for s in study.series) == ["axial_t1", "dixon_fat", "dixon_water", "other"]


def test_one_echo_time_that_differs_parts_nothing(tmp_path):
    for dataset in stack_datasets(noise(8), sagittal_matrix(), EchoTime="100", RepetitionTime="3000"):
        if dataset.InstanceNumber == 3:
            dataset.EchoTime = "9"
        save(dataset, tmp_path / str(dataset.InstanceNumber))
    study = read_study(tmp_path)
    assert len(study.series) == 1
    assert study.series[0].instances == 8


def test_one_coronal_header_among_axial_slices_is_named(tmp_path):
    for dataset in stack_datasets(noise(12), axial_matrix()):
        if dataset.InstanceNumber == 7:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        save(dataset, tmp_path / f"{dataset.InstanceNumber}.dcm")
    study = read_study(tmp_path)
    assert study.series[0].plane is Plane.AXIAL
    assert study.series[0].instances == 11
    assert any("coronal" in text and "7.dcm" in text for text in study.warnings)


def test_a_localizer_is_known_by_its_planes(tmp_path):
    coronal = np.eye(4)
    coronal[:3] = np.column_stack([[0, 6, 0], [0, 0, -1], [1, 0, 0], [0, 0, 0]])
    for number, matrix in enumerate((sagittal_matrix(), axial_matrix(), coronal)):
        write_stack(tmp_path / str(number), noise(3), matrix, SeriesDescription=None)
    study = read_study(tmp_path)
    assert [s.role for s in study.series] == [Role.OTHER] * 3
    assert all("3 planes" in s.reason for s in study.series)


def test_two_studies_in_one_folder(tmp_path):
    write_study(tmp_path / "one")
    write_stack(tmp_path / "two", noise(30), sagittal_matrix(), StudyInstanceUID="9.9", SeriesInstanceUID="9.9.1", PatientAge="080Y")
    study = read_study(tmp_path)
    assert study.study_uid == "1.2.3.4"
    assert len(study.series) == 3
    assert study.patient.age_years is None
    assert any("2 studies" in text for text in study.warnings)


@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")  # the test writes one on purpose
@pytest.mark.parametrize(
    ("age", "years"), [("045Y", 45), ("018M", 1.5), ("052W", 52 * 7 / 365.25), ("010D", 10 / 365.25), ("", None), ("abc", None), ("999Y", None)]
)
def test_age_and_sex(tmp_path, age, years):
    write_stack(tmp_path, noise(3), sagittal_matrix(), PatientAge=age, PatientSex="F")
    patient = read_study(tmp_path).patient
    assert patient.sex == "F"
    assert patient.age_years == (None if years is None else pytest.approx(years))


def test_without_series_uid_the_folder_stands_in(tmp_path):
    write_stack(tmp_path / "T2", noise(4), sagittal_matrix(), SeriesInstanceUID=None)
    write_stack(tmp_path / "T1", noise(5), sagittal_matrix(), SeriesInstanceUID=None, SeriesDescription="T1")
    study = read_study(tmp_path)
    assert {s.series_uid: s.instances for s in study.series} == {"folder:T2": 4, "folder:T1": 5}
    assert any("SeriesInstanceUID" in text for text in study.warnings)


def spoil(dataset: Dataset, how: str) -> None:
    changes = {
        "no position": ("ImagePositionPatient", None),
        "position of two": ("ImagePositionPatient", [1, 2]),
        "position far": ("ImagePositionPatient", ["1e30", "0", "0"]),
        "no orientation": ("ImageOrientationPatient", None),
        "orientation not unit": ("ImageOrientationPatient", [0, 2, 0, 0, 0, -1]),
        "orientation not square": ("ImageOrientationPatient", [0, 1, 0, 0, "0.7071", "-0.7071"]),
        "orientation zero": ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
        "no spacing": ("PixelSpacing", None),
        "spacing zero": ("PixelSpacing", [0, 0]),
        "spacing negative": ("PixelSpacing", [-1, 1]),
        "CT": ("Modality", "CT"),
        "colour": ("SamplesPerPixel", 3),
        "rows wrong": ("Rows", 50),
        "a strip": ("Columns", 2),
        "bits wrong": ("BitsStored", 99),
        "no pixels": ("PixelData", None),
    }
    name, value = changes[how]
    if value is None:
        delattr(dataset, name)
    else:
        setattr(dataset, name, value)


SPOILS = {
    "no position": "no image position",
    "position of two": "2 numbers instead of 3",
    "position far": "not a possible position in a scanner",
    "no orientation": "no image orientation",
    "orientation not unit": "length 1",
    "orientation not square": "right angles",
    "orientation zero": "length 1",
    "no spacing": "no pixel spacing",
    "spacing zero": "pixel spacing",
    "spacing negative": "pixel spacing",
    "CT": "modality is CT",
    "colour": "colour image",
    "rows wrong": "pixels cannot be decoded",
    "a strip": "strip",
    "bits wrong": "Bits Stored",
    "no pixels": "no pixels",
}


@pytest.mark.parametrize(("how", "words"), SPOILS.items())
def test_one_bad_slice_is_left_out_with_its_name_and_reason(tmp_path, how, words):
    for dataset in stack_datasets(noise(6), sagittal_matrix()):
        if dataset.InstanceNumber == 6:
            spoil(dataset, how)
        save(dataset, tmp_path / f"{dataset.InstanceNumber}.dcm")
    study = read_study(tmp_path)
    assert study.series[0].instances == 5
    texts = [text for text in study.warnings if words in text]
    assert len(texts) == 1
    assert "6.dcm" in texts[0]


@pytest.mark.parametrize(("how", "words"), SPOILS.items())
def test_if_no_file_is_readable_the_message_counts_the_reasons(tmp_path, how, words):
    for dataset in stack_datasets(noise(4), sagittal_matrix()):
        spoil(dataset, how)
        save(dataset, tmp_path / f"{dataset.InstanceNumber}.dcm")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=words) as caught:
        read_study(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "5 files were seen" in str(caught.value)
    assert "SECRET" not in str(caught.value).upper()
    if how == "CT":
        assert isinstance(caught.value, NoUsableSeries)


def test_position_that_is_not_a_number(tmp_path):
    # pydicom will not write NaN, so it is put into the file by hand.
    for path in write_stack(tmp_path, noise(3), sagittal_matrix(origin=(-12.25, -60, 90))):
        path.write_bytes(path.read_bytes().replace(b"-60\\90", b"nan\\90"))
    with pytest.raises(UnreadableInput, match=r"image position \(0020,0032\)"):
        read_study(tmp_path)


def test_reports_and_empty_files_and_liars_among_good_ones(tmp_path):
    write_stack(tmp_path, noise(4), sagittal_matrix())
    report = Dataset()
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID = BasicTextSRStorage
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID = "1.2.3"
    report.Modality = "SR"
    save(report, tmp_path / "report.dcm")
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "text.dcm").write_text("I am no DICOM file, whatever my name says. " * 9)
    (tmp_path / "random.dcm").write_bytes(bytes(128) + b"DICM" + np.random.default_rng(1).bytes(3000))
    study = read_study(tmp_path)
    assert study.series[0].instances == 4
    notes = " ".join(study.warnings)
    for words in ("holds no image", "(empty.dcm): it is named as DICOM but is empty", "(text.dcm): it is named as DICOM but is not"):
        assert words in notes


@pytest.mark.parametrize("make", ["missing", "empty folder", "only text", "text file"])
def test_nothing_to_read(tmp_path, make):
    path = tmp_path / "in"
    if make != "missing":
        path.mkdir()
    if make in ("only text", "text file"):
        (path / "a.txt").write_text("hello")
    if make == "text file":
        path = path / "a.txt"
    with pytest.raises(UnreadableInput) as caught:
        read_study(path)
    assert str(path) in str(caught.value)
    assert any(word in str(caught.value) for word in ("give", "Give"))


def test_no_message_holds_the_patients_name_or_number(tmp_path, capfd, recwarn):
    write_study(tmp_path)
    bad = slice_dataset(noise(1)[0], (0, 0, 0), (0, 1, 0), (0, 0, -1), PatientAge="12345678", SeriesInstanceUID="1.2")
    path = save(bad, tmp_path / "bad.dcm")
    path.write_bytes(path.read_bytes()[:-70])
    study = read_study(tmp_path)
    notes = " ".join([*study.warnings, *(text for s in study.series for text in (*s.warnings, s.reason)), *map(str, recwarn.list), *capfd.readouterr()])
    assert "bad.dcm" in notes
    assert "SECRET" not in notes.upper()


def test_a_zip_is_the_folder_in_it(tmp_path):
    write_study(tmp_path / "study")
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "study").rglob("*.dcm"):
            archive.write(path, path.relative_to(tmp_path))
    zipped, plain = read_study(tmp_path / "s.zip"), read_study(tmp_path / "study")
    assert zipped.warnings == ()
    for a, b in zip(zipped.series, plain.series, strict=True):
        assert (a.series_uid, a.role) == (b.series_uid, b.role)
        np.testing.assert_array_equal(a.stacks[0].volume.array, b.stacks[0].volume.array)


@pytest.mark.parametrize("name", ["../evil.dcm", "/evil.dcm", "a/../../evil.dcm", "..\\evil.dcm", "C:/evil.dcm"])
def test_a_zip_with_paths_outside_is_rejected(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(UnreadableInput, match="outside of its folder"):
        read_study(tmp_path / "s.zip")
    assert not list(tmp_path.parent.rglob("evil.dcm"))


def test_a_zip_bomb_is_rejected(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(80 * 2**20))
    with pytest.raises(UnreadableInput, match="unpacks to more than"):
        read_study(tmp_path / "s.zip")


def test_a_damaged_member_is_left_out_and_a_damaged_zip_rejected(tmp_path):
    write_stack(tmp_path / "study", noise(5), sagittal_matrix())
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in sorted((tmp_path / "study").iterdir()):
            archive.write(path, path.name)
        offset = archive.getinfo("002.dcm").header_offset
    raw = bytearray((tmp_path / "s.zip").read_bytes())
    raw[offset + 700] ^= 0xFF
    (tmp_path / "s.zip").write_bytes(raw)
    study = read_study(tmp_path / "s.zip")
    assert study.series[0].instances == 4
    assert any("002.dcm" in text for text in study.warnings)
    (tmp_path / "t.zip").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UnreadableInput):
        read_study(tmp_path / "t.zip")
