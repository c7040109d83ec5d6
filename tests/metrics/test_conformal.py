"""Conformal intervals: the quantile by hand, the promised coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumbar.errors import UsageError
from lumbar.metrics.conformal import conformal_quantile, fit_conformal


def test_quantile_by_hand() -> None:
    errors = [3.0, -1.0, 2.0, -5.0, 4.0, 0.5, -7.0, 6.0, 1.5]  # nine people: the 90 % rank is ⌈10 · 0.9⌉ = 9, the largest
    assert conformal_quantile(errors, 0.9) == 7.0
    assert conformal_quantile(errors, 0.5) == 3.0  # rank 5 of 0.5 1 1.5 2 3 4 5 6 7
    assert conformal_quantile(errors, 0.91) == np.inf


def test_too_few_people_for_the_promise() -> None:
    with pytest.raises(UsageError, match="at least 9"):
        fit_conformal(np.zeros(8), np.ones(8), 0.9)
    with pytest.raises(UsageError, match="between 0 and 1"):
        fit_conformal(np.zeros(8), np.ones(8), 90)


def test_coverage_of_new_people_is_the_promised_one() -> None:
    held, rng = [], np.random.default_rng(0)
    for _ in range(300):
        age = rng.uniform(20, 80, 300)
        predicted = age + rng.standard_t(4, 300) * 4
        fitted = fit_conformal(age[:150], predicted[:150], 0.9)
        low, high = fitted.interval(predicted[150:])
        held.append(np.mean((age[150:] >= low) & (age[150:] <= high)))
    assert np.mean(held) == pytest.approx(0.9, abs=0.007)  # three standard errors; exact value lies between 0.9 and 0.9 + 1/151


def test_mondrian_intervals_hold_in_the_old_and_are_short_in_the_young() -> None:
    rng = np.random.default_rng(1)
    age = rng.uniform(20, 80, 12000)
    predicted = age + rng.normal(0, np.where(age < 50, 2.0, 6.0))
    plain = fit_conformal(age[:6000], predicted[:6000], 0.9)
    binned = fit_conformal(age[:6000], predicted[:6000], 0.9, bins=4)
    test_age, test_predicted = age[6000:], predicted[6000:]
    old = test_predicted > 60
    coverage = {}
    for name, fitted in (("plain", plain), ("binned", binned)):
        low, high = fitted.interval(test_predicted)
        coverage[name] = np.mean(((test_age >= low) & (test_age <= high))[old])
    assert coverage["plain"] < 0.86
    assert coverage["binned"] == pytest.approx(0.9, abs=0.02)
    assert binned.half_widths_years[0] < plain.half_widths_years[0] < binned.half_widths_years[-1]


def test_bins_are_dropped_rather_than_left_without_people() -> None:
    rng = np.random.default_rng(2)
    age = rng.uniform(20, 80, 120)
    fitted = fit_conformal(age, age + rng.normal(size=120), 0.9, bins=10)
    assert len(fitted.counts) == 2
    assert all(np.isfinite(fitted.half_widths_years))


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_quantile_leaves_the_promised_share_below(errors: list[float], coverage: float) -> None:
    quantile = conformal_quantile(errors, coverage)
    assert np.sum(np.abs(errors) <= quantile) >= min(len(errors), (len(errors) + 1) * coverage - 1e-6)
