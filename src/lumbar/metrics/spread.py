"""Spread of a value among people of one age."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_BANDWIDTH_YEARS = 8.0


@dataclass(frozen=True)
class Spread:
    """Standard deviation against age, known at some ages, interpolated in between and kept beyond them."""

    ages_years: tuple[float, ...]
    sd: tuple[float, ...]  # unit of the values

    def at(self, age_years: ArrayLike) -> Array:
        """(n,) standard deviation at each age."""
        return np.asarray(np.interp(np.asarray(age_years, dtype=np.float64), self.ages_years, self.sd))


def fit_spread(age_years: Array, values: Array) -> Spread:
    """Standard deviation of `values` (n,) around their mean in a Gaussian window over age, at 13 ages from the 2nd to the 98th percentile."""
    ages = np.linspace(np.quantile(age_years, 0.02), np.quantile(age_years, 0.98), 13)
    weight = np.exp(-0.5 * ((age_years - ages[:, None]) / _BANDWIDTH_YEARS) ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ values
    sd = np.sqrt(np.maximum(weight @ values**2 - mean**2, 1e-12))
    return Spread(tuple(map(float, ages)), tuple(map(float, sd)))
