"""Evaluation of predicted ages: raw error with intervals, bias, coverage of stated intervals, and test-retest agreement.

Every figure is that of the raw prediction. Corrections for age bias are evaluated by the remaining dependence of delta on age; each person is corrected by a
model fitted on others; their "accuracy" is not reported, because two of them add the true age to the prediction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.age_table import AgeTable
from lumbar.errors import UnreadableInput, UsageError
from lumbar.metrics import regression
from lumbar.metrics.age_bias import BiasModel, crossfit_delta
from lumbar.metrics.bootstrap import Interval, Rows, bootstrap_interval

Array = NDArray[np.float64]

_LEAST_FOR_INTERVALS = 5  # subjects; fewer do not support an interval


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation."""

    within_years: float = 5.0  # "share within"
    repeats: int = 2000  # draws of the bootstrap
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class GroupError:
    """Errors of one decade, sex or site."""

    group: str
    rows: int
    subjects: int
    bias_years: Interval  # mean of predicted − true
    mae_years: float


@dataclass(frozen=True)
class DeltaAge:
    """Residual dependence of the delta on age under one correction, cross-fitted."""

    model: str
    slope: float  # years of delta per year of age
    pearson: float
    sd_years: float
    inflates_accuracy: bool


@dataclass(frozen=True)
class Baseline:
    """Predicting the median age of this table for everyone: the best constant."""

    median_age_years: float
    mae_years: float
    mae_difference_years: Interval  # model − baseline, paired bootstrap; below 0 the model is better


@dataclass(frozen=True)
class StatedIntervals:
    """The columns low and high."""

    coverage: Interval  # share of rows whose age they hold
    mean_width_years: float
    median_width_years: float


@dataclass(frozen=True)
class Retest:
    """Repeated scans of one visit."""

    subjects: int  # with at least two scans
    scans: int
    icc: Interval  # ICC(1,1) of the predicted age: repeats come in no particular order
    within_subject_sd_years: float
    repeatability_years: float  # 95 % of pairs of scans lie within this: 1.96 · √2 · within-subject SD


@dataclass(frozen=True)
class AgeEvaluation:
    """All results for a table of predictions; NaN where undefined."""

    rows: int
    subjects: int
    sites: int
    age_range_years: tuple[float, float]
    mae_years: Interval
    rmse_years: Interval
    r2: Interval
    pearson: Interval
    spearman: Interval
    share_within: Interval
    within_years: float
    bias_years: Interval
    by_decade: tuple[GroupError, ...]
    by_sex: tuple[GroupError, ...]
    by_site: tuple[GroupError, ...]
    delta_age: tuple[DeltaAge, ...]
    baseline: Baseline
    intervals: StatedIntervals | None
    retest: Retest | None
    warnings: tuple[str, ...]


def evaluate(table: AgeTable, options: EvaluationOptions | None = None) -> AgeEvaluation:
    """Score the column `predicted` of `table` against its column `age`.

    Raises:
        UnreadableInput: the table has no predictions, or several levels, which have to be evaluated one at a time.
    """
    options = options or EvaluationOptions()
    if table.predicted_years is None:
        raise UnreadableInput(f"{table.name} has no column predicted; give the predicted ages in years")
    if table.level is not None and np.unique(table.level).size > 1:
        raise UnreadableInput(f"{table.name} holds several levels ({', '.join(np.unique(table.level))}); evaluate one level at a time")
    age, predicted = table.age_years, table.predicted_years
    draw = _Draws(table.subject, options)
    scores = {
        "mae_years": draw(lambda r: regression.mean_absolute_error(age[r], predicted[r])),
        "rmse_years": draw(lambda r: regression.root_mean_squared_error(age[r], predicted[r])),
        "r2": draw(lambda r: regression.r_squared(age[r], predicted[r])),
        "pearson": draw(lambda r: regression.pearson(age[r], predicted[r])),
        "spearman": draw(lambda r: regression.spearman(age[r], predicted[r])),
        "share_within": draw(lambda r: regression.share_within(age[r], predicted[r], options.within_years)),
        "bias_years": draw(lambda r: float((predicted[r] - age[r]).mean())),
    }
    deltas, warnings = _delta_age(table, age, predicted)
    return AgeEvaluation(
        **scores,
        rows=len(table),
        subjects=int(np.unique(table.subject).size),
        sites=int(np.unique(table.site).size),
        age_range_years=(float(age.min()), float(age.max())),
        within_years=options.within_years,
        by_decade=_groups(_decades(age), table, predicted, options),
        by_sex=_groups(table.sex, table, predicted, options),
        by_site=_groups(table.site, table, predicted, options),
        delta_age=deltas,
        baseline=_baseline(age, predicted, draw),
        intervals=_intervals(table, draw),
        retest=_retest(table, predicted, options),
        warnings=(*warnings, *_warnings(table, age)),
    )


