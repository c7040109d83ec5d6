"""Regression scores worked by hand, from published tables, or from scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lumbar.metrics import regression

TRUE = [20.0, 40.0, 60.0, 80.0]
PREDICTED = [26.0, 39.0, 60.0, 71.0]  # errors +6, −1, 0, −9

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def test_errors_by_hand() -> None:
    assert regression.mean_absolute_error(TRUE, PREDICTED) == pytest.approx(4.0)
    assert regression.root_mean_squared_error(TRUE, PREDICTED) == pytest.approx(np.sqrt(118 / 4))
    assert regression.r_squared(TRUE, PREDICTED) == pytest.approx(1 - 118 / 2000)
    assert regression.share_within(TRUE, PREDICTED, 6.0) == 0.75
    assert regression.slope(TRUE, PREDICTED) == pytest.approx(((-30) * (-23) + (-10) * (-10) + 10 * 11 + 30 * 22) / 2000)


def test_r_squared_is_negative_where_the_mean_does_better() -> None:
    assert regression.r_squared([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == pytest.approx(-3.0)


def test_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    y = np.round(x + rng.normal(size=80), 1)  # with ties
    assert regression.pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert regression.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_correlation_with_a_constant_is_undefined() -> None:
    assert np.isnan(regression.pearson([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))
    assert np.isnan(regression.r_squared([5.0, 5.0], [4.0, 6.0]))


def test_icc_of_shrout_and_fleiss_1979() -> None:
    """Their table 4 has ICC(1,1) = 0.17."""
    subjects = np.repeat(np.arange(6), 4)
    assert regression.icc_one_way(SHROUT_FLEISS.ravel(), subjects) == pytest.approx(0.1657, abs=1e-4)


def test_icc_with_unequal_repeats_finds_the_planted_share() -> None:
    rng = np.random.default_rng(1)
    subjects = np.repeat(np.arange(3000), rng.integers(1, 4, 3000))
    values = rng.normal(0, 3, 3000)[subjects] + rng.normal(0, 1, len(subjects))
    assert regression.icc_one_way(values, subjects) == pytest.approx(0.9, abs=0.01)
    assert regression.within_subject_sd(values, subjects) == pytest.approx(1.0, abs=0.03)


def test_icc_without_repeats_is_undefined() -> None:
    assert np.isnan(regression.icc_one_way([1.0, 2.0], ["a", "b"]))
    assert np.isnan(regression.within_subject_sd([1.0, 2.0], ["a", "b"]))


def test_coverage_counts_the_ends() -> None:
    assert regression.interval_coverage([1.0, 2.0, 3.0, 4.0], [1.0, 2.1, 0.0, 0.0], [2.0, 3.0, 3.0, 3.9]) == 0.5


@given(st.lists(st.tuples(st.floats(1, 99), st.floats(1, 99)), min_size=2, max_size=30))
def test_rmse_is_never_below_mae(rows: list[tuple[float, float]]) -> None:
    true, predicted = zip(*rows, strict=True)
    assert regression.root_mean_squared_error(true, predicted) >= regression.mean_absolute_error(true, predicted) - 1e-9
