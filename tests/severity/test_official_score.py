"""The official score: by hand, against a second implementation, and on the published table."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumbar.cli.evaluate_severity import as_document
from lumbar.cli.main import main
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.datasets.submission import read_submission, write_submission
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.errors import InputError, UnreadableInput
from lumbar.severity.evaluate import evaluate
from lumbar.severity.score import Graded, score_gain

NM, MO, SE = Severity
WEIGHT = {NM: 1, MO: 2, SE: 4}
CANAL = "spinal_canal_stenosis"


def by_the_formula(predictions: Mapping[str, np.ndarray], truth: Mapping[str, Mapping[str, Severity | None]]) -> float:
    """The score written again from its definition, row by row, in plain Python."""
    groups = {"spinal": [], "foraminal": [], "subarticular": []}
    extra = []
    for study, row in truth.items():
        spinal = []
        for column, grade in row.items():
            if grade is None:
                continue
            p = predictions[f"{study}_{column}"]
            loss = -math.log(min(max(p[[NM, MO, SE].index(grade)], 1e-15), 1 - 1e-15))
            group = "spinal" if "spinal" in column else "foraminal" if "foraminal" in column else "subarticular"
            groups[group].append((WEIGHT[grade], loss))
            if group == "spinal":
                spinal.append((grade, p[2]))
        if spinal:
            p = min(max([1e-15, *(q for _, q in spinal)]), 1 - 1e-15)
            severe = any(grade is SE for grade, _ in spinal)
            extra.append((max(WEIGHT[grade] for grade, _ in spinal), -math.log(p if severe else 1 - p)))
    parts = [sum(w * x for w, x in rows) / sum(w for w, _ in rows) for rows in [*groups.values(), extra]]
    return sum(parts) / 4


def test_worked_by_hand() -> None:
    truth = {
        "1": {f"{CANAL}_l1_l2": NM, f"{CANAL}_l4_l5": SE, "left_neural_foraminal_narrowing_l1_l2": MO, "left_subarticular_stenosis_l5_s1": NM},
        "2": {f"{CANAL}_l1_l2": MO, f"{CANAL}_l4_l5": None, "right_neural_foraminal_narrowing_l1_l2": NM, "right_subarticular_stenosis_l5_s1": SE},
    }
    rows = {
        f"1_{CANAL}_l1_l2": [0.8, 0.1, 0.1],
        f"1_{CANAL}_l4_l5": [0.25, 0.25, 0.5],
        "1_left_neural_foraminal_narrowing_l1_l2": [0.5, 0.25, 0.25],
        "1_left_subarticular_stenosis_l5_s1": [1.0, 0.0, 0.0],
        f"2_{CANAL}_l1_l2": [0.6, 0.2, 0.2],
        f"2_{CANAL}_l4_l5": [0.0, 0.0, 1.0],  # unlabelled: neither its loss nor its severe probability counts
        "2_right_neural_foraminal_narrowing_l1_l2": [0.5, 0.3, 0.2],
        "2_right_subarticular_stenosis_l5_s1": [0.0, 1.0, 0.0],  # as wrong as can be: −log 1e-15
    }
    spinal = (-math.log(0.8) - 4 * math.log(0.5) - 2 * math.log(0.2)) / 7
    foraminal = (-2 * math.log(0.25) - math.log(0.5)) / 3
    subarticular = (-math.log(1 - 1e-15) - 4 * math.log(1e-15)) / 5
    any_severe = (-4 * math.log(0.5) - 2 * math.log(0.8)) / 6
    score = evaluate({name: np.array(p) for name, p in rows.items()}, truth).score
    assert score.spinal == pytest.approx(spinal, abs=1e-9)
    assert score.foraminal == pytest.approx(foraminal, abs=1e-9)
    assert score.subarticular == pytest.approx(subarticular, abs=1e-9)
    assert score.any_severe_spinal == pytest.approx(any_severe, abs=1e-9)
    assert score.official_score == pytest.approx((spinal + foraminal + subarticular + any_severe) / 4, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), studies=st.integers(2, 12), blank=st.floats(0, 0.8))
def test_equals_a_second_implementation_on_random_tables(seed: int, studies: int, blank: float) -> None:
    rng = np.random.default_rng(seed)
    truth = {
        str(study): {row_id("", c, v)[1:]: None if study and rng.random() < blank else (NM, MO, SE)[rng.integers(3)] for c in Condition for v in Level}
        for study in range(studies)
    }
    predictions = {f"{study}_{column}": rng.dirichlet([0.3] * 3) for study, row in truth.items() for column in row}
    assert evaluate(predictions, truth, repeats=2).score.official_score == pytest.approx(by_the_formula(predictions, truth), abs=1e-9)


def test_the_gain_over_other_answers_is_the_difference_of_the_scores_and_paired() -> None:
    """Every study has one row a group; doubling the odds of the truth in all of them gains the same in every study, so the interval has no width."""
    studies, conditions = np.repeat([f"s{k}" for k in range(6)], 3), np.tile([0, 1, 3], 6)
    targets = np.zeros(18, np.int64)
    rows = Graded(studies, conditions, np.zeros(18, np.int64), targets, np.tile([0.8, 0.1, 0.1], (18, 1)))
    gain = score_gain(rows, np.tile([0.4, 0.5, 0.1], (18, 1)), repeats=50)
    assert gain.estimate == pytest.approx(0.75 * math.log(2))  # the any-severe part is the same with both
    assert (gain.low, gain.high) == pytest.approx((gain.estimate, gain.estimate))


def test_a_labelled_row_without_prediction_is_an_error_unless_allowed() -> None:
    truth = {"1": {f"{CANAL}_l1_l2": NM, f"{CANAL}_l2_l3": SE}}
    some = {f"1_{CANAL}_l1_l2": np.array([0.5, 0.3, 0.2]), "7_other_l1_l2": np.ones(3) / 3}
    with pytest.raises(InputError, match=r"1 labelled rows have no prediction.*1_spinal_canal_stenosis_l2_l3.*--allow-missing"):
        evaluate(some, truth)
    result = evaluate(some, truth, allow_missing=True, repeats=2)
    assert (result.missing_rows, result.unused_rows, result.overall.rows) == (1, 1, 1)
    assert result.score.spinal == pytest.approx(-math.log(0.5))
    assert as_document(result)["foraminal"] is None  # no such rows: undefined, never 0
    assert as_document(result)["official_score"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row_id,normal_mild,moderate\na,1,0\n", "no column severe"),
        ("row_id,normal_mild,moderate,severe\na,0.5,0.5,0.5\n", "sum to 1"),
        ("row_id,normal_mild,moderate,severe\na,1.5,-0.5,0\n", "0 or more"),
        ("row_id,normal_mild,moderate,severe\na,nan,1,0\n", "sum to 1"),
        ("row_id,normal_mild,moderate,severe\na,1,0,0\na,1,0,0\n", "row a twice"),
        ("row_id,normal_mild,moderate,severe\na,1,zero,0\n", "line 2"),
        ("row_id,normal_mild,moderate,severe\n", "no rows"),
    ],
)
def test_an_invalid_submission_is_rejected_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UnreadableInput, match=message):
        read_submission(tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"study_id,{CANAL}_l1_l2\n1,Awful\n", "line 2, column spinal_canal_stenosis_l1_l2: 'Awful' is none of"),
        (f"study_id,{CANAL}_l1_l2\n1,Severe\n1,Severe\n", "second time"),
        ("study_id,age\n1,2\n", "not a table like train.csv"),
    ],
)
def test_an_invalid_truth_table_is_rejected_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UnreadableInput, match=message):
        read_grades(tmp_path / "t.csv")


def test_the_command_prints_one_json_document_and_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = [row_id("", c, v)[1:] for c in Condition for v in Level]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["study_id", *columns], ["1", *["Normal/Mild"] * 24, ""], ["2", *["Moderate", "Severe"] * 12, "Severe"]])
    write_submission(tmp_path / "s.csv", [(f"{s}_{c}", np.array([0.5, 0.3, 0.2])) for s in "12" for c in columns])
    words = ["evaluate", "severity", "--submission", str(tmp_path / "s.csv"), "--truth", str(tmp_path / "t.csv"), "--json", "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["accuracy"] == pytest.approx(24 / 49)  # the 24 normal labels of study 1
    assert document["majority_accuracy"] == pytest.approx(24 / 49)
    assert document["rows"] == 49
    assert document["confusion"] == [[24, 0, 0], [12, 0, 0], [13, 0, 0]]
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace("http://creativecommons.org", "")
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == document


@pytest.mark.real
def test_trivial_answers_on_the_real_table_score_as_published(shared_data: Path, tmp_path: Path) -> None:
    truth = read_grades(shared_data / "rsna2024" / "train.csv")
    names = [(study, c, v) for study in truth for c in Condition for v in Level]

    def score(answer: Mapping[tuple[Condition, Level], np.ndarray]) -> float:
        return evaluate({row_id(s, c, v): answer[c, v] for s, c, v in names}, truth, repeats=2).score.official_score

    def constant(p: list[float]) -> dict[tuple[Condition, Level], np.ndarray]:
        return {(c, v): np.array(p) for c in Condition for v in Level}

    def shares(weights: tuple[int, int, int], pooled: bool) -> dict[tuple[Condition, Level], np.ndarray]:
        counts = {(c, v): np.array([sum(row[row_id("", c, v)[1:]] is g for row in truth.values()) for g in (NM, MO, SE)]) for c in Condition for v in Level}
        result = {}
        for (c, v), own in counts.items():
            kind = c.value.split("_")[-2:]
            total = sum(counts[d, u] for d, u in counts if d.value.split("_")[-2:] == kind) if pooled else own
            result[c, v] = total * weights / (total * weights).sum()
        return result

    assert score(constant([1 / 3] * 3)) == pytest.approx(0.999, abs=5e-4)
    assert score(shares((1, 1, 1), pooled=True)) == pytest.approx(1.109, abs=5e-4)
    assert score(shares((1, 2, 4), pooled=True)) == pytest.approx(0.911, abs=5e-4)
    assert score(shares((1, 2, 4), pooled=False)) == pytest.approx(0.790, abs=5e-4)
    assert score(constant([1, 0, 0])) == pytest.approx(14.0, abs=0.05)


@pytest.mark.real
def test_a_full_table_counts_every_labelled_row(shared_data: Path, tmp_path: Path) -> None:
    truth = shared_data / "rsna2024" / "train.csv"
    write_submission(tmp_path / "s.csv", ((row_id(s, c, v), np.ones(3) / 3) for s in read_grades(truth) for c in Condition for v in Level))
    result = evaluate(read_submission(tmp_path / "s.csv"), read_grades(truth))
    assert result.overall.rows == 25 * 1975 - 572
    assert result.overall.majority_accuracy == pytest.approx(0.774, abs=5e-4)
