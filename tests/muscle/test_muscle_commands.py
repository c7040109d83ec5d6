"""The commands `evaluate muscle`, `evaluate spine` and `measure muscle`."""

import csv
import json

import numpy as np
import pytest
from scene import axial_grid, axial_mask, dixon

from lumbar.cli.main import main
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.io.nifti import read_nifti, write_nifti


@pytest.fixture
def files(tmp_path):
    grid = axial_grid()
    mask = axial_mask(grid)
    water, fat = dixon(grid, mask, {1: 0.1, 2: 0.3, 3: 0.25, 4: 0.05})
    for name, volume in (("mask", mask), ("water", water), ("fat", fat)):
        write_nifti(tmp_path / f"{name}.nii.gz", volume)
    return tmp_path


def run(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return stop.value.code, out, err


def test_measure_prints_one_document(files, capsys):
    code, out, _ = run(capsys, "measure", "muscle", files / "water.nii.gz", files / "mask.nii.gz", "--fat", files / "fat.nii.gz", "--json")
    assert code == 0
    found = json.loads(out)
    assert [(m["muscle"], m["side"]) for m in found["muscles"]] == [
        ("erector_spinae", "right"),
        ("multifidus", "right"),
        ("multifidus", "left"),
        ("erector_spinae", "left"),
    ]
    assert found["muscles"][0]["volume_ml"] == pytest.approx(20 * 30 * 0.5 * 4 * 4 / 1000, rel=1e-4)
    assert found["muscles"][1]["fat_fraction_mean"] == pytest.approx(0.3, abs=1e-3)
    assert found["warnings"] == []


def test_measure_writes_tables_once(files, capsys):
    words = ("measure", "muscle", files / "water.nii.gz", files / "mask.nii.gz", "-o", files / "out")
    assert run(capsys, *words)[0] == 0
    assert (files / "out" / "muscles.csv").read_text().startswith("muscle,side,level,volume_ml")
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "not empty" in err


def test_evaluate_a_mask_against_itself_and_a_shifted_copy(files, capsys):
    code, out, _ = run(capsys, "evaluate", "muscle", "--reference", files / "mask.nii.gz", "--prediction", files / "mask.nii.gz", "--json")
    assert code == 0
    assert [label["dsc"] for label in json.loads(out)["labels"]] == [1, 1, 1, 1]
    mask = axial_mask(axial_grid())
    write_nifti(files / "moved.nii.gz", Volume(np.roll(mask.array, 2, axis=1), mask.grid))
    _, out, _ = run(capsys, "evaluate", "muscle", "--reference", files / "mask.nii.gz", "--prediction", files / "moved.nii.gz", "--json")
    first = json.loads(out)["labels"][0]
    assert first["dsc"] == pytest.approx(18 / 20)  # two of twenty rows are lost
    assert first["hd95_mm"] == pytest.approx(2)
    assert first["volume_error_ml"] == 0


def test_folders_of_masks_are_matched_by_name(files, capsys):
    mask = axial_mask(axial_grid())
    for number in range(3):
        larger = mask.array.copy()
        larger[1:5, 40 : 40 + number, 20:50] = 1  # 20 rows become 20 + number
        for folder, array in (("truth", mask.array), ("found", larger)):
            (files / folder).mkdir(exist_ok=True)
            write_nifti(files / folder / f"{number}.nii.gz", Volume(array, mask.grid))
    code, out, _ = run(capsys, "evaluate", "muscle", "--reference", files / "truth", "--prediction", files / "found", "--json")
    assert code == 0
    first = json.loads(out)["labels"][0]
    assert first["dsc"] == pytest.approx((1 + 40 / 41 + 40 / 42) / 3)
    assert first["bias"] == pytest.approx(1 * 30 * 4 * 2 / 1000)  # one row of 30 voxels of 2 mm³ on four slices, on average
    (files / "found" / "2.nii.gz").unlink()
    assert run(capsys, "evaluate", "muscle", "--reference", files / "truth", "--prediction", files / "found")[0] == 2


def test_evaluate_needs_one_kind_of_input(files, capsys):
    assert run(capsys, "evaluate", "muscle")[0] == 2
    assert run(capsys, "evaluate", "muscle", "--reference", files / "mask.nii.gz")[0] == 2
    code, _, err = run(capsys, "evaluate", "muscle", "--reference", files / "water.nii.gz", "--prediction", files / "mask.nii.gz")
    assert code == 3
    assert "water.nii.gz" in err


def test_volume_tables(tmp_path, capsys):
    table = tmp_path / "volumes.csv"
    table.write_text("Data_set,CT_id,volume1_gd,volume1_ai,fat1_gd,fat1_ai\nA,1,100,101,0.1,0.11\nA,2,150,149,0.2,0.2\nA,3,200,203,0.3,0.31\n")
    code, out, _ = run(capsys, "evaluate", "muscle", "--volumes", table, "-o", tmp_path / "out", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["labels"][0]["mae"] == pytest.approx(5 / 3)
    assert found["labels"][0]["bias"] == pytest.approx(1)
    assert found["fat_labels"][0]["bias"] == pytest.approx(0.02 / 3)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {f"{q}_agreement.{e}" for q in ("volume", "fat") for e in ("csv", "png", "html")}
    table.write_text("CT_id,volume1_gd,volume1_ai\n1,100,\n")
    code, _, err = run(capsys, "evaluate", "muscle", "--volumes", table)
    assert code == 3
    assert "line 2" in err


def spine_masks(folder):
    grid = axial_grid()
    tissue, levels = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
    tissue[1:3, 10:20, 10:30], levels[1:3, 10:20, 10:30] = 1, 14
    tissue[3:5, 10:20, 10:30], levels[3:5, 10:20, 10:30] = 2, 3
    tissue[1:5, 30:40, 10:30] = 3
    for name, array in (("tissue", tissue), ("levels", levels)):
        write_nifti(folder / f"{name}.nii.gz", Volume(array, grid))
    half = tissue.copy()
    half[1:3, 10:15, 10:30] = 0
    write_nifti(folder / "half.nii.gz", Volume(half, grid))


def test_evaluate_spine(tmp_path, capsys):
    spine_masks(tmp_path)
    _, out, _ = run(capsys, "evaluate", "spine", "--reference", tmp_path / "tissue.nii.gz", "--prediction", tmp_path / "half.nii.gz", "--json")
    assert json.loads(out)["dice"] == {"vertebra": pytest.approx(2 / 3), "disc": 1.0, "canal": 1.0}
    _, out, _ = run(capsys, "evaluate", "spine", "--reference", tmp_path / "levels.nii.gz", "--prediction", tmp_path / "levels.nii.gz", "--json")
    found = json.loads(out)
    assert found["dice"] == {"vertebra": 1.0, "disc": 1.0, "canal": None}
    assert [entry["name"] for entry in found["instances"]] == ["L3/L4", "L4"]
    code, _, err = run(capsys, "evaluate", "spine", "--reference", tmp_path / "levels.nii.gz", "--prediction", tmp_path / "tissue.nii.gz")
    assert code == 2
    assert "one kind" in err


@pytest.mark.real
def test_slices_chosen_by_hand_are_read(shared_data):
    from lumbar.datasets.lpm_tables import read_slice_ranges  # noqa: PLC0415

    ranges = read_slice_ranges(shared_data / "dixon" / "MyoSegmenTUM_54_water_fat_L2-L5.csv")
    assert len(ranges) == 108  # 54 subjects, water and fat
    assert (ranges[0].pid, ranges[0].slice_start, ranges[0].slice_stop) == ("01_water_img", 0, 28)


def test_one_writer_of_tables_rounds_as_findings_do(files, capsys):
    run(capsys, "measure", "muscle", files / "water.nii.gz", files / "mask.nii.gz", "--fat", files / "fat.nii.gz", "-o", files / "out")
    raw = (files / "out" / "muscles.csv").read_bytes()
    assert b"\r" not in raw
    rows = list(csv.DictReader(raw.decode().splitlines()))
    whole = [row for row in rows if not row["level"] and not row["z_mm"]]
    assert len(whole) == 4 and len(rows) == 4 + 4 * 4  # a row of each muscle, and one of each of its four slices
    assert all(len(row["fat_fraction_mean"].split(".")[1]) <= 4 and len(row["volume_ml"].split(".")[1]) <= 2 for row in whole)
    listed = json.loads((files / "out" / "muscles.json").read_text())["muscles"]
    assert [float(row["fat_fraction_mean"]) for row in whole] == [entry["fat_fraction_mean"] for entry in listed]


def test_a_single_slice_is_measured_and_has_no_volume(files, capsys):
    grid = axial_grid()
    one = Grid(grid.origins_mm[2:3], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns)
    for name, volume in (("image", read_nifti(files / "water.nii.gz")), ("labels", axial_mask(grid))):
        write_nifti(files / f"{name}.nii.gz", Volume(volume.array[2:3], one))
    code, out, _ = run(capsys, "measure", "muscle", files / "image.nii.gz", files / "labels.nii.gz", "--json")
    assert code == 0
    document = json.loads(out)
    assert [(m["volume_ml"], m["csa_max_mm2"]) for m in document["muscles"]] == [(None, 300.0), (None, 150.0), (None, 150.0), (None, 240.0)]
    assert any("single slice" in warning for warning in document["warnings"])


def test_psoas_and_body_are_scored_where_a_mask_has_them(files, capsys):
    grid = axial_grid()
    labels = np.asarray(axial_mask(grid).array).copy()
    labels[1:5, 2:12, 20:40], labels[1:5, 2:12, 60:100] = 5, 7
    for name in ("a", "b"):
        (files / name).mkdir()
    for number in range(3):
        write_nifti(files / "a" / f"{number}.nii.gz", Volume(labels, grid))
        write_nifti(files / "b" / f"{number}.nii.gz", Volume(np.where(labels == 5, 0, labels).astype(np.uint8), grid))
    code, out, err = run(capsys, "evaluate", "muscle", "--reference", files / "a", "--prediction", files / "b", "--json", "--debug")
    assert code == 0, err
    by_label = {entry["label"]: entry for entry in json.loads(out)["labels"]}
    assert sorted(by_label) == [1, 2, 3, 4, 5, 7]
    assert (by_label[5]["dsc"], by_label[7]["dsc"], by_label[7]["dsc_interval"]) == (0, 1, [1, 1])
    assert by_label[5]["area"]["bias"] == pytest.approx(-100) and by_label[1]["area"]["mae"] == 0
