"""Distance of each study from its cohort, to prioritise visual inspection."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.population.cohort.table import CohortTable, Column

_MAD_TO_SD = 1.4826  # of a normal distribution
_CLIPPED = 12.0  # one absurd value should not mask the others
_WORST = 5  # values averaged in the distance
_LEAST_STUDIES = 10  # with a value; fewer do not define a distribution


@dataclass(frozen=True, eq=False)
class Outliers:
    """Distances of studies from their cohort."""

    distance: NDArray[np.float64]  # (n,) mean of the five largest |z|; NaN where the cohort is too small
    farthest: tuple[Column | None, ...]  # (n,) the column with the largest |z|
    farthest_z: NDArray[np.float64]  # (n,)
    missing: NDArray[np.int64]  # (n,) columns present in at least 90 % of studies but missing in this one


def find_outliers(table: CohortTable) -> Outliers:
    """Distance of every study, by robust z-scores: (value − median) / (1.4826 · median absolute deviation), Iglewicz and Hoaglin 1993."""
    n = len(table.studies)
    top = np.zeros((n, _WORST))
    farthest, farthest_z = np.full(n, -1), np.zeros(n)
    missing, used = np.zeros(n, np.int64), 0
    for number in range(len(table.columns)):
        values = table.values[:, number].astype(np.float64)
        known = np.isfinite(values)
        if known.sum() >= 0.9 * n:
            missing += ~known
        z = robust_z(values)
        if z is None:
            continue
        used += 1
        size = np.minimum(np.abs(np.nan_to_num(z)), _CLIPPED)
        farther = size > np.abs(farthest_z)
        farthest[farther], farthest_z[farther] = number, np.clip(z[farther], -_CLIPPED, _CLIPPED)
        top = np.sort(np.column_stack([top, size]), axis=1)[:, 1:]
    columns = tuple(table.columns[number] if number >= 0 else None for number in farthest)
    distance = top[:, -min(_WORST, max(used, 1)) :].mean(axis=1) if used else np.full(n, np.nan)
    return Outliers(distance, columns, farthest_z, missing)


def robust_z(values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(n,) robust z-scores; None where too few values are known, or most are equal (grades of mostly normal people have no scale of their own)."""
    known = values[np.isfinite(values)]
    if len(known) < _LEAST_STUDIES:
        return None
    middle = float(np.median(known))
    spread = _MAD_TO_SD * float(np.median(np.abs(known - middle)))
    return (values - middle) / spread if spread > 0 else None
