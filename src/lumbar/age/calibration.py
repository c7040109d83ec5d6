"""Calibration of the age network: fitted on people left out of training, stored in the model's card."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.age.out_of_distribution import FeatureDistribution
from lumbar.age.segments import LOWER_SEGMENTS, WHOLE
from lumbar.age.selta import LEAST_PEOPLE, SegmentReference, fit_selta
from lumbar.errors import ModelError
from lumbar.metrics.age_bias import Bias, BiasModel, fit_bias
from lumbar.metrics.conformal import Conformal, fit_conformal
from lumbar.metrics.spread import Spread, fit_spread

Array = NDArray[np.float64]

_PERCENTILES = np.arange(0.5, 100, 1.0)
_BINS = 5  # of the predicted age, for the intervals


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Outputs of the network for people that it was not trained on, one row per person."""

    age_years: Array  # (n,)
    segment_years: Mapping[str, Array]  # segment → (n,) predicted ages
    features: Array  # (n, features) of the whole spine
    healthy: NDArray[np.bool_]  # (n,) whether a person belongs to the reference of Selta

    def rows(self, keep: NDArray[np.bool_]) -> "HeldOut":
        """The people for whom `keep` (n,) holds."""
        return HeldOut(self.age_years[keep], {name: years[keep] for name, years in self.segment_years.items()}, self.features[keep], self.healthy[keep])


@dataclass(frozen=True)
class Calibration:
    """All parameters that are fitted after training."""

    conformal: Conformal  # of the age of the whole spine
    bias: Bias  # Beheshti's, for deltas of people whose age is known
    spread: Spread  # of corrected deltas at an age
    z_quantiles: tuple[float, ...]  # of z at the percentiles 0.5, 1.5, … 99.5
    selta: dict[str, SegmentReference]  # by lower segment; empty where the healthy reference was too small
    feature_distribution: FeatureDistribution
    ages_years: tuple[float, float]  # youngest and oldest in training
    people: int

    def delta(self, predicted_years: float, age_years: float) -> tuple[float, float, float]:
        """Corrected delta in years, its z and its percentile among people of the reference."""
        corrected = float(self.bias.delta([predicted_years], [age_years])[0])
        z = corrected / float(self.spread.at([age_years])[0])
        return corrected, z, float(np.interp(z, self.z_quantiles, _PERCENTILES))


def fit_calibration(
    people: HeldOut, feature_distribution: FeatureDistribution, ages_years: tuple[float, float], coverage: float = 0.9, seed: int = 0
) -> Calibration:
    """Fit all parameters.

    Args:
        people: held out from training, each once.
        feature_distribution: distribution of the features in training.
        ages_years: youngest and oldest in training.
        coverage: of the intervals.
        seed: of the folds in which Selta's cut is calibrated.

    Raises:
        UsageError: too few people, or predictions that do not rise with age.
    """
    age, whole = people.age_years, people.segment_years[WHOLE]
    bias = fit_bias(BiasModel.BEHESHTI, whole, age)
    delta = bias.delta(whole, age)
    spread = fit_spread(age, delta)
    z = delta / spread.at(age)
    healthy = {name: years[people.healthy] for name, years in people.segment_years.items() if name != WHOLE}
    return Calibration(
        conformal=fit_conformal(age, whole, coverage, _BINS),
        bias=bias,
        spread=spread,
        z_quantiles=tuple(float(v) for v in np.percentile(z, _PERCENTILES)),
        selta=fit_selta(healthy, age[people.healthy], seed=seed) if people.healthy.sum() >= LEAST_PEOPLE else {},
        feature_distribution=feature_distribution,
        ages_years=ages_years,
        people=len(age),
    )


def to_parameters(calibration: Calibration) -> dict[str, Any]:
    """The parameters as stored in the card."""
    document = asdict(calibration)
    document["bias"]["model"] = calibration.bias.model.value
    for name, reference in calibration.selta.items():
        document["selta"][name]["bias"]["model"] = reference.bias.model.value
        document["selta"][name]["baseline_bias"]["model"] = reference.baseline_bias.model.value
    return document


def from_parameters(document: Mapping[str, Any]) -> Calibration:
    """The calibration of a card.

    Raises:
        ModelError: a number is missing or of the wrong kind.
    """
    try:
        selta = {name: _reference(document["selta"][name]) for name in LOWER_SEGMENTS if name in document["selta"]}
        conformal = document["conformal"]
        return Calibration(
            conformal=Conformal(conformal["coverage"], *(tuple(conformal[key]) for key in ("edges_years", "half_widths_years", "counts"))),
            bias=_bias(document["bias"]),
            spread=_spread(document["spread"]),
            z_quantiles=tuple(document["z_quantiles"]),
            selta=selta,
            feature_distribution=FeatureDistribution(**{key: _tuples(value) for key, value in document["feature_distribution"].items()}),
            ages_years=(float(document["ages_years"][0]), float(document["ages_years"][1])),
            people=int(document["people"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"the card's calibration lacks a number or has one of the wrong kind ({error}); export the model again") from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _bias(document: Mapping[str, Any]) -> Bias:
    a, b, c = document["coefficients"]
    return Bias(BiasModel(document["model"]), (float(a), float(b), float(c)))


def _spread(document: Mapping[str, Any]) -> Spread:
    return Spread(tuple(document["ages_years"]), tuple(document["sd"]))


def _reference(document: Mapping[str, Any]) -> SegmentReference:
    return SegmentReference(
        document["segment"],
        _bias(document["bias"]),
        _bias(document["baseline_bias"]),
        _spread(document["spread"]),
        float(document["cut"]),
        int(document["subjects"]),
    )
