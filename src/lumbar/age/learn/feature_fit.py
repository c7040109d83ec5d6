"""Fits the linear model of age features: ridge regression whose penalty is chosen inside the training people. Needs numpy alone.

A person's series share the weight of one. Every leave-one-person-out prediction comes from the hat matrix (block-wise, exact), so that nested
cross-validation costs one solution per person and penalty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.age.features.linear import FeatureModel, Scale, Support, Weights
from lumbar.age.features.measure import NAMES, Contrast
from lumbar.age.features.table import FeatureTable
from lumbar.errors import InputError
from lumbar.metrics.age_bias import BiasModel, fit_bias
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.spread import fit_spread

Array = NDArray[np.float64]

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)  # for standardized features and people of weight 1
LEAST_PEOPLE = 12
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, eq=False)
class Data:
    """Standardized features of series with known ages."""

    z: Array  # (n, k)
    age_years: Array  # (n,)
    subject: NDArray[np.str_]  # (n,)

    def keep(self, rows: NDArray[np.bool_]) -> "Data":
        """The series for which `rows` (n,) holds."""
        return Data(self.z[rows], self.age_years[rows], self.subject[rows])

    @property
    def people(self) -> list[str]:
        """Each person once, in order."""
        return list(dict.fromkeys(self.subject.tolist()))


def scales_of(table: FeatureTable, names: Sequence[str]) -> dict[Contrast, Scale]:
    """Median and spread (half the distance of the 16th and 84th percentile) in each kind of series, of all people, whether their age is known or not."""
    scales = {}
    for contrast in dict.fromkeys(table.contrast.tolist()):
        values = table.means(names)[table.contrast == contrast]
        low, median, high = np.array([_percentiles(column) for column in values.T]).T
        spread = (high - low) / 2
        scales[contrast] = Scale(median, np.where(spread > _LEAST_SPREAD, spread, 1.0))
    return scales


def _percentiles(values: Array) -> tuple[float, float, float]:
    """The 16th, 50th and 84th percentiles of known values; zeros if there are none."""
    seen = values[np.isfinite(values)]
    low, median, high = np.percentile(seen, (16, 50, 84)) if len(seen) else (0.0, 0.0, 0.0)
    return float(low), float(median), float(high)


def data_of(table: FeatureTable, names: Sequence[str], scales: Mapping[Contrast, Scale]) -> Data:
    """The series whose age is known."""
    known = table.keep(np.isfinite(table.age_years))
    values = known.means(names)
    z = np.array([scales[contrast].z(row) for contrast, row in zip(known.contrast, values, strict=True)]).reshape(len(values), len(names))
    return Data(z, known.age_years, known.subject)


def person_weights(subject: NDArray[np.str_]) -> Array:
    """(n,) one over the number of the person's series."""
    _, inverse, count = np.unique(subject, return_inverse=True, return_counts=True)
    return np.asarray(1 / count[inverse])


def ridge(data: Data, penalty: float) -> tuple[Array, Array, float]:
    """Center (k,), weights (k,) and mean age of a weighted ridge regression."""
    share = person_weights(data.subject)
    center, mean = share @ data.z / share.sum(), float(share @ data.age_years / share.sum())
    root = np.sqrt(share)
    design = (data.z - center) * root[:, None]
    gram = design.T @ design + penalty * np.eye(design.shape[1])
    return center, np.linalg.solve(gram, design.T @ ((data.age_years - mean) * root)), mean


def left_out_ages(data: Data, penalty: float) -> Array:
    """(n,) age of each series by the model without its person."""
    root = np.sqrt(person_weights(data.subject))
    design = np.column_stack([np.ones(len(data.z)), data.z]) * root[:, None]
    gram = design.T @ design + np.diag([0.0, *[penalty] * data.z.shape[1]])
    hat = design @ np.linalg.solve(gram, design.T)
    residual = root * data.age_years - hat @ (root * data.age_years)
    result = np.empty(len(data.age_years))
    for name in data.people:
        own = np.flatnonzero(data.subject == name)
        error = np.linalg.solve(np.eye(len(own)) - hat[np.ix_(own, own)], residual[own])
        result[own] = data.age_years[own] - error / root[own]
    return result


def median_of_others(data: Data) -> dict[str, float]:
    """For each person the median age of the others."""
    ages = dict(zip(data.people, by_person(data.age_years, data), strict=True))
    return {name: float(np.median([age for other, age in ages.items() if other != name])) for name in ages}


def by_person(values: Array, data: Data) -> Array:
    """(people,) mean over each person's series."""
    return np.array([values[data.subject == name].mean() for name in data.people])


def chosen_penalty(data: Data) -> tuple[float, float]:
    """The penalty with the least leave-one-person-out error, and that error."""
    truth = by_person(data.age_years, data)
    errors = [float(np.abs(by_person(left_out_ages(data, penalty), data) - truth).mean()) for penalty in PENALTIES]
    best = int(np.argmin(errors))
    return PENALTIES[best], errors[best]


def nested_ages(candidates: Sequence[Data]) -> Array:
    """(n,) ages by leave-one-person-out, with features (which of `candidates`, of equal series) and penalty chosen among the other people each time."""
    first = candidates[0]
    result = np.empty(len(first.age_years))
    for name in first.people:
        out = first.subject == name
        choices = [(*chosen_penalty(data.keep(~out))[::-1], number) for number, data in enumerate(candidates)]
        _, penalty, number = min(choices)
        data = candidates[number]
        center, weights, mean = ridge(data.keep(~out), penalty)
        result[out] = mean + (data.z[out] - center) @ weights
    return result