class _Draws:
    """The bootstrap of one table, by subject."""

    def __init__(self, subjects: NDArray[np.str_], options: EvaluationOptions) -> None:
        self.subjects, self.options = subjects, options

    def __call__(self, statistic) -> Interval:  # type: ignore[no-untyped-def]
        if np.unique(self.subjects).size < _LEAST_FOR_INTERVALS:
            return Interval(statistic(np.arange(len(self.subjects))), float("nan"), float("nan"), self.options.confidence)
        return bootstrap_interval(statistic, self.subjects, self.options.repeats, self.options.confidence, self.options.seed)


def _decades(age: Array) -> NDArray[np.str_]:
    start = (age // 10).astype(int) * 10
    return np.array([f"{low:02d}-{low + 9:02d}" for low in start])


def _groups(group: NDArray[np.str_], table: AgeTable, predicted: Array, options: EvaluationOptions) -> tuple[GroupError, ...]:
    error = predicted - table.age_years
    result = []
    for name in np.unique(group):
        inside = group == name
        own, subjects = error[inside], table.subject[inside]

        def mean(rows: Rows, own: Array = own) -> float:
            return float(own[rows].mean())

        bias = _Draws(subjects, options)(mean)
        result.append(GroupError(str(name), len(own), int(np.unique(subjects).size), bias, float(np.abs(own).mean())))
    return tuple(result)


def _delta_age(table: AgeTable, age: Array, predicted: Array) -> tuple[tuple[DeltaAge, ...], list[str]]:
    result, warnings = [], []
    for model in BiasModel:
        try:
            delta = crossfit_delta(model, predicted, age, table.subject)
        except UsageError as error:
            warnings.append(f"bias model {model.value}: {error}")
            continue
        spread = float(delta.std(ddof=1)) if len(delta) > 1 else float("nan")
        result.append(DeltaAge(model.value, regression.slope(age, delta), regression.pearson(age, delta), spread, model.inflates_accuracy))
    return tuple(result), warnings


def _baseline(age: Array, predicted: Array, draw: _Draws) -> Baseline:
    median = float(np.median(age))

    def gain(rows: Rows) -> float:
        return regression.mean_absolute_error(age[rows], predicted[rows]) - float(np.abs(age[rows] - np.median(age[rows])).mean())

    return Baseline(median, float(np.abs(age - median).mean()), draw(gain))


def _intervals(table: AgeTable, draw: _Draws) -> StatedIntervals | None:
    low, high, age = table.low_years, table.high_years, table.age_years
    if low is None or high is None:
        return None
    if not np.isfinite(low + high).any():
        return None  # the columns are present, but all cells are blank
    width = high - low
    coverage = draw(lambda r: regression.interval_coverage(*(column[r][np.isfinite(width[r])] for column in (age, low, high))))
    return StatedIntervals(coverage, float(np.nanmean(width)), float(np.nanmedian(width)))


def _retest(table: AgeTable, predicted: Array, options: EvaluationOptions) -> Retest | None:
    """Rows of one subject and visit that differ in `repeat` only."""
    if table.repeat is None:
        return None
    visit = [column.astype(np.str_) for column in (table.visit, table.date_days) if column is not None]
    keys = np.array(["\x1f".join(parts) for parts in zip(table.subject, *visit, strict=True)])
    _, code, count = np.unique(keys, return_inverse=True, return_counts=True)
    twice = count[code] > 1
    if not twice.any():
        return None
    values, groups, subjects = predicted[twice], code[twice], table.subject[twice]
    icc = _Draws(subjects, options)(lambda r: regression.icc_one_way(values[r], _distinct(groups[r], r)))
    sd = regression.within_subject_sd(values, groups)
    return Retest(int(np.unique(subjects).size), int(twice.sum()), icc, sd, 1.96 * np.sqrt(2) * sd)


def _distinct(groups: NDArray[np.int64], rows: Rows) -> NDArray[np.int64]:
    """Group codes in which a group that was drawn twice counts as two: the k-th copy of a row belongs to the k-th copy of its group."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    copy = np.empty(len(rows), dtype=np.int64)
    copy[order] = np.arange(len(rows)) - start
    return groups * (int(copy.max()) + 1) + copy


def _warnings(table: AgeTable, age: Array) -> list[str]:
    warnings = []
    subjects = int(np.unique(table.subject).size)
    if subjects < 30:
        warnings.append(f"{subjects} subjects are few: rely on the intervals, not on the point estimates")
    if np.ptp(age) < 20:
        warnings.append(f"ages span {np.ptp(age):.0f} years only: r, R² and the bias at other ages cannot be estimated")
    return warnings
