"""Files that other tools lose: each is read, or named in one line with the reason."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_factory import save, slice_dataset, write_stack

from lumbar.errors import UnreadableInput
from lumbar.io import sources
from lumbar.io.read import read_study


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 900, (count, 48, 40)).astype(np.uint16)


def sagittal_matrix() -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([(4.4, 0, 0), (0, 0, -0.7), (0, 0.7, 0), (-9, -30, 40)])
    return matrix


def notes(study) -> str:
    return " | ".join([*study.warnings, *(text for series in study.series for text in series.warnings)])


def instances(study) -> list[int]:
    return sorted(series.instances for series in study.series)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_stack(tmp_path / "study" / "a", noise(4), sagittal_matrix(), SeriesInstanceUID="1.2.1", SeriesDescription="T2")
    write_stack(tmp_path / "study" / "b", noise(5, seed=1), sagittal_matrix(), SeriesInstanceUID="1.2.2", SeriesDescription="T1")
    return tmp_path / "study"


def test_one_name_many_times_in_a_zip(folder, tmp_path):
    """Exports put every series' 001.dcm into one place."""
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for path in sorted(folder.rglob("*.dcm")):
            archive.write(path, path.name)
    study = read_study(tmp_path / "s.zip")
    assert instances(study) == [4, 5]
    assert "4 files of the archive have the name of another" in notes(study)


def test_names_that_some_file_systems_cannot_tell_apart_or_take(folder, tmp_path):
    paths = sorted((folder / "a").iterdir())
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for name, path in zip(("IM1", "im1", "x" * 250 + ".dcm", 'a:b*?"<>|.dcm'), paths, strict=True):
            archive.write(path, f"s/{name}")
        archive.writestr("s", b"a file and a folder of one name")
    assert instances(read_study(tmp_path / "s.zip")) == [4]


