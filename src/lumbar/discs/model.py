"""Grades of discs from their features: a logistic model with coefficients in the card, which needs no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from lumbar.discs.features import NAMES
from lumbar.errors import ModelError
from lumbar.models.folder import Model

TASK = "disc_grades"
PFIRRMANN = "pfirrmann_grade"
GRADES = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaler:
    """Standardisation of features, with squares; missing values are replaced by the mean."""

    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, features: Floats) -> "Scaler":
        """The scaler of `features` (n, k)."""
        return cls(np.nanmean(features, axis=0), np.maximum(np.nanstd(features, axis=0), 1e-6))

    def scaled(self, features: Floats) -> Floats:
        """(n, k) standardised features, clipped at ±4, 0 where missing."""
        return np.asarray(np.clip(np.nan_to_num((features - self.mean) / self.deviation), -4, 4))

    def __call__(self, features: Floats) -> Floats:
        """(n, 2k + 1): a constant, the scaled features, and their squares."""
        scaled = self.scaled(features)
        return np.concatenate([np.ones((len(features), 1)), scaled, scaled**2 - 1], axis=1)


def fit_logistic(x: Floats, classes: NDArray[np.int64], count: int, penalty: float, weights: Floats | None = None) -> Floats:
    """(columns, count) coefficients of a multinomial logistic model with a ridge `penalty` on all except the constant."""
    from scipy.optimize import minimize  # noqa: PLC0415  (only needed for fitting, and slow to import)

    one_hot = np.eye(count)[classes]
    row_weights = np.ones(len(x)) if weights is None else weights

    def loss(flat: Floats) -> tuple[float, Floats]:
        coefficients = flat.reshape(x.shape[1], count)
        p = softmax(x @ coefficients, axis=-1)
        value = -(row_weights * np.log(np.clip((p * one_hot).sum(axis=1), 1e-12, 1))).sum() + penalty * (coefficients[1:] ** 2).sum()
        gradient = x.T @ (row_weights[:, None] * (p - one_hot))
        gradient[1:] += 2 * penalty * coefficients[1:]
        return float(value), gradient.ravel()

    fitted = minimize(loss, np.zeros(x.shape[1] * count), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(fitted.x.reshape(x.shape[1], count))


class MeasuredGrades:
    """The logistic model of a card: probabilities of the Pfirrmann grade and of the binary findings, from measurements only."""

    def __init__(self, model: Model) -> None:
        """Take the coefficients from the card of `model`.

        Raises:
            ModelError: they are missing, or belong to other features.
        """
        parameters: Mapping[str, Any] = model.card.parameters
        try:
            if tuple(parameters["features"]) != NAMES:
                raise ValueError("the features differ from those of this version")
            self.scaler = Scaler(np.array(parameters["mean"], float), np.array(parameters["deviation"], float))
            self._coefficients = {name: np.array(values, float) for name, values in parameters["coefficients"].items()}
            if self._coefficients[PFIRRMANN].shape != (2 * len(NAMES) + 1, GRADES):
                raise ValueError(f"the coefficients have the shape {self._coefficients[PFIRRMANN].shape}")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the card in {model.folder} does not describe a disc grader ({error}); fit it again") from error

    def probabilities(self, features: Floats) -> dict[str, Floats]:
        """Name → (n, classes) of discs with `features` (n, k)."""
        x = self.scaler(features)
        return {name: softmax(x @ coefficients, axis=-1) for name, coefficients in self._coefficients.items()}


def median_grade(probabilities: Floats) -> int:
    """The median grade, from 1."""
    return int(np.searchsorted(np.cumsum(probabilities), 0.5)) + 1
