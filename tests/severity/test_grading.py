"""Grading with networks that are made here: what goes in, how answers are combined, and where rows end up."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lumbar.cli import predict_crops as predict_crops_module
from lumbar.cli.main import main
from lumbar.datasets.axial_crops import AxialCrop, read_crop_table
from lumbar.datasets.submission import read_submission
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.errors import ModelError, UnreadableInput
from lumbar.models.card import Card
from lumbar.models.folder import Model
from lumbar.severity.axial.grader import CropGrader, raw_probabilities
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS, VIEWS, network_input
from lumbar.severity.calibration import Calibration
from lumbar.severity.finding import make_finding, severity_of
from lumbar.severity.learn.calibrate import as_parameters, crossfitted, fit_calibration
from lumbar.severity.rows import crop_rows
from lumbar.training.folds import assign_folds

NEUTRAL = Calibration((1.0,) * 5, (1.0,) * 5, (0.3,) * 5)
CARD = Card("made-here", "1", "severity_axial_crops", "", "", (), (), (), (), (), parameters={"calibration": as_parameters(NEUTRAL)})


class DependsOnTheRightEdge:
    """The severe logit of the left recess is the mean of the image's right third; all else is even. Keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, np.ndarray]] = []

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.seen.append(inputs)
        logits = np.zeros((len(inputs["crops"]), 5, 3), np.float32)
        logits[:, 3, 2] = inputs["crops"][..., -40:].mean(axis=(1, 2, 3))
        return {"logits": logits}


def model_of(*networks: object, card: Card = CARD) -> Model:
    return Model(Path("made-here"), card, networks, "0" * 64)  # type: ignore[arg-type]


def image(bright_right: float) -> np.ndarray:
    result = np.full((12, 18, 3), 100, np.uint8)
    result[:, 12:] = np.uint8(bright_right)
    return result


def test_the_input_has_the_networks_size_and_no_offset() -> None:
    for view in range(VIEWS):
        x = network_input(image(200), view)
        assert x.shape == (3, CROP_ROWS, CROP_COLUMNS)
        assert x.mean() == pytest.approx(0, abs=1e-5)
        assert x.std() == pytest.approx(1, abs=1e-3)
    assert network_input(np.zeros((5, 5, 3), np.uint8)).tolist() == np.zeros((3, CROP_ROWS, CROP_COLUMNS)).tolist()  # black stays finite


def test_crops_of_a_study_stay_together_and_answers_keep_their_order() -> None:
    network = DependsOnTheRightEdge()
    studies = [str(k % 30) for k in range(75)]  # interleaved: rows of a study lie far apart
    values = np.random.default_rng(0).integers(0, 255, 75)
    p = raw_probabilities([network], [image(v) for v in values], [Level.L4_L5] * 75, studies)
    assert p.shape == (75, 5, 3)
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    alone = [raw_probabilities([DependsOnTheRightEdge()], [image(v)], [Level.L4_L5], ["x"])[0] for v in values[:5]]
    np.testing.assert_allclose(p[:5], alone, atol=1e-6)
    together = [set(call["studies"].tolist()) for call in network.seen[::VIEWS]]
    assert len(together) > 1
    assert sum(map(len, together)) == 30  # no study is split over two calls


def test_an_ensemble_gives_the_mean_of_its_networks() -> None:
    class Sure:
        def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"logits": np.tile(np.array([50.0, 0, 0], np.float32), (len(inputs["crops"]), 5, 1))}

    class Even:
        def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"logits": np.zeros((len(inputs["crops"]), 5, 3), np.float32)}

    grades = CropGrader(model_of(Sure(), Even())).grade([image(0)], [Level.L1_L2], ["1"])
    np.testing.assert_allclose(grades.metric[0, 0], [2 / 3, 1 / 6, 1 / 6], atol=1e-6)
    clinical = np.array([2 / 3, 1 / 12, 1 / 24])
    np.testing.assert_allclose(grades.clinical[0, 0], clinical / clinical.sum(), atol=1e-6)


def test_a_card_without_calibration_is_rejected() -> None:
    with pytest.raises(ModelError, match="lacks a calibration"):
        CropGrader(model_of(DependsOnTheRightEdge(), card=replace(CARD, parameters={})))
    with pytest.raises(ModelError, match="contains no network"):
        CropGrader(model_of())


def test_rows_of_a_submission_take_the_mean_of_several_crops() -> None:
    crops = [AxialCrop("a", "7", Level.L5_S1, {}), AxialCrop("b", "5", Level.L1_L2, {}), AxialCrop("c", "7", Level.L5_S1, {})]
    p = np.arange(45, dtype=float).reshape(3, 5, 3)
    rows = dict(crop_rows(crops, p))
    assert list(rows) == [
        "7_spinal_canal_stenosis_l5_s1",
        "7_left_subarticular_stenosis_l5_s1",
        "7_right_subarticular_stenosis_l5_s1",
        "5_spinal_canal_stenosis_l1_l2",
        "5_left_subarticular_stenosis_l1_l2",
        "5_right_subarticular_stenosis_l1_l2",
    ]
    np.testing.assert_allclose(rows["7_left_subarticular_stenosis_l5_s1"], (p[0, 3] + p[2, 3]) / 2)
    np.testing.assert_allclose(rows["5_right_subarticular_stenosis_l1_l2"], p[1, 4])


