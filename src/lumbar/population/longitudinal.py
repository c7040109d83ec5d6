"""Longitudinal data: annual change, reliable change beyond measurement error, and a mixed model."""

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.age_table import AgeTable
from lumbar.errors import UsageError
from lumbar.metrics.regression import slope, within_subject_sd
from lumbar.population.groups import WHOLE, values_of

Array = NDArray[np.float64]

_LEAST_YEARS = 0.25  # between first and last visit; below it the annual change is dominated by noise
_LEAST_SUBJECTS = 10  # for a mixed model
_DAYS_A_YEAR = 365.25
_SLOPES_CHI2 = 5.14  # 95 % point of the equal mixture of χ² with 1 and 2 degrees of freedom (Stram & Lee 1994)


@dataclass(frozen=True)
class Change:
    """One subject at one level, from the first to the last visit."""

    subject: str
    level: str
    visits: int
    years: float  # between first and last
    first: float  # index, or predicted age, mean of repeats
    last: float
    change_per_year: float  # least-squares slope over all visits
    reliable_change_index: float  # (last − first) / (√2 · SEM) (Jacobson & Truax 1991); NaN without repeats
    reliable: bool  # its size is above 1.96


@dataclass(frozen=True)
class MixedModel:
    """Index ~ years since the first visit + age at the first visit + sex, with an intercept for each subject.

    With typically three visits per subject, each also has a random slope if a likelihood-ratio test supports it.
    """

    level: str
    subjects: int
    visits: int
    change_per_year: float  # within people
    low: float  # 95 %
    high: float
    p: float
    between_people_per_year: float  # slope on age at the first visit, as in a cross-sectional analysis
    sd_between: float  # of the subjects' intercepts
    sd_slopes: float  # of the subjects' slopes; 0 where they are not modelled
    sd_within: float
    converged: bool


@dataclass(frozen=True, eq=False)
class _Visits:
    """Mean of the repeats of each visit, in order of subject and time."""

    subject: NDArray[np.str_]
    sex: NDArray[np.str_]
    years: Array  # since the first visit
    age: Array  # at the first visit
    value: Array


@dataclass(frozen=True)
class Longitudinal:
    """Results of people with several visits."""

    changes: tuple[Change, ...]
    sem: dict[str, float]  # level → standard error of measurement, from repeats of one visit; missing without repeats
    models: tuple[MixedModel, ...]
    warnings: tuple[str, ...]


def follow(table: AgeTable, mixed: bool = True) -> Longitudinal | None:
    """Changes of all subjects with visits at least a quarter of a year apart; None if there are none.

    Time comes from the column date where there is one, else from the ages.

    Raises:
        UsageError: a mixed model is wanted and possible, but statsmodels is not installed.
    """
    values = values_of(table)
    level = table.level if table.level is not None else np.full(len(table), WHOLE)
    changes: list[Change] = []
    models, notes, sems = [], [], {}
    for name in dict.fromkeys(level.tolist()):
        rows = level == name
        sem = _sem(table, values, rows)
        if np.isfinite(sem):
            sems[name] = sem
        visits = _visits(table, values, rows)
        own = _changes(visits, name, sem)
        changes += own
        if own and not np.isfinite(sem):
            notes.append(f"{name}: no reliable change without a column repeat, as the measurement error is unknown")
        if mixed and len(own) >= _LEAST_SUBJECTS:
            models.append(_mixed(visits, name))
    return Longitudinal(tuple(changes), sems, tuple(models), tuple(notes)) if changes else None


def _keys(table: AgeTable, rows: NDArray[np.bool_]) -> NDArray[np.str_]:
    """One word per subject and visit."""
    columns = [c.astype(np.str_) for c in (table.visit, table.date_days) if c is not None] or [table.age_years.astype(np.str_)]
    return np.array(["\x1f".join(parts) for parts in zip(table.subject[rows], *(c[rows] for c in columns), strict=True)])


