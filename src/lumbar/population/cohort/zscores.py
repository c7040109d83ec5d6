"""z-scores of all values relative to this cohort, adjusted for age and sex."""

import numpy as np
from numpy.typing import NDArray

from lumbar.population.cohort.covariates import Covariates
from lumbar.population.cohort.linear import residuals
from lumbar.population.cohort.table import CohortTable

_LEAST = 20  # people with a value


def z_scores(table: CohortTable, covariates: Covariates) -> NDArray[np.float32]:
    """(n, c) residuals of a linear model on the covariates over their standard deviation; NaN where a value, age or sex is unknown.

    Columns with fewer than 20 values, or without any spread, are NaN, as their distribution is unknown.
    """
    scores = np.full(table.values.shape, np.nan, np.float32)
    for number in range(len(table.columns)):
        values = table.values[:, number]
        rows = np.isfinite(values) & covariates.known
        if rows.sum() < _LEAST:
            continue
        left = residuals(values[rows].astype(np.float64), covariates.design[rows])
        spread = float(np.sqrt(left @ left / max(1, rows.sum() - covariates.design.shape[1])))
        if spread > 1e-9 * max(1.0, float(np.abs(values[rows]).max())):
            scores[rows, number] = left / spread
    return scores
