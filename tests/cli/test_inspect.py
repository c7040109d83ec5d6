"""`lumbar inspect` as people and programs see it."""

import json

import numpy as np
import pytest
from dicom_factory import axial_matrix, sagittal_matrix, write_stack

from lumbar.cli.main import main


@pytest.fixture
def study(tmp_path):
    array = np.random.default_rng(0).integers(1, 900, (5, 12, 10)).astype(np.uint16)
    common = {"PatientAge": "045Y", "PatientSex": "F"}
    write_stack(tmp_path / "a", array, sagittal_matrix(), SeriesInstanceUID="1.1", SeriesNumber=2, SeriesDescription="sag T2 of Miller", **common)
    paths = write_stack(tmp_path / "b", array, axial_matrix(tilt_degrees=12), SeriesInstanceUID="1.2", SeriesNumber=3, SeriesDescription="T1", **common)
    paths[2].unlink()
    (tmp_path / "broken.dcm").write_text("no")
    return tmp_path


def run(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    captured = capsys.readouterr()
    return left.value.code, captured.out, captured.err


def test_the_table_lists_the_role_of_each_series_with_the_reason(study, capsys):
    before = sorted(study.rglob("*"))
    code, out, err = run(capsys, "inspect", str(study))
    assert code == 0
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == "study 1.2.3.4: 2 series, 2 of use, 45 years, F"
    assert lines[3].split() == ["1", "sagittal", "T2", "sagittal_t2_stir", "5", "1", "12×10", "4.00", "×", "0.70", "×", "0.70", "sag", "T2", "of", "Miller"]
    assert "why: sagittal by its orientation; its description says T2" in lines[4]
    assert "axial_t1" in lines[5]
    assert "12° oblique" in lines[6]
    assert "warning: 1 slice is missing" in lines[7]
    assert any("broken.dcm" in line for line in lines[8:])
    assert "SECRET" not in out.upper()
    assert sorted(study.rglob("*")) == before  # nothing is written


def test_json_is_one_document_without_descriptions(study, capsys):
    code, out, err = run(capsys, "inspect", str(study), "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert [series["role"] for series in document["series"]] == ["sagittal_t2_stir", "axial_t1"]
    assert document["series"][0]["spacing_mm"] == pytest.approx([4.0, 0.7, 0.7])
    assert document["age_years"] == 45
    assert "Miller" not in out
    assert "SECRET" not in out.upper()


@pytest.mark.parametrize("make", [False, True])
def test_an_input_that_cannot_be_used_ends_with_3_and_one_line(tmp_path, capsys, make):
    if make:
        (tmp_path / "in").mkdir()
    code, out, err = run(capsys, "inspect", str(tmp_path / "in"))
    assert (code, out) == (3, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
