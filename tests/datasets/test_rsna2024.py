"""The RSNA 2024 reader and its exploration: faults made on purpose are listed, and the published counts come out."""

import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lumbar.cli.main import main
from lumbar.datasets.rsna2024 import read_rsna2024
from lumbar.datasets.rsna2024_explore import cramers_v, explore, spearman
from lumbar.datasets.rsna2024_labels import COLUMNS
from lumbar.errors import UnreadableInput

SERIES = [["1", "10", "Sagittal T1"], ["1", "11", "Sagittal T2/STIR"], ["1", "12", "Axial T2"], ["2", "20", "Sagittal T1"], ["2", "21", "Axial T2"]]
POINTS = [
    ["1", "11", "5", "Spinal Canal Stenosis", "L1/L2", "10", "20"],
    ["1", "12", "3", "Left Subarticular Stenosis", "L4/L5", "60", "50"],
    ["1", "12", "3", "Right Subarticular Stenosis", "L4/L5", "40", "50"],
]


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def a_data_set(folder: Path, grades: list[list[str]] | None = None, points: list[list[str]] | None = None, series: list[list[str]] | None = None) -> Path:
    usual = [["1", "Normal/Mild", *[""] * 18, "Severe", *[""] * 4, "Moderate"], ["2", *["Normal/Mild"] * 25]]
    write(folder / "train.csv", ["study_id", *COLUMNS], usual if grades is None else grades)
    header = ["study_id", "series_id", "instance_number", "condition", "level", "x", "y"]
    write(folder / "train_label_coordinates.csv", header, POINTS if points is None else points)
    write(folder / "train_series_descriptions.csv", ["study_id", "series_id", "series_description"], SERIES if series is None else series)
    return folder


def problems(folder: Path) -> list[tuple[str, str, str]]:
    return [(p.study_id, p.file, p.text) for p in read_rsna2024(folder).problems]


def test_counts_of_a_small_table(tmp_path: Path) -> None:
    result = explore(read_rsna2024(a_data_set(tmp_path)))
    everything = result.label_shares["all"]
    assert (everything.labelled, everything.missing) == (28, 22)
    assert everything.normal_mild == pytest.approx(26 / 28)
    assert result.label_shares["left_subarticular_stenosis_l5_s1"].severe == 0.5
    assert result.label_shares["l1_l2"].labelled == 6
    assert result.series_counts.by_kind == {"Sagittal T1": 2, "Sagittal T2/STIR": 1, "Axial T2": 2}
    assert result.series_counts.studies_without == {"Sagittal T1": 0, "Sagittal T2/STIR": 1, "Axial T2": 0}
    assert result.series_counts.per_study == {2: 1, 3: 1}


@pytest.mark.parametrize(
    ("changed", "study", "text"),
    [
        ({"points": [["1", "12", "3", "Left Subarticular Stenosis", "L4/L5", "40", "50"], ["1", "12", "4", *POINTS[2][3:5], "60", "50"]]}, "1", "swapped"),
        ({"points": [["1", "10", *POINTS[0][2:]]]}, "1", "marked on Sagittal T1, not on Sagittal T2/STIR"),
        ({"points": [["1", "99", *POINTS[0][2:]]]}, "1", "does not list"),
        ({"points": [["1", "11", "5", "Scoliosis", "L1/L2", "1", "2"]]}, "1", "line 2 cannot be read"),
        ({"points": [["1", "11", "five", *POINTS[0][3:]]]}, "1", "line 2 cannot be read"),
        ({"series": [*SERIES, ["3", "30", "Axial T2"]]}, "3", "no row in train.csv"),
        ({"series": [*SERIES, ["2", "22", "Coronal"]]}, "2", "'Coronal'"),
        ({"grades": [["1", "Bad", *[""] * 24]]}, "1", "'Bad' is none of"),
        ({"grades": [["1", *[""] * 25], ["1", *[""] * 25]]}, "1", "second time"),
        ({"grades": [["1", "Severe"]]}, "1", "the row ends before"),
    ],
)
def test_each_fault_is_listed_with_its_study(tmp_path: Path, changed: dict[str, list[list[str]]], study: str, text: str) -> None:
    assert any(owner == study and text in what for owner, _, what in problems(a_data_set(tmp_path, **changed)))


