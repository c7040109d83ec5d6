"""Distribution of the values of every column in each group."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lumbar.population.cohort.strata import Stratum
from lumbar.population.cohort.table import CohortTable, Column

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


@dataclass(frozen=True)
class Distribution:
    """One column in one group, in the unit of the column."""

    column: Column
    by: str
    group: str
    n: int
    missing: int  # studies of the group without a value
    mean: float
    sd: float  # n − 1; NaN for one value
    quantiles: tuple[float, ...]  # at QUANTILES
    minimum: float
    maximum: float


def distributions(table: CohortTable, strata: Sequence[Stratum]) -> Iterator[Distribution]:
    """Columns in order, each in all groups that have a value."""
    for number, column in enumerate(table.columns):
        values = table.values[:, number]
        for stratum in strata:
            own = values[stratum.rows]
            known = np.sort(own[np.isfinite(own)])
            if not len(known):
                continue
            wide = known.astype(np.float64)
            sd = float(wide.std(ddof=1)) if len(wide) > 1 else float("nan")
            yield Distribution(
                column, stratum.by, stratum.group, len(known), len(own) - len(known), float(wide.mean()), sd,
                tuple(sorted_quantile(wide, q) for q in QUANTILES), float(wide[0]), float(wide[-1]),
            )  # fmt: skip


def sorted_quantile(known: np.ndarray, q: float) -> float:
    """The quantile of sorted values by linear interpolation (Hyndman and Fan 1996, type 7), without sorting again."""
    place = q * (len(known) - 1)
    low = int(place)
    high = min(low + 1, len(known) - 1)
    return float(known[low] + (place - low) * (known[high] - known[low]))
