"""Intervals of predicted age with the stated coverage (split conformal prediction).

With errors of n people the model was not trained on, the interval is prediction ∓ the ⌈(n + 1)·coverage⌉-th smallest absolute error (Vovk, Gammerman &
Shafer 2005; Lei et al. 2018). *Mondrian* intervals do so in each bin of the predicted age, because errors of the old are larger than those of the
young: bins are made on the prediction, which is known for a new person, and not on the true age, which may be unknown.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumbar.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Conformal:
    """Half-widths of the interval per bin of predicted age."""

    coverage: float  # share of people whose age the interval should contain
    edges_years: tuple[float, ...]  # inner edges of the bins; none for one bin
    half_widths_years: tuple[float, ...]  # one per bin; infinite where a bin has too few people
    counts: tuple[int, ...]  # people behind each

    def interval(self, predicted_years: ArrayLike) -> tuple[Array, Array]:
        """Lower and upper ends (n,) for predictions (n,)."""
        predicted = np.asarray(predicted_years, dtype=np.float64)
        half = np.asarray(self.half_widths_years)[np.searchsorted(self.edges_years, predicted, side="right")]
        return predicted - half, predicted + half


def conformal_quantile(errors: ArrayLike, coverage: float) -> float:
    """The ⌈(n + 1)·coverage⌉-th smallest of n absolute errors; infinite if that is more than n."""
    size = np.sort(np.abs(np.asarray(errors, dtype=np.float64)))
    rank = int(np.ceil(round((len(size) + 1) * coverage, 9)))  # rounded: 10 · 0.9 must not become 9.000…1
    return float(size[rank - 1]) if rank <= len(size) else float("inf")


def fit_conformal(age_years: ArrayLike, predicted_years: ArrayLike, coverage: float = 0.9, bins: int = 1, least: int = 50) -> Conformal:
    """Calibrate on people left out of training, one row per person.

    Args:
        age_years: (n,) true ages.
        predicted_years: (n,) predictions.
        coverage: share that the intervals shall hold.
        bins: bins of equally many people, by predicted age; 1 for plain split conformal prediction.
        least: a bin needs so many people; there are fewer bins where n does not suffice.

    Raises:
        UsageError: `coverage` is not between 0 and 1, or there are too few people to promise it.
    """
    age, predicted = np.asarray(age_years, dtype=np.float64), np.asarray(predicted_years, dtype=np.float64)
    if not 0 < coverage < 1:
        raise UsageError(f"a coverage lies between 0 and 1, not at {coverage}")
    if not np.isfinite(conformal_quantile(predicted - age, coverage)):
        least = int(np.ceil(round(coverage / (1 - coverage), 9)))
        raise UsageError(f"{len(age)} people are too few for intervals of {coverage:.0%}; at least {least} are needed")
    count = max(1, min(bins, len(age) // least))
    edges = np.unique(np.quantile(predicted, np.arange(1, count) / count))
    place = np.searchsorted(edges, predicted, side="right")
    widths = tuple(conformal_quantile((predicted - age)[place == k], coverage) for k in range(len(edges) + 1))
    return Conformal(coverage, tuple(map(float, edges)), widths, tuple(int((place == k).sum()) for k in range(len(edges) + 1)))
