"""`lumbar aging` from a CSV to its folder."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from lumbar.cli.main import main
from lumbar.population.simulated_cohorts import Cohort, simulate


def _write_index(path: Path, cohort: Cohort, seed: int) -> None:
    table = simulate(cohort, seed)
    assert table.index is not None
    rows = zip(table.subject, table.site, table.sex, table.age_years, table.index, strict=True)
    lines = ["subject,site,sex,age,level,index", *(f"{s},{w},{x},{a:.3f},L4/L5,{i:.4f}" for s, w, x, a, i in rows)]
    path.write_text("\n".join(lines))


def _write_predicted(path: Path, n: int = 800) -> None:
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 85, n)
    predicted = 10 + 0.75 * age + 10 / (1 + np.exp(-(age - 50) / 1.5)) + rng.normal(0, 4, n)
    path.write_text("subject,site,sex,age,predicted\n" + "\n".join(f"s{k},x,{'FM'[k % 2]},{age[k]:.2f},{predicted[k]:.2f}" for k in range(n)))


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["aging", *arguments])
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_index_table_gives_curves_and_stages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_index(tmp_path / "t.csv", Cohort(stages_years=(35.0, 60.0)), 0)
    code, out, err = _run(capsys, str(tmp_path / "t.csv"), "-o", str(tmp_path / "out"), "--json", "--draws", "300")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert [stage["age_years"] for stage in document["stages"]] == pytest.approx([35, 60], abs=3)
    assert json.loads((tmp_path / "out" / "aging.json").read_text()) == document
    stages = [row for row in _rows(tmp_path / "out" / "stages.csv") if row["sex"] == "all"]
    assert [float(row["age_years"]) for row in stages] == pytest.approx([35, 60], abs=3)
    curve = [row for row in _rows(tmp_path / "out" / "curves.csv") if row["sex"] == "all"]
    assert all(float(row["low"]) < float(row["value"]) < float(row["high"]) for row in curve)
    at = {float(row["age_years"]): float(row["slope_per_year"]) for row in curve}
    assert at[35.0] > 3 * at[47.0]
    page = (tmp_path / "out" / "aging.html").read_text()
    assert page.count("<svg") == 1
    assert "<script" not in page
    assert (tmp_path / "out" / "plots" / "1_l4_l5.svg").is_file()
    assert not (tmp_path / "out" / "deltas.csv").exists()


def test_predicted_ages_give_deltas_and_bias_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_predicted(tmp_path / "t.csv")
    code, out, _ = _run(capsys, str(tmp_path / "t.csv"), "-o", str(tmp_path / "out"), "--draws", "300")
    assert code == 0
    assert "faster around" in out
    rows = _rows(tmp_path / "out" / "deltas.csv")
    assert len(rows) == 800
    first = rows[0]
    assert float(first["delta_none_years"]) == pytest.approx(float(first["predicted"]) - float(first["age"]), abs=1e-4)
    age, corrected, z = (np.array([float(row[name]) for row in rows]) for name in ("age", "delta_quadratic_years", "z"))
    assert abs(np.corrcoef(age, corrected)[0, 1]) < 0.05
    assert z.std() == pytest.approx(1, abs=0.05)
    assert sorted(float(row["percentile"]) for row in rows)[400] == pytest.approx(50, abs=0.2)
    assert [row["model"] for row in _rows(tmp_path / "out" / "bias_models.csv")] == ["none", "cole", "beheshti", "quadratic"]


def test_nothing_is_overwritten_and_nothing_is_left_half_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.csv").write_text("subject,site,sex,age,predicted\na,x,F,40,oops\n")
    code, _, err = _run(capsys, str(tmp_path / "bad.csv"), "-o", str(tmp_path / "out"))
    assert (code, (tmp_path / "out").exists()) == (3, False)
    assert "line 2" in err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    code, _, err = _run(capsys, str(tmp_path / "bad.csv"), "-o", str(tmp_path / "out"))
    assert code == 2
    assert "--overwrite" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "out"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("subject,site,sex,age\na,x,F,40\n", "neither a column index"),
        ("subject,site,sex,age,predicted\na,x,F,40,41\nb,x,M,50,51\n", "30 subjects over 10 years"),
    ],
)
def test_tables_that_cannot_be_used_say_why(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    code, _, err = _run(capsys, str(tmp_path / "t.csv"), "-o", str(tmp_path / "out"))
    assert code == 3
    assert words in err


def test_a_small_study_gets_a_curve_but_no_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_predicted(tmp_path / "t.csv", 60)
    code, out, _ = _run(capsys, str(tmp_path / "t.csv"), "-o", str(tmp_path / "out"), "--json", "--draws", "200")
    document = json.loads(out)
    assert code == 0
    assert document["stages"] == []
    assert any("too few" in warning for warning in document["warnings"])


def test_people_seen_again_get_their_courses_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    ages = rng.uniform(25, 80, 120)
    lines = ["subject,site,sex,age,level,index,visit"]
    for k, age in enumerate(ages):
        lines.append(f"s{k},x,{'FM'[k % 2]},{age:.2f},L4/L5,{age / 100 + rng.normal(0, 0.05):.4f},1")
        if k < 12:  # a second visit after five years
            lines.append(f"s{k},x,{'FM'[k % 2]},{age + 5:.2f},L4/L5,{age / 100 + 0.05 + rng.normal(0, 0.05):.4f},2")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    code, _, _ = _run(capsys, str(tmp_path / "t.csv"), "-o", str(tmp_path / "out"), "--draws", "200", "--no-mixed")
    assert code == 0
    drawn = (tmp_path / "out" / "plots" / "courses.svg").read_text()
    assert drawn.count("stroke: #888888") >= 12  # one line a person; without a column repeat no change can be called reliable
    assert "#dd8452" not in drawn
    assert "Each line joins the visits of one person" in (tmp_path / "out" / "aging.html").read_text()


def _write_results(folder: Path, n: int = 300) -> None:
    """Results of a batch: the signal of two discs falls with age, faster after 55 at L4/L5."""
    random = np.random.default_rng(3)
    folder.mkdir()
    age = random.uniform(20, 85, n)
    rows = ["study,level,side,structure,finding,value,unit,error,quality"]
    for k in range(n):
        for level, late in (("L1/L2", 0.0), ("L4/L5", 0.004 * max(age[k] - 55, 0))):
            rows.append(f"s{k:03d},{level},,disc,disc_signal_ratio,{0.8 - 0.005 * age[k] - late + 0.02 * random.standard_normal():.5f},,,passed")
    (folder / "results.csv").write_text("\n".join(rows) + "\n")
    (folder / "people.csv").write_text("study,age_years,sex,site\n" + "\n".join(f"s{k:03d},{age[k]:.1f},{'FM'[k % 2]},A" for k in range(n)) + "\n")


def test_a_finding_of_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_results(tmp_path / "results")
    given = (str(tmp_path / "results"), "-o", str(tmp_path / "out"), "--draws", "200", "--no-mixed")
    code, _, err = _run(capsys, *given, "--finding", "disc_signal_ratio", "--json")
    assert code == 0, err
    curve = [row for row in _rows(tmp_path / "out" / "curves.csv") if row["sex"] == "all"]
    slope = {
        level: np.median([float(row["slope_per_year"]) for row in curve if row["level"] == level and float(row["age_years"]) > 65])
        for level in ("L1/L2", "L4/L5")
    }
    assert slope["L1/L2"] == pytest.approx(-0.005, abs=0.001) and slope["L4/L5"] == pytest.approx(-0.009, abs=0.0015)
    code, _, err = _run(capsys, *given, "--overwrite")
    assert code == 2 and "--finding" in err
    code, _, err = _run(capsys, *given, "--overwrite", "--finding", "nonsense")
    assert code == 2 and "disc_signal_ratio" in err
