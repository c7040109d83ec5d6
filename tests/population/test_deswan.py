"""Sliding windows against scipy's t test, and their edges by hand."""

import numpy as np
import pytest
from scipy import stats

from lumbar.population.deswan import search_deswan
from lumbar.population.groups import Group


def _group(age: np.ndarray, values: np.ndarray) -> Group:  # type: ignore[type-arg]
    order = np.argsort(age, kind="stable")
    n = len(age)
    words = np.array([f"s{k}" for k in range(n)])
    return Group("L4/L5", "all", age[order], values[order], words, np.full(n, "F"), np.full(n, "x"), np.zeros((n, 0)), 1.0)


def test_profile_is_the_two_sample_t_test_of_both_windows() -> None:
    rng = np.random.default_rng(0)
    age = np.sort(np.round(rng.uniform(20, 80, 800) * 2) / 2)  # half years: many people at c itself, who belong to neither window
    values = 0.05 * age + rng.normal(size=800)
    _, profiles = search_deswan(_group(age, values), rng.random((20, 800)))
    assert [profile.width_years for profile in profiles] == [4.0, 5.0, 6.0, 7.5, 9.0]
    for profile in profiles[::2]:
        for k in (0, len(profile.p) // 2, len(profile.p) - 1):
            c, w = profile.ages_years[k], profile.width_years
            before, after = values[(age >= c - w) & (age < c)], values[(age > c) & (age <= c + w)]
            assert profile.difference[k] == pytest.approx(after.mean() - before.mean())
            assert profile.p[k] == pytest.approx(stats.ttest_ind(after, before).pvalue, rel=1e-6)
    p, q = (np.concatenate([getattr(profile, name) for profile in profiles]) for name in ("p", "q"))
    assert q == pytest.approx(stats.false_discovery_control(p))


def test_excess_is_the_step_less_the_slopes_around_it() -> None:
    rng = np.random.default_rng(1)
    age = np.sort(rng.uniform(20, 80, 900))
    values = 0.05 * age + 3.0 * (age > 50) + rng.normal(0, 0.2, 900)
    search, _ = search_deswan(_group(age, values), rng.random((20, 900)))
    contrast = next(c for c in search.contrasts if c.width_years == 5.0)
    k = int(np.argmin(np.abs(contrast.ages_years - 50)))
    here = [values[(age >= 45) & (age < 50)], values[(age > 50) & (age <= 55)]]
    gap = age[(age > 50) & (age <= 55)].mean() - age[(age >= 45) & (age < 50)].mean()
    sides = [np.polyfit(age[rows], values[rows], 1)[0] for rows in ((age >= 35) & (age < 45), (age > 55) & (age <= 65))]
    assert contrast.slope[k] == pytest.approx((here[1].mean() - here[0].mean()) / gap)
    assert contrast.excess[k] == pytest.approx(contrast.slope[k] - np.mean(sides))


def test_even_ageing_keeps_the_null_maxima_above_it() -> None:
    rng = np.random.default_rng(2)
    age = rng.uniform(20, 80, 1000)
    search, profiles = search_deswan(_group(age, 0.2 * age + rng.normal(size=1000)), rng.random((200, 1000)))
    assert max(contrast.z.max() for contrast in search.contrasts) < np.quantile(search.null_maxima, 0.99)
    assert (profiles[-1].q < 0.001).all()  # while the plain profile differs everywhere, because the index rises


def test_several_rows_of_a_person_count_once() -> None:
    rng = np.random.default_rng(3)
    age = np.sort(rng.uniform(20, 80, 300))
    values = rng.normal(size=300)
    once = _group(age, values)
    n = np.repeat(np.arange(300), 3)
    thrice = Group("L4/L5", "all", age[n], values[n], once.subjects[n], once.sexes[n], once.sites[n], np.zeros((900, 0)), 1.0)
    keys = rng.random((20, 300))
    a, b = search_deswan(once, keys)[0], search_deswan(thrice, keys[:, n])[0]
    assert a.null_maxima == pytest.approx(b.null_maxima)
    assert a.contrasts[0].z == pytest.approx(b.contrasts[0].z)
