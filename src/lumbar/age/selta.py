"""Selta (segment delta): excess age of a lower segment over L1–L3, in standard deviations of healthy people of that age.

The bias-corrected age of the segment minus that of the L1–L3 baseline, divided by the standard deviation of this difference in a healthy reference at the
person's age. L1–L3 follows true age best, so an excess of a lower level is not explained by age. A segment is *flagged* where the value lies
above the calibrated 95 % range of healthy people: 5 in 100 healthy people are flagged at each segment, by construction. The range is one-sided, because
only an excess is of interest. The correction is Cole's, which does not mix the true age into either side.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumbar.age.segments import BASELINE
from lumbar.errors import UsageError
from lumbar.metrics.age_bias import Bias, BiasModel, fit_bias
from lumbar.metrics.conformal import conformal_quantile
from lumbar.metrics.spread import Spread, fit_spread

Array = NDArray[np.float64]

LEAST_PEOPLE = 100  # in the healthy reference
_FOLDS = 5


@dataclass(frozen=True)
class SegmentReference:
    """Reference distribution of one lower segment in healthy people."""

    segment: str
    bias: Bias  # of the segment's age
    baseline_bias: Bias  # of the L1–L3 age
    spread: Spread  # of the difference in healthy people, years
    cut: float  # values above it are flagged
    subjects: int

    def value(self, segment_years: ArrayLike, baseline_years: ArrayLike, age_years: ArrayLike) -> Array:
        """(n,) Selta of predicted ages (n,) of the segment and of L1–L3 in people of `age_years` (n,)."""
        difference = self.bias.corrected_age(segment_years, age_years) - self.baseline_bias.corrected_age(baseline_years, age_years)
        return np.asarray(difference / self.spread.at(age_years))

    def flagged(self, value: ArrayLike) -> NDArray[np.bool_]:
        """Whether values lie above the calibrated range."""
        return np.asarray(np.asarray(value) > self.cut)


def fit_selta(segment_years: Mapping[str, ArrayLike], age_years: ArrayLike, coverage: float = 0.95, seed: int = 0) -> dict[str, SegmentReference]:
    """Reference per lower segment from healthy people left out of training of the age model, one row per person.

    Args:
        segment_years: segment → (n,) predicted ages; "L1-L3" must be among them.
        age_years: (n,) true ages.
        coverage: share of healthy people that is not flagged at a segment.
        seed: of the folds in which the cut is calibrated.

    Raises:
        UsageError: there is no L1–L3, or too few people.
    """
    if BASELINE not in segment_years:
        raise UsageError(f"Selta compares with the segment {BASELINE!r}; found {sorted(segment_years)}")
    age = np.asarray(age_years, dtype=np.float64)
    baseline = np.asarray(segment_years[BASELINE], dtype=np.float64)
    if len(age) < LEAST_PEOPLE:
        raise UsageError(f"Selta needs a healthy reference of at least {LEAST_PEOPLE} people, found {len(age)}")
    fold = np.random.default_rng(seed).permutation(len(age)) % _FOLDS
    result = {}
    for name, years in segment_years.items():
        if name == BASELINE:
            continue
        segment = np.asarray(years, dtype=np.float64)
        held_out = np.empty(len(age))
        for number in range(_FOLDS):
            test = fold == number
            held_out[test] = _fit(name, segment[~test], baseline[~test], age[~test], np.inf).value(segment[test], baseline[test], age[test])
        shift = held_out.min()  # the quantile is that of the signed value; the conformal one takes sizes
        result[name] = _fit(name, segment, baseline, age, conformal_quantile(held_out - shift, coverage) + shift)
    return result


def _fit(name: str, segment: Array, baseline: Array, age: Array, cut: float) -> SegmentReference:
    own, base = fit_bias(BiasModel.COLE, segment, age), fit_bias(BiasModel.COLE, baseline, age)
    difference = own.corrected_age(segment, age) - base.corrected_age(baseline, age)
    return SegmentReference(name, own, base, fit_spread(age, difference), float(cut), len(age))
