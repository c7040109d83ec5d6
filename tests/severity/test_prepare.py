"""Preparation: crops lie at their recorded positions, damaged studies do not affect others, interrupted runs resume."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from painted_study import LEVEL_Z_MM, MARKS_MM, paint, write_data_set
from PIL import Image

from lumbar.batch.calls import run_calls
from lumbar.batch.work import EngineOptions
from lumbar.datasets.axial_crops import read_image
from lumbar.datasets.rsna2024 import read_rsna2024
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.domain.anatomy import Condition, Level
from lumbar.errors import UsageError
from lumbar.severity.learn.studies.prepare import PrepareOptions, prepare
from lumbar.severity.studies.data import from_store, network_arrays
from lumbar.severity.studies.store import Store, open_store
from lumbar.severity.studies.views import View


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painted")
    write_data_set(folder, [101, 102, 103])
    return folder


def prepared(folder: Path, out: Path, studies: list[str], workers: int = 1) -> tuple[Store, dict[str, str]]:
    data = read_rsna2024(folder)
    run = partial(run_calls, folder=out, engine=EngineOptions(workers))
    outcomes = {o.study: o.failure for o in prepare(data, folder / "train_images", studies, out, PrepareOptions(), run)}
    return open_store(out), outcomes


@pytest.fixture(scope="module")
def store(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    made, outcomes = prepared(data_folder, tmp_path_factory.mktemp("store") / "s", ["101", "102"])
    assert outcomes == {"101": "", "102": ""}
    return made


def test_every_pixel_lies_at_its_recorded_position(store: Store) -> None:
    with (store.folder / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 5 * 4
    levels = [level.value for level in Level]
    for row in rows[:20]:
        view, side = View(row["view"]), int(row["side"] == "right")
        image = store.images(view)[0, levels.index(row["level"]), side]
        middle = image[len(image) // 2]
        origin, down, across = (np.array([float(v) for v in row[name].split()]) for name in ("origin_mm", "row_step_mm", "column_step_mm"))
        points = origin + np.arange(middle.shape[0])[:, None, None] * down + np.arange(middle.shape[1])[None, :, None] * across
        inner = middle > 0, middle < 255
        kept = inner[0] & inner[1]
        assert np.corrcoef(paint(points)[kept], middle[kept])[0, 1] > 0.995, row
        wanted = [0.0, 0.0, LEVEL_Z_MM[Level(row["level"])]]
        if view is View.FORAMEN:
            condition = Condition.RIGHT_NEURAL_FORAMINAL_NARROWING if side else Condition.LEFT_NEURAL_FORAMINAL_NARROWING
            wanted[:2] = MARKS_MM[condition]
        center = points.reshape(-1, 3).mean(0)
        np.testing.assert_allclose(center, wanted, atol=0.01)
        size = np.array(middle.shape) * [np.linalg.norm(down), np.linalg.norm(across)]
        np.testing.assert_allclose(size, (33, 48) if view is View.AXIAL else (48, 48), rtol=1e-3)


def test_foramina_run_outwards_and_the_canal_from_right_to_left(store: Store) -> None:
    """The painted grey increases towards the patient's left; each crop is scaled over its own five slices."""
    for level in range(5):
        canal = store.images(View.CANAL)[0, level, 0].mean(axis=(1, 2))
        left, right = store.images(View.FORAMEN)[0, level].mean(axis=(2, 3))
        assert (np.diff(canal) > 0).all()
        assert (np.diff(left) > 0).all()
        assert (np.diff(right) < 0).all()


def test_the_left_edge_of_an_axial_crop_is_the_patients_right(store: Store) -> None:
    axial = store.images(View.AXIAL)[0, 2, 0, 1].astype(float)
    assert axial[:, -40:].mean() > axial[:, :40].mean() + 10


