"""Change over time worked by hand, and the mixed model on simulated effects."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from lumbar.datasets.age_table import AgeTable, read_age_table
from lumbar.errors import UsageError
from lumbar.population.longitudinal import follow


def _table(folder: Path, *lines: str) -> AgeTable:
    (folder / "t.csv").write_text("\n".join(["subject,site,sex,age,level,index,visit,repeat", *lines]))
    return read_age_table(folder / "t.csv")


def test_change_and_reliable_change_by_hand(tmp_path: Path) -> None:
    """Repeats differ by 2 at every visit, so SEM = √(Σ(±1)² / 3) = √2 and √2 · SEM = 2."""
    table = _table(
        tmp_path,
        "a,x,F,40,L4/L5,9,1,1", "a,x,F,40,L4/L5,11,1,2", "a,x,F,44,L4/L5,17,2,1", "a,x,F,44,L4/L5,19,2,2",
        "b,x,F,50,L4/L5,20,1,1", "b,x,F,50,L4/L5,22,1,2", "b,x,F,52,L4/L5,22,2,1",
        "c,x,M,60,L4/L5,30,1,1",
    )  # fmt: skip
    found = follow(table)
    assert found is not None
    first, second = found.changes
    assert found.sem["L4/L5"] == pytest.approx(np.sqrt(2))
    assert (first.subject, first.visits, first.years, first.first, first.last) == ("a", 2, 4, 10, 18)
    assert first.change_per_year == pytest.approx(2)
    assert first.reliable_change_index == pytest.approx(4)
    assert first.reliable
    assert second.reliable_change_index == pytest.approx(0.5)
    assert not second.reliable
    assert found.models == ()


def test_without_repeats_no_change_is_called_reliable(tmp_path: Path) -> None:
    found = follow(_table(tmp_path, "a,x,F,40,L4/L5,9,1,1", "a,x,F,44,L4/L5,90,2,1"))
    assert found is not None
    assert not found.changes[0].reliable
    assert np.isnan(found.changes[0].reliable_change_index)
    assert "repeat" in found.warnings[0]


def test_visits_days_apart_are_no_course(tmp_path: Path) -> None:
    assert follow(_table(tmp_path, "a,x,F,40.0,L4/L5,9,1,1", "a,x,F,40.1,L4/L5,15,2,1")) is None


def test_time_is_taken_from_dates_if_ages_are_whole_years(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("subject,site,sex,age,predicted,date\na,x,F,40,41,2020-01-01\na,x,F,40,42,2020-12-31\n")
    found = follow(read_age_table(tmp_path / "t.csv"))
    assert found is not None
    assert found.changes[0].change_per_year == pytest.approx(365.25 / 365)


def _course(subjects: int, visits: int) -> AgeTable:
    """Within people +0.5 a year, between people +0.2 a year of age; intercepts vary by 3, visits by 1."""
    rng = np.random.default_rng(0)
    n = subjects * visits
    who, number = np.repeat(np.arange(subjects), visits), np.tile(np.arange(visits), subjects)
    start = rng.uniform(30, 70, subjects)[who]
    years = 2.0 * number
    values = 0.2 * start + 0.5 * years + rng.normal(0, 3, subjects)[who] + rng.normal(0, 1, n)
    words = np.array([f"s{k:03d}" for k in who])
    return AgeTable("t", np.arange(n), words, np.full(n, "x"), np.array(["F", "M"])[who % 2], start + years, index=values, visit=number.astype(str))


@pytest.mark.parametrize("visits", [2, 4])
def test_mixed_model_finds_what_was_planted(visits: int) -> None:
    pytest.importorskip("statsmodels")
    found = follow(_course(200, visits))
    assert found is not None
    model = found.models[0]
    assert model.low < 0.5 < model.high
    assert model.change_per_year == pytest.approx(0.5, abs=0.1)
    assert model.between_people_per_year == pytest.approx(0.2, abs=0.06)
    assert model.sd_between == pytest.approx(3, abs=0.5)
    assert model.sd_within == pytest.approx(1, abs=0.2)


def test_a_missing_extra_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"pip install 'lumbar\[stats\]'.*--no-mixed"):
        follow(_course(20, 2))
    assert follow(_course(20, 2), mixed=False) is not None