def a_table(folder: Path, names: list[str]) -> Path:
    (folder / "images").mkdir()
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["crop", "study_id", "level"])
        for place, name in enumerate(names):
            writer.writerow([name, place // 5, list(Level)[place % 5].value])
            Image.fromarray(image(150 + 10 * place)).save(folder / "images" / name)
    return folder / "table.csv"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(end.value.code)  # type: ignore[arg-type]


def test_the_command_writes_a_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(predict_crops_module, "find_model", lambda *_: model_of(DependsOnTheRightEdge()))
    table, out = a_table(tmp_path, [f"{k}.png" for k in range(6)]), tmp_path / "s.csv"
    assert run("predict", "crops", str(table), str(tmp_path / "images"), "-o", str(out), "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 18
    rows = read_submission(out)
    assert len(rows) == 18
    assert rows["0_left_subarticular_stenosis_l5_s1"][2] > rows["0_right_subarticular_stenosis_l5_s1"][2]  # bright at the right edge: the patient's left
    assert run("predict", "crops", str(table), str(tmp_path / "images"), "-o", str(out)) == 2  # nothing is overwritten


def test_missing_images_are_counted_or_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(predict_crops_module, "find_model", lambda *_: model_of(DependsOnTheRightEdge()))
    table, out = a_table(tmp_path, [f"{k}.png" for k in range(6)]), tmp_path / "s.csv"
    (tmp_path / "images" / "2.png").unlink()
    assert run("predict", "crops", str(table), str(tmp_path / "images"), "-o", str(out)) == 3
    assert "1 of 6 crops" in capsys.readouterr().err
    assert not out.exists()
    assert run("predict", "crops", str(table), str(tmp_path / "images"), "-o", str(out), "--allow-missing") == 0
    assert len(read_submission(out)) == 15
    (tmp_path / "images" / "3.png").write_bytes(b"no image")
    assert run("predict", "crops", str(table), str(tmp_path / "images"), "-o", str(tmp_path / "t.csv"), "--allow-missing") == 3
    assert "3.png cannot be read as an image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop,study_id\na,1\n", "no column level"),
        ("crop,study_id,level\na,1,L6/S1\n", "'L6/S1'"),
        ("crop,study_id,level\n../a,1,L5/S1\n", "not the name of a file inside"),
        ("crop,study_id,level\na,1\n", "another number of cells"),
        ("crop,study_id,level,spinal_canal_stenosis\na,1,L5/S1,Terrible\n", "'Terrible'"),
        ("crop,study_id,level\n", "no rows"),
    ],
)
def test_an_invalid_crop_table_is_rejected_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UnreadableInput, match=message):
        read_crop_table(tmp_path / "t.csv")


def test_calibration_is_fitted_per_condition_and_shared_by_sides() -> None:
    rng = np.random.default_rng(0)
    true = rng.dirichlet([1, 0.5, 0.3], (3000, 5))
    targets = (rng.random((3000, 5, 1)) > true.cumsum(axis=-1)[..., :2]).sum(axis=-1)
    weighted = true * [1, 2, 4]
    raw = weighted / weighted.sum(axis=-1, keepdims=True)
    targets[::7] = -1  # unlabelled rows do not count
    calibration = fit_calibration(raw, targets)
    np.testing.assert_allclose(calibration.metric_temperature, 1, atol=0.12)
    assert calibration.clinical_temperature[3] == calibration.clinical_temperature[4]
    grades, sets = crossfitted(raw, targets, np.arange(3000) % 5)
    np.testing.assert_allclose(grades.clinical, true, atol=0.08)
    known = targets >= 0
    assert np.take_along_axis(sets, np.maximum(targets, 0)[..., None], axis=-1)[..., 0][known].mean() == pytest.approx(0.9, abs=0.02)
    assert Calibration.from_card({"calibration": as_parameters(calibration)}, Path()) == calibration


def test_score_and_grade_follow_the_cuts_and_rise_with_severity() -> None:
    def score(*p: float) -> SimpleNamespace:
        f = make_finding(Condition.SPINAL_CANAL_STENOSIS, Level.L4_L5, np.array(p), np.array(p), uncertain=False, model="m")
        return SimpleNamespace(score=f.severity_score, grade=f.severity)

    assert (score(1, 0, 0).score, score(0, 1, 0).score, score(0, 0, 1).score) == (0.0, 0.5, 1.0)
    assert [score(*p).grade for p in ((1, 0, 0), (0, 1, 0), (0, 0, 1))] == list(Severity)
    assert severity_of(0.33) is Severity.NORMAL_MILD
    assert severity_of(0.66) is Severity.MODERATE
    rng = np.random.default_rng(0)
    for p in rng.dirichlet([1, 1, 1], 100):
        moved = p[0] * 0.3
        assert score(p[0] - moved, p[1] + moved, p[2]).score > score(*p).score


def test_folds_are_even_and_hold_like_shares_of_severe_studies() -> None:
    burden = {f"s{k}": float(k % 10 == 0) for k in range(200)}
    folds = assign_folds(burden, 5, seed=1)
    assert sorted(np.bincount(list(folds.values()))) == [40] * 5
    assert [sum(burden[s] for s, f in folds.items() if f == fold) for fold in range(5)] == [4.0] * 5
    assert folds == assign_folds(dict(reversed(burden.items())), 5, seed=1)  # the order of the table does not matter
    assert folds != assign_folds(burden, 5, seed=2)
