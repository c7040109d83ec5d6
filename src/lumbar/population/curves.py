"""Population curves: the degeneration index against age with its derivative, each with a band that holds over all ages at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.metrics.regression import slope
from lumbar.population.groups import Group
from lumbar.population.pspline import Fit, basis_for, fit, simultaneous_quantile, subject_multipliers

Array = NDArray[np.float64]

LEAST_SUBJECTS = 30  # of a curve
LEAST_RANGE_YEARS = 10.0
_STEP_YEARS = 0.5


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve on a grid of ages (m,), at the mean of sex and site."""

    level: str
    sex: str
    subjects: int
    rows: int
    ages_years: Array
    value: Array  # unit of the index
    low: Array  # simultaneous band
    high: Array
    slope: Array  # per year
    slope_low: Array
    slope_high: Array
    mean_slope: float  # of the straight line
    effective_df: float  # 2 for a straight line
    sd: float  # of the residuals


def draw_curve(group: Group, confidence: float, draws: int, seed: int) -> Curve | None:
    """The curve of `group`; None if it has too few people or ages."""
    subjects = int(np.unique(group.subjects).size)
    if subjects < LEAST_SUBJECTS or np.ptp(group.age_years) < LEAST_RANGE_YEARS:
        return None
    fitted = fit(group.age_years, group.values, group.covariates, subject_multipliers(group.subjects, draws, seed), basis_for(group.age_years))
    low, high = np.quantile(group.age_years, [0.005, 0.995])
    ages = np.arange(np.ceil(low / _STEP_YEARS), np.floor(high / _STEP_YEARS) + 1) * _STEP_YEARS
    value, value_half = _band(fitted, ages, 0, confidence)
    per_year, per_year_half = _band(fitted, ages, 1, confidence)
    return Curve(
        level=group.level,
        sex=group.sex,
        subjects=subjects,
        rows=len(group.values),
        ages_years=ages,
        value=value,
        low=value - value_half,
        high=value + value_half,
        slope=per_year,
        slope_low=per_year - per_year_half,
        slope_high=per_year + per_year_half,
        mean_slope=slope(group.age_years, group.values - _centred(group.covariates) @ fitted.offsets),
        effective_df=fitted.effective_df,
        sd=float(fitted.residuals.std()),
    )


def _band(fitted: Fit, ages: Array, derivative: int, confidence: float) -> tuple[Array, Array]:
    """Curve or derivative, and the half-width of its simultaneous band."""
    errors = fitted.errors(ages, derivative)
    return fitted.curve(ages, derivative), simultaneous_quantile(errors, confidence) * errors.std(axis=1)


def _centred(covariates: Array) -> Array:
    return np.asarray(covariates - covariates.mean(axis=0))