def averaged(sets: Sequence[Data], penalties: Sequence[float], columns: Sequence[Sequence[int]], count: int) -> tuple[Array, float]:
    """Weights (count,) and offset of the mean of one ridge regression per set of features; `columns` are the places of a set's features among all."""
    weights, offset = np.zeros(count), 0.0
    for data, penalty, places in zip(sets, penalties, columns, strict=True):
        center, own, mean = ridge(data, penalty)
        weights[list(places)] += own / len(sets)
        offset += (mean - float(center @ own)) / len(sets)
    return weights, offset


def fitted(table: FeatureTable, sets: Sequence[Sequence[str]]) -> Weights:
    """The mean of one ridge regression per set of features, with those that each leave one person out for the intervals.

    A mean needs no choice among the sets, which a few dozen people cannot make.
    """
    names = tuple(dict.fromkeys(name for one in sets for name in one))
    scales = scales_of(table, names)
    everything = data_of(table, names, scales)
    columns = [[names.index(name) for name in one] for one in sets]
    parts = [Data(everything.z[:, places], everything.age_years, everything.subject) for places in columns]
    penalties = [chosen_penalty(part)[0] for part in parts]
    weights, offset = averaged(parts, penalties, columns, len(names))
    share = person_weights(everything.subject)
    center = share @ everything.z / share.sum()
    left_out = []
    for name in everything.people:
        out = everything.subject == name
        own, own_offset = averaged([part.keep(~out) for part in parts], penalties, columns, len(names))
        error = abs(float((everything.z[out] @ own + own_offset).mean() - everything.age_years[out][0]))
        left_out.append([*own, own_offset, error])
    return Weights(names, scales, center, weights, float(offset + center @ weights), np.array(left_out))


def nested_mean(table: FeatureTable, sets: Sequence[Sequence[str]]) -> Array:
    """(n,) ages of the series with known ages by models without their person: the mean over the sets of features."""
    return np.asarray(np.mean([nested_ages([data_of(table, names, scales_of(table, names))]) for names in sets], axis=0))


def support_of(predicted: Array, age_years: Array, guess: Array) -> Support:
    """Errors of out-of-fold ages (people,), compared with those of the baseline `guess`: the median age of all others."""
    gain = bootstrap_interval(lambda rows: float((np.abs(guess - age_years) - np.abs(predicted - age_years))[rows].mean()), np.arange(len(age_years)), 4000)
    correlation = float(np.corrcoef(predicted, age_years)[0, 1]) if np.ptp(predicted) > 0 else 0.0
    own, guessed = (float(np.abs(values - age_years).mean()) for values in (predicted, guess))
    return Support(len(age_years), own, guessed, (gain.low, gain.high), correlation)


def fit_features(
    table: FeatureTable,
    sets: Mapping[Contrast, Sequence[Sequence[str]]],
    trained_on: Mapping[Contrast, Iterable[Contrast]],
    network_sha256: str,
    coverage: float = 0.9,
) -> FeatureModel:
    """Fit one model for each kind of series.

    Args:
        table: people with known ages; series of people without enter the scales alone.
        sets: sets of names of features, whose regressions are averaged, for each kind of series.
        trained_on: kinds of series used to train the model of a kind.
        network_sha256: of the network whose ages are features.
        coverage: of the intervals.

    Raises:
        InputError: fewer than 12 people have a known age and a series of a kind.
    """
    known = table.keep(np.isfinite(table.age_years))
    guess = median_of_others(data_of(known, NAMES[:1], scales_of(known, NAMES[:1]))) if len(known.rows) else {}
    weights, support = {}, {}
    outcome: tuple[Array, Array] = (np.zeros(0), np.zeros(0))
    for contrast, own_sets in sets.items():
        kinds = set(trained_on[contrast])
        own = table.keep(np.array([kind in kinds for kind in table.contrast], dtype=bool))
        aged = own.keep(np.isfinite(own.age_years))
        if len(set(aged.subject)) < LEAST_PEOPLE:
            raise InputError(f"{len(set(aged.subject))} people with known age have a {contrast.value} series; at least {LEAST_PEOPLE} are needed to fit ages")
        weights[contrast] = fitted(own, own_sets)
        seen = np.array([kind is contrast for kind in aged.contrast])
        shown = Data(np.zeros((int(seen.sum()), 0)), aged.age_years[seen], aged.subject[seen])
        predicted, age = by_person(nested_mean(own, own_sets)[seen], shown), by_person(shown.age_years, shown)
        if len(age) > 2:
            support[contrast] = support_of(predicted, age, np.array([guess[name] for name in shown.people]))
            outcome = max(outcome, (predicted, age), key=lambda pair: len(pair[1]))
    predicted, age = outcome
    if not len(age):
        raise InputError("no kind of series has three people with known ages; add people")
    bias = fit_bias(BiasModel.BEHESHTI, predicted, age)
    ages = float(known.age_years.min()), float(known.age_years.max())
    return FeatureModel(weights, support, bias, fit_spread(age, bias.delta(predicted, age)), coverage, ages, len(age), network_sha256)