def _sem(table: AgeTable, values: Array, rows: NDArray[np.bool_]) -> float:
    return within_subject_sd(values[rows], _keys(table, rows)) if table.repeat is not None else float("nan")


def _visits(table: AgeTable, values: Array, rows: NDArray[np.bool_]) -> _Visits:
    _, first, code, count = np.unique(_keys(table, rows), return_index=True, return_inverse=True, return_counts=True)

    def mean(column: Array) -> Array:
        return np.bincount(code, weights=column[rows]) / count

    subject, sex = table.subject[rows][first], table.sex[rows][first]
    age, value = mean(table.age_years), mean(values)
    time = mean(table.date_days / _DAYS_A_YEAR) if table.date_days is not None else age
    order = np.lexsort((time, subject))
    subject, sex, age, value, time = subject[order], sex[order], age[order], value[order], time[order]
    start = np.flatnonzero(np.r_[True, subject[1:] != subject[:-1]])
    begin = np.repeat(start, np.diff(np.r_[start, len(subject)]))
    return _Visits(subject, sex, time - time[begin], age[begin], value)


def _changes(visits: _Visits, level: str, sem: float) -> list[Change]:
    result = []
    for name in np.unique(visits.subject):
        own = np.flatnonzero(visits.subject == name)
        years = float(visits.years[own[-1]])
        if len(own) < 2 or years < _LEAST_YEARS:
            continue
        first, last = float(visits.value[own[0]]), float(visits.value[own[-1]])
        index = (last - first) / (np.sqrt(2) * sem) if sem > 0 else float("nan")
        per_year = slope(visits.years[own], visits.value[own])
        result.append(Change(str(name), level, len(own), years, first, last, per_year, float(index), bool(abs(index) > 1.96)))
    return result


def _mixed(visits: _Visits, level: str) -> MixedModel:
    try:
        mixed_linear = importlib.import_module("statsmodels.regression.mixed_linear_model")
    except ImportError as error:
        raise UsageError("the mixed model needs statsmodels: pip install 'lumbar[stats]', or leave it out with --no-mixed") from error
    names, code, count = np.unique(visits.subject, return_inverse=True, return_counts=True)
    columns = [np.ones(len(code)), visits.years, visits.age - visits.age.mean()]
    if np.unique(visits.sex).size > 1:
        columns.append((visits.sex == np.unique(visits.sex)[0]).astype(np.float64))
    scale = float(visits.value.std()) or 1.0

    def fitted_with(random: Array | None) -> Any:
        with warnings.catch_warnings():  # convergence is recorded in `converged`
            warnings.simplefilter("ignore")
            model = mixed_linear.MixedLM(visits.value / scale, np.column_stack(columns), groups=code, exog_re=random)
            return model.fit(reml=True, method=["lbfgs", "powell"])

    fitted = fitted_with(None)
    slopes = False
    if np.median(count) >= 3:
        richer = fitted_with(np.column_stack(columns[:2]))
        slopes = bool(richer.converged and 2 * (richer.llf - fitted.llf) > _SLOPES_CHI2)
        fitted = richer if slopes else fitted
    low, high = fitted.conf_int()[1]
    covariance = np.asarray(fitted.cov_re)
    return MixedModel(
        level=level,
        subjects=len(names),
        visits=len(code),
        change_per_year=float(fitted.fe_params[1]) * scale,
        low=float(low) * scale,
        high=float(high) * scale,
        p=float(fitted.pvalues[1]),
        between_people_per_year=float(fitted.fe_params[2]) * scale,
        sd_between=float(np.sqrt(max(covariance[0, 0], 0))) * scale,
        sd_slopes=float(np.sqrt(max(covariance[1, 1], 0))) * scale if slopes else 0.0,
        sd_within=float(np.sqrt(fitted.scale)) * scale,
        converged=bool(fitted.converged),
    )
