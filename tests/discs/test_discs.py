"""Disc grades: the logistic model against scikit-learn, the tables, and real images."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from lumbar.cli import predict_discs as predict_discs_module
from lumbar.cli.main import main
from lumbar.datasets.pfirrmann import read_image_table
from lumbar.datasets.spider_gradings import read_spider_gradings
from lumbar.discs.crops import BODY, CANAL, COLUMNS, DISC, ROWS, crops, steps_up
from lumbar.discs.features import NAMES
from lumbar.discs.grader import FINDINGS, DiscGrader, blended, doubt_of_contrast, looks_t2, network_input
from lumbar.discs.model import GRADES, MeasuredGrades, Scaler, fit_logistic, median_grade
from lumbar.domain.anatomy import Level, SpineClass
from lumbar.errors import InputError, ModelError, UnreadableInput
from lumbar.models.card import Card
from lumbar.models.folder import Model
from lumbar.models.registry import find_model, has_model
from lumbar.spine.network import TASK as SPINE_TASK
from lumbar.spine.segment import PIXEL_MM


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
    even = np.zeros((2 * len(NAMES) + 1, 2))
    return {"pfirrmann_grade": pfirrmann, **dict.fromkeys(FINDINGS, even), "narrowing": narrow}


def some_features(core: float, height: float) -> np.ndarray:
    features = np.zeros(len(NAMES))
    features[NAMES.index("core to CSF")], features[NAMES.index("height index")] = core, height
    return features


def test_measured_grades_follow_the_features() -> None:
    p = MeasuredGrades(a_model(darker_is_worse())).probabilities(np.stack([some_features(3.0, 1.0), some_features(-3.0, -1.0)]))
    assert [median_grade(row) for row in p["pfirrmann_grade"]] == [1, 5]
    np.testing.assert_allclose(p["pfirrmann_grade"].sum(axis=1), 1)
    np.testing.assert_allclose(p["narrowing"][:, 1], [1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3))])


def test_a_missing_feature_is_replaced_by_the_mean() -> None:
    whole = some_features(-3.0, 0.0)
    gap = whole.copy()
    gap[NAMES.index("canal to depth")] = np.nan
    p = MeasuredGrades(a_model(darker_is_worse())).probabilities(np.stack([whole, gap]))
    np.testing.assert_array_equal(p["pfirrmann_grade"][0], p["pfirrmann_grade"][1])


def test_a_card_for_other_features_is_rejected() -> None:
    model = a_model(darker_is_worse())
    with pytest.raises(ModelError, match="features differ"):
        DiscGrader(replace(model, card=replace(model.card, parameters={**model.card.parameters, "features": ["age"]})))
    with pytest.raises(ModelError, match="does not describe a disc grader"):
        DiscGrader(replace(model, card=replace(model.card, parameters={})))


def test_networks_and_measurements_have_equal_weights() -> None:
    seen = np.array([[0.2, 0.8, 0, 0, 0, 0.5, *[0.5] * 5]])
    measured = np.array([[0.0, 0.6, 0.4, 0, 0, 0.9, *[0.5] * 5]])
    both = blended(seen, measured)[0]
    np.testing.assert_allclose(both[:5], [0.1, 0.7, 0.2, 0, 0])
    assert both[5] == pytest.approx(3 / 4)  # odds of 1 and 9: their geometric mean is 3
    np.testing.assert_array_equal(blended(seen, None), seen)
    np.testing.assert_array_equal(blended(None, measured), measured)
    with pytest.raises(InputError, match="not T2-weighted"):
        blended(None, None)


def test_an_image_is_t2_if_csf_is_brighter_than_marrow() -> None:
    features = np.zeros((2, len(NAMES)), np.float32)
    features[:, NAMES.index("core to bone")] = np.log(0.8)  # a core of 80, marrow of 100 and CSF of 160 or 60
    features[:, NAMES.index("core to CSF")] = np.log(80 / 160)
    assert looks_t2(features)
    assert doubt_of_contrast(features) is None
    features[:, NAMES.index("core to CSF")] = np.log(80 / 60)
    assert not looks_t2(features)
    assert "CSF is darker" in (doubt_of_contrast(features) or "")
    features[:, NAMES.index("core to CSF")] = np.log(80 / 800)  # CSF eight times as bright as marrow
    assert looks_t2(features)
    assert "suppressed" in (doubt_of_contrast(features) or "")
    assert looks_t2(np.full((2, len(NAMES)), np.nan, np.float32))


def test_discs_are_counted_from_the_lowest_lumbar_one() -> None:
    assert steps_up([None, Level.L1_L2, Level.L2_L3, Level.L3_L4, Level.L4_L5, Level.L5_S1]) == [5, 4, 3, 2, 1, 0]
    assert steps_up([Level.L3_L4, Level.L4_L5]) == [2, 1]
    assert steps_up([None, None]) == [-1, -1]


def test_a_crop_lies_along_its_disc() -> None:
    """A disc of 34 x 9 mm, tilted by 20 degrees, at a known position: in the crop it is horizontal, with the position and size given by the frame."""
    rows, columns = np.indices((200, 160)) * PIXEL_MM
    across, down = np.array([-np.sin(np.deg2rad(20)), np.cos(np.deg2rad(20))]), np.array([np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))])
    u, v = ((rows - 70) * axis[0] + (columns - 55) * axis[1] for axis in (across, down))
    disc = (np.abs(u) < 17) & (np.abs(v) < 4.5)
    canal = (np.abs(u - 27) < 6) & (np.abs(v) < 60)
    labels = np.select([canal, (np.abs(u) < 17) & (np.abs(v) < 40) & ~disc], [SpineClass.CANAL, SpineClass.BODY], SpineClass.BACKGROUND).astype(np.uint8)
    flat = np.where(disc, 1, np.where(labels == SpineClass.BODY, 101, 0)).astype(np.uint8)
    image = np.select([canal, disc], [300.0, 50.0], 100.0).astype(np.float32)
    greys, tissues = crops(image, labels, flat, [0], np.array([[70, 55, *across, 34.0]]), (ROWS, COLUMNS))
    step_mm = 1.9 * 34 / COLUMNS
    own = np.argwhere(tissues[0] == DISC)
    centre = own.mean(axis=0)
    assert centre[0] == pytest.approx((ROWS - 1) / 2, abs=0.3)
    assert centre[1] == pytest.approx((COLUMNS - 1) / 2 - 0.2 * 34 / step_mm, abs=0.3)  # a fifth of its depth before the middle
    assert np.ptp(own[:, 0]) * step_mm == pytest.approx(9, abs=1.5)
    assert np.ptp(own[:, 1]) * step_mm == pytest.approx(34, abs=1.5)
    spread = np.linalg.svd(own - centre, full_matrices=False)[2][0]
    assert abs(spread[0]) < 0.02  # horizontal
    assert greys[0][tissues[0] == CANAL].mean() > 2 * greys[0][tissues[0] == BODY].mean() > 3 * greys[0][tissues[0] == DISC].mean()
    assert network_input(greys, tissues)[0, 2, ROWS // 2, -12] == 1  # canal behind


def test_the_median_grade() -> None:
    assert median_grade(np.array([0.1, 0.2, 0.3, 0.2, 0.2])) == 3
    assert median_grade(np.array([0.6, 0.1, 0.1, 0.1, 0.1])) == 1


def test_the_fit_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x = np.concatenate([np.ones((300, 1)), rng.normal(size=(300, 4))], axis=1)
    y = (rng.random(300)[:, None] > softmax(x @ rng.normal(size=(5, 3)), axis=-1).cumsum(axis=1)[:, :2]).sum(axis=1)
    other = linear.LogisticRegression(C=1 / (2 * 3.0), tol=1e-8, max_iter=2000).fit(x[:, 1:], y)
    np.testing.assert_allclose(softmax(x @ fit_logistic(x, y, 3, penalty=3.0), axis=-1), other.predict_proba(x[:, 1:]), atol=2e-3)


def test_the_scaler_by_hand() -> None:
    scaler = Scaler.fit(np.array([[0.0, 5.0], [2.0, np.nan], [4.0, 5.0]]))
    row = scaler(np.array([[2.0 + 2 * np.sqrt(8 / 3), 5.0]]))[0]
    np.testing.assert_allclose(row, [1, 2, 0, 3, -1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na\n", "no column image"),
        ("image,l4_l5\na,7\n", "whole number from 1 to 5"),
        ("image\n/etc/passwd\n", "inside the folder"),
        ("image\n", "no rows"),
    ],
)
def test_an_invalid_image_table_is_rejected_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UnreadableInput, match=message):
        read_image_table(tmp_path / "t.csv")


def test_spider_discs_are_numbered_from_below(tmp_path: Path) -> None:
    header = "Patient,IVD label,Modic,UP endplate,LOW endplate,Spondylolisthesis,Disc herniation,Disc narrowing,Disc bulging,Pfirrman grade"
    (tmp_path / "t.csv").write_text(f"{header}\n7,1,2,0,0,0,1,0,1,4\n7,5,0,0,1,0,0,0,0,1\n7,6,0,0,0,0,0,0,0,1\n")
    lowest, highest = read_spider_gradings(tmp_path / "t.csv")
    assert [(disc.number, disc.level) for disc in read_spider_gradings(tmp_path / "t.csv", highest=6)][-1] == (6, None)
    assert (lowest.level, lowest.pfirrmann_grade, lowest.findings["modic"], lowest.findings["narrowing"]) == (Level.L5_S1, 4, True, False)
    assert (highest.level, highest.findings["endplate"]) == (Level.L1_L2, True)
    (tmp_path / "t.csv").write_text("Patient\n7\n")
    with pytest.raises(UnreadableInput, match="KeyError"):
        read_spider_gradings(tmp_path / "t.csv")


@pytest.mark.real
@pytest.mark.slow
def test_the_command_on_real_images(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert "1 of 3 images" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*words, "--allow-missing"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["discs"] == 10
    with (tmp_path / "d.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["level"] for row in rows[:5]] == [level.value for level in Level]
    assert all(sum(float(row[f"p{k}"]) for k in range(1, 6)) == pytest.approx(1, abs=1e-4) for row in rows)
