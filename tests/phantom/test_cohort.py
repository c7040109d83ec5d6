"""Cohorts: layouts, resumption, and rejection of a foreign folder."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lumbar.domain.anatomy import Level
from lumbar.errors import UsageError
from lumbar.io.nifti import read_nifti, read_nifti_mask
from lumbar.phantom import cohort as cohorts
from lumbar.phantom.cohort import make_cohort, study_options
from lumbar.phantom.cohort_options import CohortOptions
from lumbar.phantom.cohort_rsna import blank_grades
from lumbar.phantom.signal import Sequence
from lumbar.phantom.sites import SeriesProtocol, Site

# The 26 attributes of every file of the data set, besides the pixels.
STRIPPED = {
    *("SOPInstanceUID", "ContentDate", "ContentTime", "SeriesDescription", "PatientID", "SliceThickness", "SpacingBetweenSlices", "PatientPosition"),
    *("StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "SliceLocation"),
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "PixelSpacing", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("WindowCenter", "WindowWidth"),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, small_site: Site) -> None:
    stack = {"matrix": 128, "acquired": 112, "fov_mm": 320.0, "slices": 6, "thickness_mm": 4.0, "spacing_mm": 20.0, "samples": 1}
    dixon = Sequence("dixon", 9.0, 2.4, flip_degrees=1.5)
    protocols = (SeriesProtocol("axial_t1", Sequence("tse", 600.0, 11.0), **stack), SeriesProtocol("dixon", dixon, fat_shift_pixels=0.0, **stack))
    monkeypatch.setattr("lumbar.phantom.study.site_of", lambda options: small_site)
    monkeypatch.setattr("lumbar.phantom.study.muscle_protocols", lambda place: protocols)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("small")
def test_the_rsna_layout_is_that_of_the_data_set(tmp_path: Path) -> None:
    out = tmp_path / "rsna"
    assert list(make_cohort(CohortOptions("rsna2024", 1), out)) == [0]
    (grades,) = _rows(out / "train.csv")
    assert len(grades) == 26
    assert list(grades)[1] == "spinal_canal_stenosis_l1_l2"
    assert list(grades)[-1] == "right_subarticular_stenosis_l5_s1"
    assert set(list(grades.values())[1:]) <= {"Normal/Mild", "Moderate", "Severe"}
    series = _rows(out / "train_series_descriptions.csv")
    assert [row["series_description"] for row in series] == ["Sagittal T1", "Sagittal T2/STIR", "Axial T2"]
    points = _rows(out / "train_label_coordinates.csv")
    assert len(points) == 25
    for row in points:
        assert (out / "train_images" / row["study_id"] / row["series_id"] / f"{row['instance_number']}.dcm").is_file()
    assert {row["condition"] for row in points if row["series_id"] == series[2]["series_id"]} == {"Left Subarticular Stenosis", "Right Subarticular Stenosis"}
    for path in out.rglob("*.dcm"):
        assert {element.keyword for element in pydicom.dcmread(path)} == STRIPPED | {"PixelData"}


@pytest.mark.usefixtures("small")
def test_an_interrupted_cohort_resumes_with_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = CohortOptions("age", 2, seed=3, ages_years=(30.0, 80.0))
    whole = tmp_path / "whole"
    list(make_cohort(options, whole))
    stopped = tmp_path / "stopped"
    run = make_cohort(options, stopped)
    next(run)
    run.close()
    made: list[int] = []
    plain = cohorts._make
    monkeypatch.setattr(cohorts, "_make", lambda work: (made.append(work.number), plain(work))[1])
    list(make_cohort(options, stopped))
    assert made == [1]
    files = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(stopped) for p in stopped.rglob("*") if p.is_file())
    for name in files:
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()
    ages = [float(row["age"]) for row in _rows(whole / "ages.csv")]
    assert all(30 <= age <= 80 for age in ages)
    assert all((whole / row["image"]).is_file() for row in _rows(whole / "ages.csv"))


@pytest.mark.usefixtures("small")
def test_the_dixon_layout_pairs_images_and_labels(tmp_path: Path) -> None:
    out = tmp_path / "dixon"
    list(make_cohort(CohortOptions("dixon", 1), out))
    document = json.loads((out / "dataset.json").read_text())
    images = sorted((out / "imagesTr").glob("*_0000.nii.gz"))
    assert document["numTraining"] == len(images) == 3
    water, fat = (read_nifti(p) for p in images if "water" in p.name or "fat" in p.name)
    for path in images:
        mask = read_nifti_mask(out / "labelsTr" / path.name.replace("_0000", ""))
        assert mask.array.shape == read_nifti(path).array.shape
        assert set(np.unique(mask.array)) == {0, 1, 2, 3, 4}
        x = [mask.grid.points_mm(np.argwhere(mask.array == label))[:, 0].mean() for label in (1, 2, 3, 4)]
        assert x == sorted(x)  # right erector spinae, right multifidus, left multifidus, left erector spinae
    assert water.array.mean() > 0 and fat.array.mean() > 0


@pytest.mark.usefixtures("small")
def test_a_folder_of_another_cohort_is_rejected(tmp_path: Path) -> None:
    out = tmp_path / "one"
    list(make_cohort(CohortOptions("age", 1, seed=1), out))
    with pytest.raises(UsageError, match="another cohort"):
        list(make_cohort(CohortOptions("age", 1, seed=2), out))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        list(make_cohort(CohortOptions("age", 1), tmp_path / "full"))


@pytest.mark.usefixtures("small")
def test_records_of_older_versions_are_accepted(tmp_path: Path) -> None:
    out, options = tmp_path / "old", CohortOptions("age", 1, ages_years=(40.0, 50.0))
    list(make_cohort(options, out))
    note = json.loads((out / "cohort.json").read_text())
    del note["matrix_scale"]
    (out / "cohort.json").write_text(json.dumps(note))
    assert list(make_cohort(options, out)) == []
    with pytest.raises(UsageError, match="another cohort"):
        list(make_cohort(replace(options, matrix_scale=0.5), out))


def test_blank_grades_follow_the_patterns_of_the_data_set() -> None:
    blanks = [blank_grades(seed, 0.0116) for seed in range(20000)]
    assert sum(map(len, blanks)) / (25 * len(blanks)) == pytest.approx(0.0116, abs=0.0008)
    upper = [Level.L1_L2 in {level for _, level in b} and len(b) in (2, 4) for b in blanks]
    assert np.mean(upper) == pytest.approx(163 / 1975, abs=0.01)  # both recesses of L1/L2, half the time those of L2/L3 too
    assert not any(blank_grades(seed, 0.0) for seed in range(100))


@pytest.mark.usefixtures("small")
def test_a_blank_grade_has_no_coordinates(tmp_path: Path) -> None:
    out, options = tmp_path / "blank", CohortOptions("rsna2024", 1, seed=3, blank_share=0.12)
    assert len(blank_grades(study_options(options, 0).seed, 0.12)) == 4
    list(make_cohort(options, out))
    (grades,) = _rows(out / "train.csv")
    blank = [name for name, value in grades.items() if value == ""]
    assert blank == [f"{side}_subarticular_stenosis_{level}" for side in ("left", "right") for level in ("l1_l2", "l2_l3")]
    assert len(_rows(out / "train_label_coordinates.csv")) == 21


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["age", "rsna2024", "dixon"])
def test_two_processes_write_the_same_bytes_as_one(tmp_path: Path, layout: str) -> None:
    options = CohortOptions(layout, 3, seed=5, sites="AH", matrix_scale=0.25)
    folders = []
    for jobs in (1, 2):
        folders.append(tmp_path / str(jobs))
        assert sorted(make_cohort(options, folders[-1], jobs)) == [0, 1, 2]
    first, second = ({str(p.relative_to(f)): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders)
    assert first == second
    assert len(first) > 5


def test_seeds_give_different_people_at_the_requested_sites() -> None:
    first, second = ([study_options(CohortOptions("age", 9, seed=s, sites="CG"), n) for n in range(50)] for s in (1, 2))
    assert not {o.seed for o in first} & {o.seed for o in second}
    assert {o.site for o in first} == {"C", "G"}
