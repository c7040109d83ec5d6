"""The bootstrap against theory: the interval of a mean, and clusters that must widen it."""

import numpy as np
import pytest
from scipy import stats

from lumbar.metrics.bootstrap import bootstrap_interval, resamples


def test_interval_of_a_mean_is_the_one_of_normal_theory() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    interval = bootstrap_interval(lambda rows: float(values[rows].mean()), np.arange(400), repeats=4000)
    half = stats.norm.ppf(0.975) * values.std() / np.sqrt(400)
    assert interval.estimate == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_the_interval_has_its_nominal_coverage() -> None:
    generator = np.random.default_rng(2)
    held = 0
    for seed in range(200):
        values = generator.normal(0.0, 1.0, 60)
        interval = bootstrap_interval(lambda rows, v=values: float(v[rows].mean()), np.arange(60), repeats=300, confidence=0.9, seed=seed)
        held += interval.low <= 0 <= interval.high
    assert 0.83 <= held / 200 <= 0.96  # 0.9 ± 3 standard errors of 200 draws


def test_copies_of_a_person_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(3).normal(size=50)
    once = bootstrap_interval(lambda rows: float(values[rows].mean()), np.arange(50), repeats=3000)
    four = np.repeat(values, 4)
    clustered = bootstrap_interval(lambda rows: float(four[rows].mean()), np.repeat(np.arange(50), 4), repeats=3000)
    naive = bootstrap_interval(lambda rows: float(four[rows].mean()), np.arange(200), repeats=3000)
    assert clustered.high - clustered.low == pytest.approx(once.high - once.low, rel=0.05)
    assert naive.high - naive.low == pytest.approx((once.high - once.low) / 2, rel=0.1)


def test_resampling_keeps_groups_together() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    for rows in resamples(groups, 50):
        for group, size in {"a": 2, "b": 3, "c": 1}.items():
            assert (groups[rows] == group).sum() % size == 0


def test_undefined_statistic_gives_no_bounds() -> None:
    interval = bootstrap_interval(lambda rows: float("nan") if len(set(rows.tolist())) < 5 else 1.0, np.arange(5), repeats=200)
    assert interval.estimate == 1.0
    assert np.isnan(interval.low)


def test_no_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 rows"):
        bootstrap_interval(lambda rows: 0.0, [])