def test_grades_without_place_and_places_without_grade_are_listed(tmp_path: Path) -> None:
    found = problems(a_data_set(tmp_path))
    assert ("1", "train_label_coordinates.csv", "right_subarticular_stenosis_l5_s1 is graded and has no coordinates") in found
    assert ("1", "train.csv", "right_subarticular_stenosis_l4_l5 has coordinates and no grade") in found


def test_mixed_foramina_are_listed(tmp_path: Path) -> None:
    sides = [("Left", "4"), ("Left", "15"), ("Right", "14")]
    rows = [["1", "10", number, f"{side} Neural Foraminal Narrowing", "L4/L5", "1", "1"] for side, number in sides]
    assert any("mixed along series 10" in text for _, _, text in problems(a_data_set(tmp_path, points=rows)))


def test_missing_files_and_broken_images_are_listed(tmp_path: Path) -> None:
    folder = a_data_set(tmp_path)
    (folder / "train_images" / "1" / "11").mkdir(parents=True)
    (folder / "train_images" / "1" / "11" / "4.dcm").write_bytes(b"not DICOM")
    found = [(p.file, p.text) for p in explore(read_rsna2024(folder)).problems]
    assert ("train_images/1/10", "the series is listed and has no folder") in found
    assert any(file == "train_images/1/11/5.dcm" and "missing file" in text for file, text in found)
    assert any(file == "train_images/1/11/4.dcm" and "not readable" in text for file, text in found)


def test_missing_tables(tmp_path: Path) -> None:
    folder = a_data_set(tmp_path)
    (folder / "train_label_coordinates.csv").unlink()
    assert any(file == "train_label_coordinates.csv" and "cannot be read" in text for _, file, text in problems(folder))
    (folder / "train.csv").unlink()
    with pytest.raises(UnreadableInput, match=r"no train\.csv"):
        read_rsna2024(folder)


def test_correlations_against_scipy() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 300)
    b = np.clip(a + rng.integers(-1, 2, 300), 0, 2)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert cramers_v(a, b) == pytest.approx(stats.contingency.association(np.histogram2d(a, b, 3)[0].astype(int), "cramer"), abs=1e-12)
    assert np.isnan(spearman(a, np.zeros_like(a)))
    assert np.isnan(cramers_v(a, np.zeros_like(a)))


@pytest.mark.real
def test_the_published_counts_come_out(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.process_time()
    with pytest.raises(SystemExit) as end:
        main(["explore", "rsna2024", str(shared_data / "rsna2024"), "--json", "-o", str(tmp_path / "out")])
    assert time.process_time() - begun < 10
    assert end.value.code == 0
    document = json.loads(capsys.readouterr().out)
    published = {
        "all": (0.774, 0.163, 0.063),
        "spinal": (0.878, 0.075, 0.048),
        "foraminal": (0.780, 0.181, 0.040),
        "subarticular": (0.714, 0.190, 0.096),
    }
    for name, shares in published.items():
        found = document["label_shares"][name]
        assert [found["normal_mild"], found["moderate"], found["severe"]] == pytest.approx(shares, abs=6e-4)
    assert (document["studies"], document["missing_labels"], document["series_counts"]["total"]) == (1975, 572, 6294)
    counts = document["series_counts"]
    assert counts["studies_with_several"]["Axial T2"] == 335
    assert (counts["studies_without"]["Sagittal T1"], counts["studies_with_several"]["Sagittal T1"]) == (2, 7)
    assert counts["studies_without"]["Sagittal T2/STIR"] == 1
    assert document["label_shares"]["left_neural_foraminal_narrowing_l1_l2"]["normal_mild"] > 0.95
    axial = next(image for image in document["images"] if image["kind"] == "Axial T2")
    assert (axial["files"], axial["orientations"], axial["pixel_mm"]) == (60, 5, 0.5)
    assert (tmp_path / "out" / "exploration.html").stat().st_size > 100_000