def test_a_damaged_study_is_listed_and_the_others_are_finished(data_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_data_set(folder, [7, 8, 9])
    for path in (folder / "train_images" / "8").rglob("*.dcm"):
        path.write_bytes(b"rubbish")
    for path in (folder / "train_images" / "9" / "92").rglob("*.dcm"):
        path.write_bytes(path.read_bytes()[:300])
    made, outcomes = prepared(folder, tmp_path / "store", ["7", "8", "9", "404"])
    assert outcomes["7"] == ""
    assert outcomes["9"] == ""
    assert "rubbish" not in outcomes["8"]
    assert "81" in outcomes["8"]
    assert "404 does not exist" in outcomes["404"]
    assert made.present[0].all()
    assert not made.present[1].any()
    assert made.present[2].any(axis=0).tolist() == [True, False, False, True]  # the sagittal T1 series cannot be read
    failures = list(csv.reader((tmp_path / "store" / "failures.csv").open()))
    assert {row[0] for row in failures[1:]} == {"8", "9", "404"}
    labelled = from_store(made, read_grades(folder / "train.csv"))
    assert labelled.names.tolist() == ["7", "9"]
    assert labelled.rows.tolist() == [0, 2]


def test_an_interrupted_preparation_resumes_with_the_same_arrays(data_folder: Path, tmp_path: Path) -> None:
    studies = ["101", "102", "103"]
    whole, _ = prepared(data_folder, tmp_path / "whole", studies)
    data = read_rsna2024(data_folder)
    run = partial(run_calls, folder=tmp_path / "killed", engine=EngineOptions())
    steps = prepare(data, data_folder / "train_images", studies, tmp_path / "killed", PrepareOptions(), run)
    next(steps)
    steps.close()
    assert open_store(tmp_path / "killed").present.any(axis=(1, 2)).tolist() == [True, False, False]
    again, outcomes = prepared(data_folder, tmp_path / "killed", studies)
    assert sorted(outcomes) == ["102", "103"]
    for view in View:
        np.testing.assert_array_equal(again.images(view), whole.images(view))
    assert (tmp_path / "killed" / "index.csv").read_text() == (tmp_path / "whole" / "index.csv").read_text()


@pytest.mark.slow
def test_two_workers_write_the_same_store(data_folder: Path, store: Store, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="lumbar[cluster] is not installed")
    other, outcomes = prepared(data_folder, tmp_path / "two", ["101", "102"], workers=2)
    assert outcomes == {"101": "", "102": ""}
    for view in View:
        np.testing.assert_array_equal(other.images(view), store.images(view))


def test_a_store_is_not_mixed_with_another(data_folder: Path, store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other studies or options"):
        prepared(data_folder, store.folder, ["101"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="contains no store"):
        prepared(data_folder, tmp_path / "full", ["101"])


def test_the_position_of_a_missing_label_is_derived_from_its_level(tmp_path: Path) -> None:
    write_data_set(tmp_path, [5])
    path = tmp_path / "train_label_coordinates.csv"
    lines = [
        line for line in path.read_text().splitlines() if not ("Left Neural" in line and "L3/L4" in line) and not ("Subarticular" in line and "L2/L3" in line)
    ]
    path.write_text("\n".join(lines) + "\n")
    made, _ = prepared(tmp_path, tmp_path / "store", ["5"])
    assert made.present.all()
    record = made.record("5")
    assert record is not None
    suggested = next(r for r in record["crops"] if r["view"] == "foramen" and r["side"] == "left" and r["level"] == "L3/L4")
    np.testing.assert_allclose(suggested["origin_mm"][0], 16.0, atol=0.1)
    axial = next(r for r in record["crops"] if r["view"] == "axial" and r["level"] == "L2/L3")
    np.testing.assert_allclose(axial["origin_mm"][2], LEVEL_Z_MM[Level.L2_L3], atol=2.1)  # the nearest slice


def test_the_network_input_is_the_middle_of_a_sagittal_crop(store: Store) -> None:
    images = {view: np.array(store.images(view)[:1]) for view in View}
    images[View.CANAL][:] = 50
    images[View.CANAL][..., 12:84, 12:84] = 200  # 36 of 48 mm
    arrays = network_arrays(images, np.ones((1, 5, 4), bool))
    assert arrays["canal"].shape == (1, 5, 1, 3, 64, 64)
    assert np.abs(arrays["canal"][..., 1:-1, 1:-1]).max() < 1.0  # one grey all over
    absent = network_arrays(images, np.zeros((1, 5, 4), bool))
    assert not absent["axial"].any()


@pytest.mark.real
def test_axial_crops_of_a_real_study_resemble_the_public_ones(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "rsna2024"
    made, _ = prepared(folder, tmp_path / "store", ["100206310"])
    with (folder / "axial_crops.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["study_id"] == "100206310" and (folder / "axial_crops" / row["crop"]).is_file()]
    if not rows:
        pytest.skip("the public crops of study 100206310 are missing")
    levels = [level.value for level in Level]
    alike = []
    for row in rows:
        ready = middle(read_image(folder / "axial_crops" / row["crop"])[..., 1], 0.5 * int(row["crop_w"]), 0.5 * int(row["crop_h"]))  # pixels of 0.5 mm
        own = middle(made.images(View.AXIAL)[0, levels.index(row["level"]), 0, 1], 48.0, 33.0)
        # Their middles are from another network, ours from the labels: up to 2 mm apart.
        shifted = (np.roll(ready, (down, across), (0, 1))[4:-4, 4:-4] for down in range(-4, 5) for across in range(-4, 5))
        alike.append(max(np.corrcoef(one.ravel(), own[4:-4, 4:-4].ravel())[0, 1] for one in shifted))
    assert min(alike) > 0.9, alike


def middle(image: np.ndarray, width_mm: float, height_mm: float) -> np.ndarray:
    """The middle 40 × 28 mm of an image of the given size, as 80 × 56 pixels."""
    rows, columns = image.shape
    box = [columns * (0.5 - 20 / width_mm), rows * (0.5 - 14 / height_mm), columns * (0.5 + 20 / width_mm), rows * (0.5 + 14 / height_mm)]
    return np.asarray(Image.fromarray(image).resize((80, 56), Image.Resampling.BILINEAR, box=box)).astype(float)
