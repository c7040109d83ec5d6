"""Penalised splines against straight lines, known curves and their own promise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lumbar.population.pspline import Basis, Fit, basis_for, fit, simultaneous_quantile, subject_multipliers

Array = NDArray[np.float64]


def _fit(age: Array, values: Array, covariates: Array | None = None, penalty: float | None = None) -> Fit:
    columns = np.zeros((len(age), 0)) if covariates is None else covariates
    return fit(age, values, columns, subject_multipliers(np.arange(len(age)).astype(str), 300, 0), basis_for(age), penalty)


def test_basis_sums_to_one_and_has_the_right_derivative() -> None:
    basis, ages = Basis(20, 80, 12), np.linspace(20, 80, 97)
    assert basis.values(ages).sum(axis=1) == pytest.approx(np.ones(97))
    inside = ages[1:-1]
    numeric = (basis.values(inside + 1e-5) - basis.values(inside - 1e-5)) / 2e-5
    assert basis.values(inside, 1) == pytest.approx(numeric, abs=1e-6)


def test_a_heavy_penalty_gives_the_least_squares_line() -> None:
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 80, 200)
    values = np.sin(age / 8) + rng.normal(size=200)
    fitted = _fit(age, values, penalty=1e8)
    slope, intercept = np.polyfit(age, values, 1)
    assert fitted.curve(np.array([25.0, 50.0, 75.0])) == pytest.approx(intercept + slope * np.array([25.0, 50.0, 75.0]), abs=1e-4)
    assert fitted.effective_df == pytest.approx(2, abs=1e-3)


def test_a_curve_is_found_and_a_line_stays_one() -> None:
    rng = np.random.default_rng(1)
    age = rng.uniform(20, 80, 2000)
    grid = np.linspace(23, 77, 60)
    wave = _fit(age, np.sin(age / 8) + rng.normal(0, 0.5, 2000))
    assert np.abs(wave.curve(grid) - np.sin(grid / 8)).max() < 0.15
    assert np.abs(wave.curve(grid, 1) - np.cos(grid / 8) / 8).max() < 0.08
    line = _fit(age, 0.1 * age + rng.normal(0, 0.5, 2000))
    assert line.curve(grid, 1) == pytest.approx(np.full(60, 0.1), abs=0.02)


def test_units_of_the_values_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    age = rng.uniform(20, 80, 500)
    values = np.sin(age / 8) + rng.normal(0, 0.5, 500)
    small, large = _fit(age, values), _fit(age, 1000 * values + 5)
    assert large.penalty == small.penalty
    assert large.curve(age) == pytest.approx(1000 * small.curve(age) + 5, rel=1e-6)


def test_covariates_are_held_fixed() -> None:
    """Women are older here and lie lower by 2: without the covariate the curve would fall."""
    rng = np.random.default_rng(3)
    age = rng.uniform(20, 80, 3000)
    woman = (rng.random(3000) < (age - 20) / 60).astype(float)
    values = 0.02 * age - 2 * woman + rng.normal(0, 0.5, 3000)
    fitted = _fit(age, values, woman[:, None])
    assert fitted.offsets[0] == pytest.approx(-2, abs=0.1)
    assert fitted.curve(np.array([30.0, 50.0, 70.0]), 1) == pytest.approx([0.02] * 3, abs=0.02)


def test_ages_without_people_are_bridged() -> None:
    rng = np.random.default_rng(4)
    age = np.concatenate([rng.uniform(20, 35, 200), rng.uniform(60, 80, 200)])
    fitted = _fit(age, 0.1 * age + rng.normal(0, 0.1, 400))
    assert fitted.curve(np.array([47.0]))[0] == pytest.approx(4.7, abs=0.3)


def test_rows_of_one_person_move_together() -> None:
    rng = np.random.default_rng(5)
    age = rng.uniform(20, 80, 200)
    values = rng.normal(size=200)
    four, who = np.repeat(age, 4), np.repeat(np.arange(200).astype(str), 4)
    basis, grid = basis_for(age), np.linspace(30, 70, 9)
    alone = fit(age, values, np.zeros((200, 0)), subject_multipliers(np.arange(200).astype(str), 2000, 0), basis, 100.0)
    copied = fit(four, np.repeat(values, 4), np.zeros((800, 0)), subject_multipliers(who, 2000, 0), basis, 100.0)
    assert copied.errors(grid).std(axis=1) == pytest.approx(alone.errors(grid).std(axis=1), rel=0.15)


def test_simultaneous_quantile_of_independent_normals() -> None:
    """The 95 % point of the largest of 20 independent |z| is Φ⁻¹ of (1 + 0.95^(1/20)) / 2 = 3.02."""
    errors = np.random.default_rng(6).normal(0, [[k + 1.0] for k in range(20)], (20, 20000))
    assert simultaneous_quantile(errors, 0.95) == pytest.approx(3.02, abs=0.05)
