"""The main job from the command line, with a drawn spine and a network that reads it back."""

import csv
import json
from pathlib import Path

import jsonschema
import nibabel
import numpy as np
import pydicom
import pytest
from cartoon import Drawing, draw
from dicom_factory import write_stack

from lumbar.cli.main import main
from lumbar.io.nifti import write_nifti
from lumbar.report.document import schema

pytestmark = pytest.mark.usefixtures("whole_images", "drawn_spine")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    volume, _ = draw(Drawing())
    path = tmp_path / "sagittal_t2_müller.nii.gz"
    write_nifti(path, volume)
    return path


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def test_it_leaves_the_promised_files(study, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("analyze", study, "-o", out, "--tasks", "spine") == 0
    assert {p.name for p in out.iterdir()} == {"findings.json", "report.html", "masks", "previews"}
    assert {"sagittal.png"} <= {p.name for p in (out / "previews").iterdir()}
    findings = json.loads((out / "findings.json").read_text())
    jsonschema.validate(findings, schema())
    assert [level["level"] for level in findings["spine"]["levels"]] == ["L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"]
    page = (out / "report.html").read_text()
    assert "Research use only" in page and "L4/L5" in page
    assert "http://" not in page and "https://" not in page  # opens offline
    mask = nibabel.load(out / "masks" / "spine.nii.gz")
    image = nibabel.load(study)
    assert mask.shape == image.shape
    assert np.allclose(mask.affine, image.affine)
    assert set(np.unique(np.asarray(mask.dataobj))) == {0, 1, 2, 3}


def test_json_is_the_only_thing_on_standard_output(study, tmp_path, capsys):
    assert run("analyze", study, "-o", tmp_path / "out", "--tasks", "spine", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["software"]["name"] == "lumbar"


def test_grades_have_submission_columns_and_missing_axial_slices_are_reported(study, tmp_path):
    out = tmp_path / "out"
    stir = study.rename(tmp_path / "sagittal_stir.nii.gz")  # no grader takes it: foramina are graded on T1, or on plain T2 with a warning
    assert run("analyze", stir, "-o", out, "--tasks", "severity") == 4  # nothing but frequencies
    findings = json.loads((out / "findings.json").read_text())
    jsonschema.validate(findings, schema())
    assert findings["unmet_tasks"] == ["severity"]
    assert any("no image was graded" in warning for warning in findings["warnings"])
    with (out / "grades.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    assert list(rows[0]) == ["row_id", "normal_mild", "moderate", "severe"]
    assert all(abs(sum(float(row[k]) for k in ("normal_mild", "moderate", "severe")) - 1) < 1e-5 for row in rows)


def test_an_output_folder_in_use_is_not_changed(study, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert run("analyze", study, "-o", out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["mine.txt"]
    assert run("analyze", study, "-o", out, "--tasks", "spine", "--overwrite") == 0
    assert (out / "mine.txt").read_text() == "mine"


def test_a_run_that_fails_leaves_nothing(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.dcm").write_text("not an image")
    assert run("analyze", tmp_path / "in", "-o", tmp_path / "out") == 3
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_slices_too_uneven_for_a_mask_file_cost_the_mask_and_not_the_analysis(tmp_path):
    volume, _ = draw(Drawing())
    numbers = [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14]
    paths = write_stack(tmp_path / "in", np.asarray(volume.array).astype(np.uint16), volume.grid.matrix, SeriesDescription="T2")
    for number, path in enumerate(paths):
        if number not in numbers:
            path.unlink()
        elif number == 3:  # and one that lies where no even grid has a slice
            dataset = pydicom.dcmread(path)
            dataset.ImagePositionPatient = [float(dataset.ImagePositionPatient[0]) + 1.3, *dataset.ImagePositionPatient[1:]]
            dataset.save_as(path)
    out = tmp_path / "out"
    assert run("analyze", tmp_path / "in", "-o", out, "--tasks", "spine") == 0
    findings = json.loads((out / "findings.json").read_text())
    assert len(findings["spine"]["levels"]) == 5
    assert any("was not written" in warning for warning in findings["warnings"])
    assert not (out / "masks" / "spine.nii.gz").exists()


def test_an_unknown_task_is_wrong_usage(study, tmp_path, capsys):
    assert run("analyze", study, "-o", tmp_path / "out", "--tasks", "spine,knee") == 2
    assert "knee" in capsys.readouterr().err


def test_segment_spine_writes_masks_on_the_grid_of_the_image(study, tmp_path):
    out = tmp_path / "out"
    assert run("segment", "spine", study, "-o", out) == 0
    assert {p.name for p in out.iterdir()} == {"spine.nii.gz", "levels.nii.gz", "structures.nii.gz", "spine.json", "preview.png"}
    levels = np.asarray(nibabel.load(out / "levels.nii.gz").dataobj)
    assert set(np.unique(levels)) == {0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15}
    structures, spine = (np.asarray(nibabel.load(out / f"{name}.nii.gz").dataobj) for name in ("structures", "spine"))
    assert [np.count_nonzero(structures == value) for value in (3, 4)] == [np.count_nonzero(spine == value) for value in (2, 3)]  # disc, canal
    assert "spine" in json.loads((out / "spine.json").read_text())
