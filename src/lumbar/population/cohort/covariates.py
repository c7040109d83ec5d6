"""Age and sex as covariates of a linear model, for people with known values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.population.cohort.people import People

_LEAST_KNOWN = 0.5  # share of people; below it a covariate would exclude too many people


@dataclass(frozen=True, eq=False)
class Covariates:
    """The design matrix of the covariates."""

    names: tuple[str, ...]  # of the covariates: "age", "sex"
    design: NDArray[np.float64]  # (n, b) the constant, age and its square in decades from the mean, and sex
    known: NDArray[np.bool_]  # (n,) rows that can be used


def covariates_of(people: People) -> Covariates:
    """Age and sex where at least half of the people have them, else only the constant."""
    n = len(people.sex)
    known, names, columns = np.ones(n, np.bool_), [], [np.ones(n)]
    has_age, has_sex = np.isfinite(people.age_years), people.sex != ""
    if n and has_age.mean() >= _LEAST_KNOWN and np.ptp(people.age_years[has_age]) > 0:
        decades = np.where(has_age, (people.age_years - people.age_years[has_age].mean()) / 10, 0.0)
        names.append("age")
        columns += [decades, decades**2]
        known &= has_age
    if n and has_sex.mean() >= _LEAST_KNOWN and len(np.unique(people.sex[has_sex])) == 2:
        names.append("sex")
        columns.append((people.sex == "F").astype(np.float64))
        known &= has_sex
    return Covariates(tuple(names), np.column_stack(columns), known)
