"""Studies on disk: reproducible bytes, and DICOM that other readers place identically."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest

from lumbar.phantom.acquire import acquire, label_images
from lumbar.phantom.labels import CANAL, MUSCLE
from lumbar.phantom.sites import coarser
from lumbar.phantom.study import PhantomStudy, write_study


@pytest.fixture(scope="module")
def folder(small_study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    write_study(small_study, out)
    return out


def _digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path, make_small: Callable[[int], PhantomStudy]) -> None:
    write_study(make_small(7), tmp_path)
    assert _digests(tmp_path) == _digests(folder)


def test_another_seed_gives_another_person(small_study: PhantomStudy, make_small: Callable[[int], PhantomStudy]) -> None:
    other = make_small(8)
    assert other.person.age_years != small_study.person.age_years
    assert not np.array_equal(other.series["sagittal_t2"].images, small_study.series["sagittal_t2"].images)


@pytest.mark.parametrize("role", ["sagittal_t1", "sagittal_t2", "axial_t2"])
def test_headers_place_every_pixel(folder: Path, small_study: PhantomStudy, role: str) -> None:
    series = small_study.series[role]
    for number, path in enumerate(sorted((folder / "dicom" / role).glob("*.dcm")), start=1):
        data = pydicom.dcmread(path)
        plane = series.planes[number - 1]
        along, down = np.array(data.ImageOrientationPatient[:3]), np.array(data.ImageOrientationPatient[3:])
        corner = np.array(data.ImagePositionPatient) + (data.Columns - 1) * data.PixelSpacing[1] * along + (data.Rows - 1) * data.PixelSpacing[0] * down
        expected = plane.origin_mm + (plane.columns - 1) * plane.column_step_mm + (plane.rows - 1) * plane.row_step_mm
        np.testing.assert_allclose(corner.astype(float), expected, atol=1e-3)
        np.testing.assert_array_equal(data.pixel_array, series.images[number - 1])
        assert data.InstanceNumber == number
        assert data.Modality == "MR"


def test_csf_is_bright_on_t2_and_dark_on_t1(small_study: PhantomStudy) -> None:
    ratios = {}
    for role in ("sagittal_t1", "sagittal_t2"):
        series = small_study.series[role]
        labels = label_images(small_study.anatomy, series)
        muscle = np.isin(labels, [MUSCLE["multifidus", "left"], MUSCLE["multifidus", "right"]])
        ratios[role] = np.median(series.images[labels == CANAL]) / np.median(series.images[muscle])
    assert ratios["sagittal_t2"] > 2
    assert ratios["sagittal_t1"] < 1


def test_the_truth_is_json_with_25_places(folder: Path) -> None:
    truth = json.loads((folder / "truth" / "truth.json").read_text())
    assert truth["synthetic"] is True
    assert len(truth["severity"]) == len(truth["coordinates"]) == 25
    assert len(truth["muscles"]) == 8
    assert {p.name for p in (folder / "truth").glob("*.nii.gz")} == {"sagittal_t1.nii.gz", "sagittal_t2.nii.gz", *(f"axial_t2_{k}.nii.gz" for k in range(1, 6))}


def test_a_coarser_matrix_shows_the_same_field_of_view_and_person(small_study: PhantomStudy) -> None:
    plain = small_study.series["axial_t2"]
    coarse = acquire(small_study.anatomy, small_study.site, coarser(plain.protocol, 0.5))["axial_t2"]
    assert coarse.images.shape == (10, 64, 64)
    for a, b in zip(plain.planes, coarse.planes, strict=True):
        np.testing.assert_allclose(a.origin_mm - (a.row_step_mm + a.column_step_mm) / 2, b.origin_mm - (b.row_step_mm + b.column_step_mm) / 2, atol=1e-9)
        np.testing.assert_allclose(a.row_step_mm * a.rows, b.row_step_mm * b.rows)
    averaged = plain.images.reshape(10, 64, 2, 64, 2).mean(axis=(2, 4))
    assert np.corrcoef(averaged.ravel(), coarse.images.ravel())[0, 1] > 0.95


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_finds_no_error_in_any_slice(folder: Path) -> None:
    paths = sorted((folder / "dicom").rglob("*.dcm"))
    assert len(paths) == 24
    for path in paths:
        report = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert [line for line in (report.stdout + report.stderr).splitlines() if line.startswith("Error")] == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("dcm2niix") is None, reason="dcm2niix is not installed")
@pytest.mark.parametrize("role", ["sagittal_t1", "sagittal_t2"])
def test_dcm2niix_gives_the_same_geometry(folder: Path, small_study: PhantomStudy, tmp_path: Path, role: str) -> None:
    subprocess.run(["dcm2niix", "-z", "n", "-f", "found", "-o", str(tmp_path), str(folder / "dicom" / role)], capture_output=True, check=True)
    (path,) = tmp_path.glob("*.nii")
    image: Any = nibabel.load(path)
    values = np.asarray(image.dataobj)
    series = small_study.series[role]
    random = np.random.default_rng(1)
    for number, row, column in random.integers((7, 160, 160), size=(50, 3)):
        plane = series.planes[number]
        point = plane.origin_mm + row * plane.row_step_mm + column * plane.column_step_mm
        index = np.linalg.inv(image.affine) @ np.append(point * (-1, -1, 1), 1)
        nearest = np.round(index).astype(int)
        away = image.affine @ nearest - np.append(point * (-1, -1, 1), 1)
        np.testing.assert_allclose(away, 0, atol=1e-3)
        assert values[tuple(nearest[:3])] == series.images[number, row, column]


@pytest.mark.slow
def test_simpleitk_gives_the_same_geometry(folder: Path, small_study: PhantomStudy) -> None:
    itk = pytest.importorskip("SimpleITK")
    for role in ("sagittal_t1", "sagittal_t2"):
        image = itk.ReadImage([str(p) for p in sorted((folder / "dicom" / role).glob("*.dcm"))])
        planes = small_study.series[role].planes
        for column, row, number in ((0, 0, 0), (159, 0, 0), (0, 159, 6), (80, 31, 3)):
            expected = planes[number].origin_mm + column * planes[number].column_step_mm + row * planes[number].row_step_mm
            np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((column, row, number)), expected, atol=1e-3)
