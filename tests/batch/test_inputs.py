"""What becomes a study of a batch."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import sagittal_matrix, write_stack

from lumbar.batch.fetch import local_copy
from lumbar.batch.fingerprint import content_hash, stat_mark
from lumbar.batch.inputs import find_inputs
from lumbar.errors import InputError, UnreadableInput, UsageError


def names(*words):
    return [study.name for study in find_inputs([str(word) for word in words])]


def dicom_study(folder: Path, study_uid: str, series=("sag", "ax")):
    for number, name in enumerate(series):
        write_stack(folder / name, np.zeros((1, 4, 4), np.uint16), sagittal_matrix(), StudyInstanceUID=study_uid, SeriesInstanceUID=f"{study_uid}.{number}")


def test_a_folder_of_studies_gives_each_and_a_folder_of_series_one(tmp_path):
    dicom_study(tmp_path / "all" / "p2", "1.2")
    dicom_study(tmp_path / "all" / "p1", "1.1")
    with zipfile.ZipFile(tmp_path / "all" / "p3.zip", "w") as archive:
        archive.writestr("x", "y")
    (tmp_path / "all" / "notes.txt").write_text("no study")
    assert names(tmp_path / "all") == ["p1", "p2", "p3"]
    assert names(tmp_path / "all" / "p1") == ["p1"]
    assert names(tmp_path / "all" / "p1", tmp_path / "all" / "p3.zip") == ["p1", "p3"]


def test_a_study_of_one_series_stays_one_study(tmp_path):
    dicom_study(tmp_path / "all" / "p1", "1.1", series=("sag",))
    assert names(tmp_path / "all" / "p1") == ["p1"]
    assert names(tmp_path / "all") == ["p1"]


def test_a_collection_of_a_single_study_gives_that_study(tmp_path):
    dicom_study(tmp_path / "data" / "images" / "p1", "1.1")
    assert names(tmp_path / "data" / "images") == names(tmp_path / "data") == ["p1"]
    dicom_study(tmp_path / "data" / "images" / "p2", "1.2")
    assert names(tmp_path / "data") == ["p1", "p2"]


def test_loose_images_make_the_folder_one_study(tmp_path):
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1" / "t2.nii.gz").touch()
    (tmp_path / "p1" / "t1.nii.gz").touch()
    assert names(tmp_path / "p1") == ["p1"]
    assert names(tmp_path) == ["p1"]
    assert names(tmp_path / "p1" / "t2.nii.gz") == ["t2"]


def test_a_table_names_studies_and_carries_what_is_known_of_people(tmp_path):
    (tmp_path / "a").mkdir()
    table = tmp_path / "people.csv"
    table.write_text("study;path;age;sex;site\n007;a;54,5;f;Ulm\n8;s3://bucket/8.zip;;;\n", encoding="utf-8")
    first, second = find_inputs([str(table)])
    assert (first.name, first.age_years, first.sex, first.facts) == ("007", 54.5, "F", (("site", "Ulm"),))
    assert first.source == str((tmp_path / "a").resolve()) and not first.remote
    assert (second.name, second.age_years, second.sex, second.source) == ("8", None, None, "s3://bucket/8.zip") and second.remote


@pytest.mark.parametrize(
    ("text", "message"), [("study,path\n1,missing\n", "line 2: path"), ("study,path,sex\n1,.,x\n", "line 2: sex"), ("id,path\n1,.\n", "study")]
)
def test_a_faulty_table_is_rejected_with_its_line(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UnreadableInput, match=message):
        find_inputs([str(tmp_path / "t.csv")])


def test_two_studies_of_one_name_are_rejected(tmp_path):
    for place in ("x", "y"):
        dicom_study(tmp_path / place / "p1", f"1.{ord(place)}")
    with pytest.raises(UsageError, match="two studies are called p1"):
        names(tmp_path / "x" / "p1", tmp_path / "y" / "p1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no study"):
        names(tmp_path / "empty")


def test_names_of_outputs_hold_no_slashes_or_spaces(tmp_path):
    (tmp_path / "t.csv").write_text("study,path\n../a b/ü,.\n", encoding="utf-8")
    assert names(tmp_path / "t.csv") == ["_a_b_ü"]


def test_hashes_follow_bytes_and_names_and_not_places_or_times(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "1.dcm").write_bytes(b"same")
    first, mark = content_hash(tmp_path / "a"), stat_mark(tmp_path / "a")
    assert first == content_hash(tmp_path / "b")
    (tmp_path / "a" / "1.dcm").touch()
    assert content_hash(tmp_path / "a") == first and stat_mark(tmp_path / "a") != mark
    (tmp_path / "a" / "1.dcm").write_bytes(b"sane")
    assert content_hash(tmp_path / "a") != first
    (tmp_path / "b" / "1.dcm").rename(tmp_path / "b" / "2.dcm")
    assert content_hash(tmp_path / "b") != first


def test_studies_of_object_storage_are_listed_and_fetched(tmp_path):
    pytest.importorskip("fsspec")
    (tmp_path / "bucket" / "p1" / "sag").mkdir(parents=True)
    (tmp_path / "bucket" / "p1" / "sag" / "1.dcm").write_bytes(b"x")
    (tmp_path / "bucket" / "p2.zip").write_bytes(b"y")
    (tmp_path / "bucket" / "readme.txt").write_bytes(b"z")
    found = find_inputs([f"file://{tmp_path}/bucket"])
    assert [study.name for study in found] == ["p1", "p2"]
    with local_copy(found[0].source) as (path, remote):
        assert remote and (path / "sag" / "1.dcm").read_bytes() == b"x"
        kept = path
    assert not kept.exists()
    with pytest.raises(UnreadableInput, match="cannot be listed"):
        find_inputs([f"file://{tmp_path}/nothing"])
