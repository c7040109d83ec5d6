"""Age deltas of a whole table: raw, corrected by every bias model, and how unusual they are at that age."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from lumbar.datasets.age_table import AgeTable
from lumbar.errors import UsageError
from lumbar.metrics.age_bias import Bias, BiasModel, crossfit_delta, fit_bias
from lumbar.metrics.regression import pearson, slope
from lumbar.metrics.spread import fit_spread

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Deltas:
    """Per row of a table; a person is corrected by models fitted on others."""

    level: str
    rows: NDArray[np.int64]  # (n,) row numbers of the table
    by_model: dict[str, Array]  # bias model → (n,) corrected delta, years
    z: Array  # (n,) Beheshti's delta in standard deviations of people of that age
    percentile: Array  # (n,) share of people of the table with a lower z, 0 to 100


@dataclass(frozen=True)
class BiasFit:
    """One bias model on all rows of a level, and its residuals."""

    level: str
    model: str
    intercept_years: float
    slope: float
    quadratic: float
    delta_age_slope: float  # years of corrected delta a year of age, correcting people by models fitted on others
    delta_age_pearson: float
    inflates_accuracy: bool


def deltas_of(table: AgeTable, level: str, rows: NDArray[np.bool_]) -> tuple[Deltas | None, tuple[BiasFit, ...], tuple[str, ...]]:
    """Deltas and bias models of the rows of one level, and why a model was left out.

    Without enough people for the linear model the deltas are None.
    """
    assert table.predicted_years is not None  # checked by the caller
    part = table.rows(rows)
    age, predicted = part.age_years, table.predicted_years[rows]
    by_model: dict[str, Array] = {}
    fits, warnings = [], []
    for model in BiasModel:
        try:
            delta = crossfit_delta(model, predicted, age, part.subject)
            bias: Bias = fit_bias(model, predicted, age)
        except UsageError as error:
            warnings.append(f"{level}: no bias model {model.value!r}: {error}")
            continue
        by_model[model.value] = delta
        fits.append(BiasFit(level, model.value, *bias.coefficients, slope(age, delta), pearson(age, delta), model.inflates_accuracy))
    linear = by_model.get(BiasModel.BEHESHTI.value)
    if linear is None:
        return None, tuple(fits), tuple(warnings)
    z = linear / fit_spread(age, linear).at(age)
    percentile = 100 * (stats.rankdata(z) - 0.5) / len(z)
    return Deltas(level, np.flatnonzero(rows), by_model, z, percentile), tuple(fits), tuple(warnings)
