"""`lumbar evaluate age` on tables whose numbers are known."""

import json
from pathlib import Path

import numpy as np
import pytest

from lumbar.age.evaluate import EvaluationOptions, evaluate
from lumbar.cli.main import main
from lumbar.datasets.age_table import read_age_table

QUICK = EvaluationOptions(repeats=200)
SMALL = """subject,site,sex,age,predicted,low,high
a,x,F,20,26,18,30
b,x,M,40,39,30,50
c,y,F,60,60,50,70
d,y,M,80,71,62,79
"""


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", "age", *arguments])
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def test_json_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(SMALL)
    code, out, _ = _run(capsys, "--table", str(path), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["mae_years"] == pytest.approx(4.0)
    assert found["rmse_years"] == pytest.approx(np.sqrt(118 / 4))
    assert found["r2"] == pytest.approx(1 - 118 / 2000)
    assert found["within_5_years"] == 0.5
    assert found["bias_years"] == pytest.approx(-1.0)
    assert found["mae_years_interval"] == [None, None]  # four people say nothing of others
    assert found["baseline"]["median_age_years"] == 50
    assert found["baseline"]["mae_years"] == pytest.approx(20.0)
    assert found["baseline"]["mae_difference_years"] == pytest.approx(-16.0)
    assert {g["group"]: g["bias_years"] for g in found["by_sex"]} == {"F": 3.0, "M": -5.0}
    assert {g["group"]: g["mae_years"] for g in found["by_site"]} == {"x": 3.5, "y": 4.5}
    assert [g["group"] for g in found["by_decade"]] == ["20-29", "40-49", "60-69", "80-89"]
    assert found["intervals"]["coverage"] == 0.75
    assert found["intervals"]["mean_width_years"] == pytest.approx((12 + 20 + 20 + 17) / 4)
    assert found["retest"] is None


def _cohort(path: Path, n: int, repeats: int = 1, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    lines = ["subject,site,sex,age,predicted,repeat"]
    for number in range(n):
        age = rng.uniform(20, 85)
        steady = 15 + 0.75 * age + rng.normal(0, 5)
        lines += [f"s{number},x,{'FM'[number % 2]},{age:.3f},{steady + rng.normal(0, 2):.3f},{k}" for k in range(repeats)]
    path.write_text("\n".join(lines))


def test_delta_loses_its_slope_by_each_correction_but_none(tmp_path: Path) -> None:
    _cohort(tmp_path / "t.csv", 1200)
    result = evaluate(read_age_table(tmp_path / "t.csv"), QUICK)
    slopes = {d.model: d for d in result.delta_age}
    assert slopes["none"].slope == pytest.approx(-0.25, abs=0.03)
    assert all(abs(slopes[model].pearson) < 0.05 for model in ("cole", "beheshti", "quadratic"))
    assert [model for model, d in slopes.items() if d.inflates_accuracy] == ["beheshti", "quadratic"]
    assert result.mae_years.low < result.mae_years.estimate < result.mae_years.high
    assert result.baseline.mae_difference_years.high < 0


def test_second_scans_give_icc_and_do_not_narrow_intervals(tmp_path: Path) -> None:
    _cohort(tmp_path / "once.csv", 300)
    _cohort(tmp_path / "four.csv", 300, repeats=4)
    once, four = (evaluate(read_age_table(tmp_path / name), QUICK) for name in ("once.csv", "four.csv"))
    assert once.retest is None
    assert four.retest is not None
    assert (four.retest.subjects, four.retest.scans) == (300, 1200)
    spread = 0.75**2 * 65**2 / 12 + 25  # variance between people; 4 within
    assert four.retest.icc.estimate == pytest.approx(spread / (spread + 4), abs=0.01)
    assert four.retest.icc.low < four.retest.icc.estimate < four.retest.icc.high < 1
    assert four.retest.within_subject_sd_years == pytest.approx(2, abs=0.15)
    assert four.mae_years.high - four.mae_years.low > 0.8 * (once.mae_years.high - once.mae_years.low)


def test_visits_are_not_repeats(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "subject,site,sex,age,predicted,visit,repeat\n" + "\n".join(f"s{k // 2},x,F,{30 + k},{31 + k},{k % 2},1" for k in range(20))
    )
    assert evaluate(read_age_table(tmp_path / "t.csv"), QUICK).retest is None


def test_writes_a_page_and_keeps_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _cohort(tmp_path / "t.csv", 40)
    arguments = ("--table", str(tmp_path / "t.csv"), "-o", str(tmp_path / "out"))
    assert _run(capsys, *arguments)[0] == 0
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace("http://creativecommons.org", "")
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["rows"] == 40
    code, _, err = _run(capsys, *arguments)
    assert code == 2
    assert "--overwrite" in err


def test_errors_name_the_row_and_leave_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text(SMALL.replace("39", "abc"))
    code, out, err = _run(capsys, "--table", str(tmp_path / "t.csv"), "--json")
    assert (code, out) == (3, "")
    assert "line 3" in err
    assert "Traceback" not in err


def test_levels_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("subject,site,sex,age,predicted,level\na,x,F,40,41,L3/L4\na,x,F,40,44,L4/L5\n")
    code, _, err = _run(capsys, "--table", str(tmp_path / "t.csv"))
    assert code == 3
    assert "L3/L4, L4/L5" in err


def test_constant_predictions_give_nulls_not_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("subject,site,sex,age,predicted\n" + "\n".join(f"s{k},x,F,{20 + k},50" for k in range(40)))
    code, out, _ = _run(capsys, "--table", str(tmp_path / "t.csv"), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["pearson"] is None
    assert any("Cole" in warning for warning in found["warnings"])
