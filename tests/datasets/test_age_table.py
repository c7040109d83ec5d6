"""Reading tables of ages: accepted forms, and errors with line and reason."""

from pathlib import Path

import numpy as np
import pytest

from lumbar.datasets.age_split import leave_site_out, subject_folds, uncovered_ages
from lumbar.datasets.age_table import AgeTable, read_age_table
from lumbar.errors import UnreadableInput, UsageError

HEADER = "subject,site,sex,age,predicted"


def _write(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_reads_what_is_there(tmp_path: Path) -> None:
    table = read_age_table(_write(tmp_path, HEADER, "a,x,f,40,41.5", "b,y,Male,50.5,49"))
    assert table.subject.tolist() == ["a", "b"]
    assert table.sex.tolist() == ["F", "M"]
    assert table.age_years.tolist() == [40.0, 50.5]
    assert table.predicted_years is not None
    assert table.predicted_years.tolist() == [41.5, 49.0]
    assert table.level is None


def test_accepts_excel_habits(tmp_path: Path) -> None:
    """A byte-order mark, semicolons, other order, other case, spaces, empty lines, further columns, line feeds of Windows."""
    path = tmp_path / "excel.csv"
    path.write_bytes("\ufeffAge; Subject;Sex;SITE;note\r\n40;a;F;x;hello\r\n;;;;\r\n41;b;M;x;\r\n".encode())
    table = read_age_table(path)
    assert table.age_years.tolist() == [40, 41]
    assert table.lines.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["subject,site,sex,age"], ["predicted", "found subject, site, sex, age"]),
        ([HEADER], ["no rows"]),
        ([HEADER, "a,x,F,40,41", "b,x,F,,41"], ["line 3", "age is blank"]),
        ([HEADER, "a,x,F,40,nan"], ["line 2", "predicted is blank"]),
        ([HEADER, "a,x,F,40,inf"], ["line 2", "predicted is inf"]),
        ([HEADER, "a,x,F,40,41", ",x,F,42,41"], ["line 3", "subject is blank"]),
        ([HEADER, "a,x,F,forty,41"], ["line 2", "'forty'"]),
        ([HEADER, 'a,x,F,"40,500",41'], ["line 2", "'40,500'", "two ways"]),
        ([HEADER, "a,x,F,480,41"], ["line 2", "480", "120"]),
        ([HEADER, "a,x,F,-1,41"], ["line 2", "-1"]),
        ([HEADER, "a,x,F,0,41"], ["line 2", "age is 0"]),
        ([HEADER, "a,x,9,40,41"], ["line 2", "sex is '9'"]),
        ([HEADER, "a,,F,40,41"], ["line 2", "site is blank"]),
        ([HEADER, "a,x,F,40"], ["line 2", "4 cells", "5"]),
        ([HEADER, "a,x,F,40,41", "b,x,F,40,41", "a,x,F,40,41"], ["line 4", "'a'", "line 2", "repeat"]),
        ([HEADER + ",visit", "a,x,F,40,41,1", "a,x,M,42,41,2"], ["line 3", "'a' is M", "line 2"]),
        ([HEADER + ",age", "a,x,F,40,41,40"], ["'age' more than once"]),
        ([HEADER + ",low,high", "a,x,F,40,41,45,44"], ["line 2", "low is above high"]),
        ([HEADER + ",low", "a,x,F,40,41,45"], ["low and high"]),
        ([HEADER + ",date", "a,x,F,40,41,31.5.2024"], ["line 2", "'31.5.2024'", "2024-05-31"]),
        ([HEADER + ",healthy", "a,x,F,40,41,perhaps"], ["line 2", "yes or no"]),
        (["", ""], ["empty"]),
    ],
)
def test_refuses_with_line_and_reason(tmp_path: Path, lines: list[str], words: list[str]) -> None:
    path = _write(tmp_path, *lines)
    with pytest.raises(UnreadableInput) as caught:
        read_age_table(path, needs=("predicted",))
    for word in [*words, str(path)]:
        assert word in str(caught.value)


def test_blank_cells_are_unknown(tmp_path: Path) -> None:
    lines = ["subject;site;sex;age;healthy;index;level", "a;x;;40,5;;1,5;L1", "a;x;F;40,5;yes;;L2", "b;x;M;41;no;2,5;L1"]
    table = read_age_table(_write(tmp_path, *lines))
    assert table.sex.tolist() == ["U", "F", "M"]
    assert table.age_years.tolist() == [40.5, 40.5, 41]
    assert table.healthy is not None and table.healthy.tolist() == [False, True, False]
    assert table.index is not None and np.array_equal(table.index, [1.5, np.nan, 2.5], equal_nan=True)


def test_refuses_a_missing_file_and_an_image(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="does not exist"):
        read_age_table(tmp_path / "nothing.csv")
    (tmp_path / "workbook.csv").write_bytes(b"PK\x03\x04")
    with pytest.raises(UnreadableInput, match="workbook"):
        read_age_table(tmp_path / "workbook.csv")
    (tmp_path / "image.csv").write_bytes(bytes(range(256)))
    with pytest.raises(UnreadableInput, match="UTF-8"):
        read_age_table(tmp_path / "image.csv")


def test_visits_and_repeats_tell_rows_of_one_person_apart(tmp_path: Path) -> None:
    table = read_age_table(_write(tmp_path, HEADER + ",date,repeat", "a,x,F,40,41,2020-01-01,1", "a,x,F,40,42,2020-01-01,2", "a,x,F,42,43,2022-01-01,1"))
    assert table.date_days is not None
    assert (table.date_days[2] - table.date_days[0]) == 731  # 2020 is a leap year


def _table(subjects: int, seed: int = 0) -> AgeTable:
    rng = np.random.default_rng(seed)
    names = np.repeat([f"s{k}" for k in range(subjects)], 2)
    age = np.repeat(rng.uniform(20, 80, subjects), 2)
    site = np.array(["x", "y", "z"])[rng.integers(0, 3, 2 * subjects)]
    return AgeTable("t", np.arange(2 * subjects), names, site, np.full(2 * subjects, "F"), age)


def test_folds_are_grouped_by_subject_and_stratified_by_age() -> None:
    table = _table(100)
    fold = subject_folds(table, 5, seed=1)
    assert all(np.unique(fold[table.subject == name]).size == 1 for name in np.unique(table.subject))
    means = [table.age_years[fold == k].mean() for k in range(5)]
    assert np.ptp(means) < 3
    assert (fold != subject_folds(table, 5, seed=2)).any()
    with pytest.raises(UsageError, match="101 folds"):
        subject_folds(table, 101, 0)


def test_a_subject_of_the_left_out_site_is_never_trained_on() -> None:
    table = _table(60)
    seen = []
    for site, train, test in leave_site_out(table):
        seen.append(site)
        assert (table.site[test] == site).all()
        assert not set(table.subject[train]) & set(table.subject[test])
    assert seen == ["x", "y", "z"]


def test_uncovered_ages_are_named() -> None:
    table = _table(200)
    young, old = table.rows(table.age_years < 60), table.rows(table.age_years >= 50)
    assert uncovered_ages(young, old) == [(60.0, 70.0), (70.0, 80.0)]
    assert uncovered_ages(table, table) == []
