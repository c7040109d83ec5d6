"""Disc grades: the logistic model against scikit-learn, the tables, and real pictures."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lumbar.cli import predict_discs as predict_discs_module
from lumbar.cli.main import main
from lumbar.datasets.pfirrmann import read_picture_table
from lumbar.datasets.spider_gradings import read_spider_gradings
from lumbar.domain.anatomy import Level
from lumbar.errors import ModelError, UnreadableInput
from lumbar.models.card import Card
from lumbar.models.folder import Model
from lumbar.models.registry import find_model, has_model
from lumbar.severity.disc_features import NAMES, MeasuredDisc
from lumbar.severity.disc_model import GRADES, DiscGrader, Scaler, fit_logistic, median_grade, softmax
from lumbar.spine.segment import TASK as SPINE_TASK


def a_model(coefficients: dict[str, np.ndarray]) -> Model:
    parameters = {
        "features": list(NAMES),
        "mean": [0.0] * len(NAMES),
        "deviation": [1.0] * len(NAMES),
        "coefficients": {name: values.tolist() for name, values in coefficients.items()},
    }
    return Model(Path("made-here"), Card("made-here", "1", "disc_grades", "", "", (), (), (), (), (), parameters=parameters), (), "0" * 64)


def darker_is_worse() -> dict[str, np.ndarray]:
    """Grade 5 for a dark core, grade 1 for a bright one."""
    pfirrmann = np.zeros((2 * len(NAMES) + 1, GRADES))
    pfirrmann[1 + NAMES.index("core to CSF")] = [4, 2, 0, -2, -4]
    narrow = np.zeros((2 * len(NAMES) + 1, 2))
    narrow[1 + NAMES.index("height index")] = [3, 0]
    return {"pfirrmann_grade": pfirrmann, "narrowing": narrow}


def a_disc(level: Level, core: float, height: float) -> MeasuredDisc:
    features = np.zeros(len(NAMES))
    features[NAMES.index("core to CSF")], features[NAMES.index("height index")] = core, height
    return MeasuredDisc(level, features)


def test_grades_and_findings_follow_the_features() -> None:
    bright, dark = DiscGrader(a_model(darker_is_worse())).grade([a_disc(Level.L1_L2, 3.0, 1.0), a_disc(Level.L5_S1, -3.0, -1.0)])
    assert (bright.level, bright.pfirrmann_grade, dark.pfirrmann_grade) == (Level.L1_L2, 1, 5)
    assert sum(dark.probabilities.values()) == pytest.approx(1)
    assert list(dark.probabilities) == ["1", "2", "3", "4", "5"]
    assert bright.narrowing == pytest.approx(1 / (1 + np.exp(3)))
    assert dark.narrowing == pytest.approx(1 / (1 + np.exp(-3)))
    assert dark.modic is None  # the card has no coefficients for it
    assert DiscGrader(a_model(darker_is_worse())).grade([]) == ()


def test_a_feature_that_could_not_be_measured_counts_as_usual() -> None:
    disc = a_disc(Level.L4_L5, -3.0, 0.0)
    gap = disc.features.copy()
    gap[NAMES.index("canal to depth")] = np.nan
    grader = DiscGrader(a_model(darker_is_worse()))
    assert grader.grade([disc]) == grader.grade([replace(disc, features=gap)])


def test_a_card_for_other_features_is_refused() -> None:
    model = a_model(darker_is_worse())
    with pytest.raises(ModelError, match="features are others"):
        DiscGrader(replace(model, card=replace(model.card, parameters={**model.card.parameters, "features": ["age"]})))
    with pytest.raises(ModelError, match="does not hold a disc grader"):
        DiscGrader(replace(model, card=replace(model.card, parameters={})))


def test_the_median_grade() -> None:
    assert median_grade(np.array([0.1, 0.2, 0.3, 0.2, 0.2])) == 3
    assert median_grade(np.array([0.6, 0.1, 0.1, 0.1, 0.1])) == 1


def test_the_fit_is_that_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x = np.concatenate([np.ones((300, 1)), rng.normal(size=(300, 4))], axis=1)
    y = (rng.random(300)[:, None] > softmax(x @ rng.normal(size=(5, 3))).cumsum(axis=1)[:, :2]).sum(axis=1)
    other = linear.LogisticRegression(C=1 / (2 * 3.0), tol=1e-8, max_iter=2000).fit(x[:, 1:], y)
    np.testing.assert_allclose(softmax(x @ fit_logistic(x, y, 3, penalty=3.0)), other.predict_proba(x[:, 1:]), atol=2e-3)


def test_the_scaler_by_hand() -> None:
    scaler = Scaler.fit(np.array([[0.0, 5.0], [2.0, np.nan], [4.0, 5.0]]))
    row = scaler(np.array([[2.0 + 2 * np.sqrt(8 / 3), 5.0]]))[0]
    np.testing.assert_allclose(row, [1, 2, 0, 3, -1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na\n", "no column image"),
        ("image,l4_l5\na,7\n", "Pfirrmann grade 7"),
        ("image\n/etc/passwd\n", "inside the picture folder"),
        ("image\n", "no rows"),
    ],
)
def test_a_picture_table_that_is_none_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UnreadableInput, match=message):
        read_picture_table(tmp_path / "t.csv")


def test_spider_discs_are_numbered_from_below(tmp_path: Path) -> None:
    header = "Patient,IVD label,Modic,UP endplate,LOW endplate,Spondylolisthesis,Disc herniation,Disc narrowing,Disc bulging,Pfirrman grade"
    (tmp_path / "t.csv").write_text(f"{header}\n7,1,2,0,0,0,1,0,1,4\n7,5,0,0,1,0,0,0,0,1\n7,6,0,0,0,0,0,0,0,1\n")
    lowest, highest = read_spider_gradings(tmp_path / "t.csv")
    assert (lowest.level, lowest.pfirrmann_grade, lowest.findings["modic"], lowest.findings["narrowing"]) == (Level.L5_S1, 4, True, False)
    assert (highest.level, highest.findings["endplate"]) == (Level.L1_L2, True)
    (tmp_path / "t.csv").write_text("Patient\n7\n")
    with pytest.raises(UnreadableInput, match="KeyError"):
        read_spider_gradings(tmp_path / "t.csv")


@pytest.mark.real
@pytest.mark.slow
def test_the_command_on_real_pictures(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if not has_model(SPINE_TASK):
        pytest.skip("no spine model is packaged")
    monkeypatch.setattr(
        predict_discs_module, "find_model", lambda task, extra, threads: find_model(task, extra, threads) if task == SPINE_TASK else a_model(darker_is_worse())
    )
    (tmp_path / "t.csv").write_text("image\n0009_007.webp\n0010_008.webp\nno_such.webp\n")
    images = str(shared_data / "pfirrmann" / "images")
    words = ["predict", "discs", str(tmp_path / "t.csv"), images, "-o", str(tmp_path / "d.csv"), "--json"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 3
    assert "1 of 3 pictures" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*words, "--allow-missing"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["discs"] == 10
    with (tmp_path / "d.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["level"] for row in rows[:5]] == [level.value for level in Level]
    assert all(sum(float(row[f"p{k}"]) for k in range(1, 6)) == pytest.approx(1, abs=1e-4) for row in rows)