def test_archives_in_archives_and_beside_files(folder, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for path in sorted((folder / "b").iterdir()):
            archive.write(path, path.name)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in sorted((folder / "a").iterdir()):
            archive.write(path, f"a/{path.name}")
        archive.writestr("scans/b.zip", inner.getvalue())
    assert instances(read_study(tmp_path / "s.zip")) == [4, 5]
    shutil.rmtree(folder / "b")
    (folder / "b.zip").write_bytes(inner.getvalue())
    assert instances(read_study(folder)) == [4, 5]
    (folder / "b.zip").write_bytes(inner.getvalue()[:2000])
    study = read_study(folder)
    assert instances(study) == [4]
    assert "b.zip was left out: it is a damaged or incomplete zip" in notes(study)
    assert "/tmp/" not in notes(study)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_read_as_a_zip_is(folder, tmp_path, mode):
    with tarfile.open(tmp_path / "s.tar", mode) as archive:
        archive.add(folder, "study")
    assert instances(read_study(tmp_path / "s.tar")) == [4, 5]


@pytest.mark.parametrize(("opener", "suffix"), [(gzip.open, ".gz"), (bz2.open, ".bz2"), (lzma.open, ".xz")])
def test_single_compressed_files(folder, tmp_path, opener, suffix):
    for path in sorted(folder.rglob("*.dcm")):
        with opener(f"{path}{suffix}", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    study = read_study(folder)
    assert instances(study) == [4, 5]
    assert study.warnings == ()
    assert instances(read_study(sorted(folder.rglob(f"*{suffix}"))[0])) == [1]


def test_compressed_slices_without_a_series_stay_together(tmp_path):
    for path in write_stack(tmp_path / "s", noise(4), sagittal_matrix(), SeriesInstanceUID=None):
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    assert instances(read_study(tmp_path)) == [4]


def test_a_cut_off_gz_and_other_archives_are_named(folder):
    path = folder / "a" / "000.dcm"
    name = sorted((folder / "a").iterdir())[0]
    packed = gzip.compress(name.read_bytes())
    name.unlink()
    Path(f"{path}.gz").write_bytes(packed[: len(packed) // 2])
    (folder / "more.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(40))
    (folder / "more.rar").write_bytes(b"Rar!\x1a\x07\x01\x00" + bytes(40))
    text = notes(read_study(folder))
    assert "000.dcm.gz was left out: it is a damaged or incomplete gzip" in text
    assert "more.7z was left out: it is packed with 7z" in text
    assert "more.rar was left out: it is packed with rar" in text


def test_bombs_stop_wherever_they_lie(folder, tmp_path, monkeypatch):
    zeros = bytes(90 * 2**20)
    (folder / "z.dcm.gz").write_bytes(gzip.compress(zeros))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("z.dcm", zeros)
    (folder / "z.zip").write_bytes(inner.getvalue())
    with zipfile.ZipFile(folder / "y.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.zip", inner.getvalue())
    study = read_study(folder)
    assert instances(study) == [4, 5]
    assert "3 files were left out (y.zip/inner.zip, …): it unpacks to more than a study of its size does" in notes(study)
    nested = min((folder / "a").iterdir()).read_bytes()
    for _ in range(6):
        layer = io.BytesIO()
        with zipfile.ZipFile(layer, "w") as archive:
            archive.writestr("in.zip", nested)
        nested = layer.getvalue()
    (tmp_path / "deep.zip").write_bytes(nested)
    with pytest.raises(UnreadableInput, match="lies in 4 archives"):
        read_study(tmp_path / "deep.zip")
    monkeypatch.setattr(sources, "_MOST_FILES", 3)
    with pytest.raises(UnreadableInput, match="more than 3 files"):
        read_study(folder)


def test_links_are_followed_once(folder, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    (links / "one").symlink_to(folder / "a")
    (links / "two").symlink_to(folder / "b")
    (links / "again").symlink_to(folder / "a")
    (links / "loop").symlink_to(links)
    (links / "nowhere").symlink_to(tmp_path / "gone")
    study = read_study(links)
    assert instances(study) == [4, 5]
    assert study.warnings == ("nowhere was left out: it is a link that leads nowhere",)


def test_links_in_a_zip_are_named(folder, tmp_path):
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in (folder / "a").iterdir():
            archive.write(path, path.name)
        archive.writestr(link, "000.dcm")
    assert "link.dcm is a link and was left out" in notes(read_study(tmp_path / "s.zip"))


def test_a_folder_that_cannot_be_opened_is_named(folder, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    study = read_study(folder)
    assert instances(study) == [4]
    assert "b was left out: the folder cannot be opened (Permission denied)" in notes(study)


def test_pipes_never_block(folder):
    os.mkfifo(folder / "pipe.dcm")
    assert "pipe.dcm was left out: it is neither a file nor a folder" in notes(read_study(folder))
    with pytest.raises(UnreadableInput, match="neither a file nor a folder"):
        read_study(folder / "pipe.dcm")
    with pytest.raises(UnreadableInput, match="neither a file nor a folder"):
        read_study(Path("/dev/null"))


def test_hidden_images_are_named_and_rubbish_is_not(folder):
    image = sorted((folder / "a").iterdir())[0]
    shutil.copy(image, folder / ".hidden")
    shutil.copytree(folder / "a", folder / ".trash")
    shutil.copytree(folder / "a", folder / ".out.lumbar")
    (folder / "._x.dcm").write_bytes(b"\x00\x05\x16\x07")
    (folder / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    assert "2 files were left out (.trash, …): its name begins with a dot" in notes(read_study(folder))


def nifti(path: Path) -> None:
    image = nibabel.Nifti1Image(np.random.default_rng(0).integers(0, 99, (40, 50, 9)).astype(np.int16), np.diag([-0.8, -0.8, 4.0, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def test_nifti_beside_dicom_is_named(folder):
    nifti(folder / "sag_t2.nii.gz")
    study = read_study(folder)
    assert instances(study) == [4, 5]
    assert "sag_t2.nii.gz was left out: the input holds DICOM images too" in notes(study)


def test_nifti_beside_dicom_without_images_is_read(tmp_path):
    report = slice_dataset(noise(1)[0], (0, 0, 0), (0, 1, 0), (0, 0, -1))
    del report.PixelData, report.Rows, report.Columns
    save(report, tmp_path / "report.dcm")
    nifti(tmp_path / "ax_t2.nii.gz")
    study = read_study(tmp_path)
    assert len(study.series) == 1
    assert "report.dcm" in notes(study) and "NIfTI files were read" in notes(study)


def test_images_of_other_formats_are_named(folder):
    (folder / "t2.nrrd").write_bytes(b"NRRD0004")
    assert "t2.nrrd was left out: images of this format are not read" in notes(read_study(folder))


def test_a_dicomdir_stands_for_its_medium(folder):
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    for name in ("DICOMDIR", "dicomdir.dcm", "other"):
        directory = pydicom.Dataset()
        directory.file_meta = meta
        directory.save_as(folder / name, enforce_file_format=True)
        study = read_study(folder / name)
        assert instances(study) == [4, 5]
        assert study.warnings == ()


def test_several_inputs_are_one_study(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for path in (folder / "b").iterdir():
            archive.write(path, path.name)
    assert instances(read_study([folder / "a", str(tmp_path / "b.zip")])) == [4, 5]
    assert instances(read_study(sorted((folder / "a").iterdir()))) == [4]
    with pytest.raises(UnreadableInput, match="no input"):
        read_study([])
    with pytest.raises(UnreadableInput, match="does not exist"):
        read_study([folder, tmp_path / "gone"])


def test_nothing_is_left_in_the_temporary_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sources.tempfile, "tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in (folder / "b").iterdir():
            archive.write(path, path.name)
    read_study(tmp_path / "s.zip")
    (folder / "x.dcm").write_text("text")
    with pytest.raises(UnreadableInput):
        read_study(folder / "x.dcm")
    assert list((tmp_path / "temp").iterdir()) == []
