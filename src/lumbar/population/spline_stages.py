"""Stages of acceleration from the derivative of a penalised spline.

The curve is fitted with little smoothing, and its derivative is averaged over windows with a parabolic weight (which makes it the least-squares slope of
the window). The null distribution of the excess comes from the wild bootstrap of `pspline`, over all ages, widths and curves at once: a simultaneous band.
"""

import numpy as np
from numpy.typing import NDArray

from lumbar.population.contrasts import WIDTHS_YEARS, Contrast, Search, centres
from lumbar.population.groups import Group
from lumbar.population.pspline import Basis, Fit, basis_for, fit

Array = NDArray[np.float64]

_LIGHT_PENALTY = 10**-1.5  # the windows smooth; the penalty only bridges ages without people
_DENSE_YEARS = 0.25


def search_spline(group: Group, multipliers: Array) -> Search:
    """Contrasts of `group`; `multipliers` (n, draws) as for `pspline.fit`, made from one set of subjects for all groups of a file."""
    fitted = fit(group.age_years, group.direction * group.values, group.covariates, multipliers, basis_for(group.age_years), _LIGHT_PENALTY)
    contrasts, maxima = [], np.full(multipliers.shape[1], -np.inf)
    for width in WIDTHS_YEARS:
        ages = centres(group.age_years, width)
        if len(ages) < 3:
            continue
        here, before, after = (_mean_slope(fitted.basis, ages + shift, width, group.age_years) for shift in (0, -2 * width, 2 * width))
        excess = here - (before + after) / 2
        z, errors = _studentised(excess, fitted)
        maxima = np.maximum(maxima, errors.max(axis=0))
        sides = [_studentised(here - other, fitted)[0] for other in (before, after)]
        slope, extra = (group.direction * (weights @ fitted.coefficients) for weights in (here, excess))
        contrasts.append(Contrast(width, ages, slope, extra, z, sides[0], sides[1], errors))
    return Search(tuple(contrasts), maxima)


def _studentised(weights: Array, fitted: Fit) -> tuple[Array, Array]:
    """Estimates (m,) and error draws (m, draws) of linear functions (m, size) of the coefficients, in standard errors."""
    errors = weights @ fitted.draws
    spread = np.maximum(errors.std(axis=1), 1e-300)
    return np.asarray(weights @ fitted.coefficients / spread), np.asarray(errors / spread[:, None])


def _mean_slope(basis: Basis, ages: Array, width: float, data_ages: Array) -> Array:
    """(ages, size): weights of the coefficients that give the slope averaged over age ± width, cut off where the data end."""
    low, high = np.quantile(data_ages, [0.005, 0.995])
    dense = np.arange(low, high + 1e-9, _DENSE_YEARS)
    weight = np.clip(1 - ((dense - ages[:, None]) / width) ** 2, 0, None)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True) @ basis.values(dense, 1))
