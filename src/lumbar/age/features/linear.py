"""A linear model of age: standardized features, their weights, and what each adds in years at each level. Data of a card, no code.

Each kind of series has its own scale (median and spread of many people), so that one set of weights serves several contrasts. The interval is that of
jackknife+ (Barber et al., Ann Stat 2021;49:486): from the models that each leave one person of the training out, and their errors on that person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.age.features.measure import NAMES, NETWORK, AgeFeatures, Contrast
from lumbar.errors import ModelError
from lumbar.metrics.age_bias import Bias, BiasModel
from lumbar.metrics.spread import Spread

Array = NDArray[np.float64]

_MOST_Z = 3.0  # values further from the median count as this far


@dataclass(frozen=True, eq=False)
class Scale:
    """Median and spread of every feature among people, in one kind of series."""

    median: Array  # (k,)
    spread: Array  # (k,)

    def z(self, features: Array) -> Array:
        """(..., k) standardized features; 0, the median, where missing."""
        return np.asarray(np.clip(np.nan_to_num(self.deviations(features)), -_MOST_Z, _MOST_Z))

    def deviations(self, features: Array) -> Array:
        """(..., k) distances from the median in units of the spread, without bounds; NaN where missing."""
        return np.asarray((features - self.median) / self.spread)


@dataclass(frozen=True)
class Support:
    """Accuracy of ages from one kind of series, in people left out of the fit."""

    people: int
    mae_years: float
    guess_mae_years: float  # of guessing the median age of the others
    gain_years: tuple[float, float]  # 95 % interval of the error of the median age minus that of the model
    correlation: float

    @property
    def shown(self) -> bool:
        """Whether the model is shown to be better than guessing the median age."""
        return self.gain_years[0] > 0


@dataclass(frozen=True, eq=False)
class Weights:
    """One fitted model."""

    names: tuple[str, ...]  # of the features
    scales: Mapping[Contrast, Scale]
    center: Array  # (k,) mean of the standardized features in training
    weights: Array  # (k,) years per unit
    mean_years: float
    left_out: Array  # (people, k + 2): weights, offset and absolute error of the model without each person

    def z(self, features: AgeFeatures, contrast: Contrast) -> Array:
        """(k,) standardized features."""
        return self.scales[contrast].z(self._means(features))

    def deviations(self, features: AgeFeatures, contrast: Contrast) -> Array:
        """(k,) distances of the features from their median in units of the spread, without bounds; NaN where missing."""
        return self.scales[contrast].deviations(self._means(features))

    def _means(self, features: AgeFeatures) -> Array:
        return features.means[[NAMES.index(name) for name in self.names]]

    def years(self, z: Array) -> float:
        """The age."""
        return float(self.mean_years + (z - self.center) @ self.weights)

    def interval(self, z: Array, coverage: float) -> tuple[float, float]:
        """Jackknife+ interval."""
        count = len(self.left_out)
        ages, errors = self.left_out[:, :-2] @ z + self.left_out[:, -2], self.left_out[:, -1]
        rank = int(np.ceil(coverage * (count + 1)))
        if rank > count:
            return float("-inf"), float("inf")
        return float(np.sort(ages - errors)[count - rank]), float(np.sort(ages + errors)[rank - 1])

    def contributions(self, features: AgeFeatures, contrast: Contrast) -> Array:
        """(k, 5) years that each feature adds at each level, against the people of the training; they sum to the age minus the mean age."""
        z = self.z(features, contrast)
        values = features.values[[NAMES.index(name) for name in self.names]]
        seen = np.isfinite(values)
        scale = self.scales[contrast]
        single = np.where(seen, (values - scale.median[:, None]) / scale.spread[:, None], 0.0)
        total = single.sum(axis=1)
        # The levels share the feature's z, which may have been clipped; a feature that was measured at no level has z 0.
        share = np.where(seen, 1.0, 0.0) / np.maximum(seen.sum(axis=1, keepdims=True), 1)
        mean = total / np.maximum(seen.sum(axis=1), 1)
        own = single / np.maximum(seen.sum(axis=1, keepdims=True), 1) + share * (z - mean)[:, None]
        own = own - np.where(seen.any(axis=1, keepdims=True), share, 1 / values.shape[1]) * self.center[:, None]
        return np.asarray(own * self.weights[:, None])

    def segment_years(self, features: AgeFeatures, contrast: Contrast, levels: Sequence[int], network: str) -> float | None:
        """The age of a spine with all levels equal to the mean of `levels` (columns); the feature `network` is its network age. None without levels."""
        scale = self.scales[contrast]
        values = features.values[[NAMES.index(name) for name in self.names]]
        z = np.zeros(len(self.names))
        seen_anything = False
        own_network = self.names.index(network) if network in self.names else None
        for number, name in enumerate(self.names):
            row = own_network if name in NETWORK else number
            if row is None:
                continue
            seen = values[row, list(levels)]
            seen = seen[np.isfinite(seen)]
            if len(seen):
                z[number] = np.clip((seen.mean() - scale.median[row]) / scale.spread[row], -_MOST_Z, _MOST_Z)
                seen_anything = True
        return self.years(z) if seen_anything else None


@dataclass(frozen=True, eq=False)
class FeatureModel:
    """The models of all kinds of series, with the calibration of their ages."""

    weights: Mapping[Contrast, Weights]
    support: Mapping[Contrast, Support]
    bias: Bias  # Beheshti's, from ages of people left out
    spread: Spread  # of corrected deltas
    coverage: float
    ages_years: tuple[float, float]
    people: int
    network_sha256: str  # of the network whose ages are features


def to_parameters(model: FeatureModel) -> dict[str, Any]:
    """The model as stored in a card."""
    return {
        "weights": {contrast.value: _weights_document(weights) for contrast, weights in model.weights.items()},
        "support": {contrast.value: vars(support) for contrast, support in model.support.items()},
        "bias": {"model": model.bias.model.value, "coefficients": list(model.bias.coefficients)},
        "spread": {"ages_years": list(model.spread.ages_years), "sd": list(model.spread.sd)},
        "coverage": model.coverage,
        "ages_years": list(model.ages_years),
        "people": model.people,
        "network_sha256": model.network_sha256,
    }


def from_parameters(document: Mapping[str, Any]) -> FeatureModel:
    """The model of a card.

    Raises:
        ModelError: a number is missing or of the wrong kind, or a feature is unknown.
    """
    try:
        bias = document["bias"]
        a, b, c = map(float, bias["coefficients"])
        return FeatureModel(
            weights={Contrast(name): _weights(entry) for name, entry in document["weights"].items()},
            support={Contrast(name): _support(entry) for name, entry in document["support"].items()},
            bias=Bias(BiasModel(bias["model"]), (a, b, c)),
            spread=Spread(tuple(document["spread"]["ages_years"]), tuple(document["spread"]["sd"])),
            coverage=float(document["coverage"]),
            ages_years=(float(document["ages_years"][0]), float(document["ages_years"][1])),
            people=int(document["people"]),
            network_sha256=str(document["network_sha256"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelError(f"the card's feature model lacks a number or has one of the wrong kind ({error}); fit the model again") from error


def _weights_document(weights: Weights) -> dict[str, Any]:
    return {
        "names": list(weights.names),
        "scales": {kind.value: {"median": _digits(scale.median), "spread": _digits(scale.spread)} for kind, scale in weights.scales.items()},
        "center": _digits(weights.center),
        "weights": _digits(weights.weights),
        "mean_years": round(weights.mean_years, 4),
        "left_out": [_digits(row) for row in weights.left_out],
    }


def _weights(document: Mapping[str, Any]) -> Weights:
    names = tuple(document["names"])
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"unknown features {', '.join(unknown)}")
    scales = {Contrast(kind): Scale(np.array(entry["median"], float), np.array(entry["spread"], float)) for kind, entry in document["scales"].items()}
    center, weights, left_out = (np.array(document[key], float) for key in ("center", "weights", "left_out"))
    own = Weights(names, scales, center, weights, float(document["mean_years"]), left_out)
    if own.weights.shape != (len(names),) or own.left_out.shape[1] != len(names) + 2:
        raise ValueError(f"{len(names)} features, but {own.weights.shape[0]} weights")
    return own


def _support(document: Mapping[str, Any]) -> Support:
    low, high = document["gain_years"]
    return Support(
        int(document["people"]), float(document["mae_years"]), float(document["guess_mae_years"]), (float(low), float(high)), float(document["correlation"])
    )


def _digits(values: Sequence[float] | Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
