"""Age bias and its correction: regression pulls predictions to the mean, so the young look older and the old look younger than they are.

All models describe prediction as a function of true age, pred = f(age), fitted on people that the model was not trained on.

* *none*: the delta stays predicted − age.
* *Cole* (Cole et al. 2018): f = a + b·age; corrected age (pred − a) / b. Needs no true age of the person it is applied to.
* *Beheshti* (Beheshti et al. 2019, the same as de Lange et al. 2020): f = a + b·age; corrected age pred + age − (a + b·age). It *adds the true age*:
  error and correlation of such corrected ages are far better than those of the model (Butler et al. 2021) and are never quoted as accuracy.
* *quadratic* (Smith et al. 2019): as Beheshti with f = a + b·age + c·age².

Corrected values serve for deltas only; accuracy is always that of the raw prediction.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumbar.errors import UsageError

Array = NDArray[np.float64]


class BiasModel(Enum):
    """The ways to correct."""

    NONE = "none"
    COLE = "cole"
    BEHESHTI = "beheshti"
    QUADRATIC = "quadratic"

    @property
    def inflates_accuracy(self) -> bool:
        """Whether corrected ages contain the true age, so that their error does not measure the model."""
        return self in {BiasModel.BEHESHTI, BiasModel.QUADRATIC}


@dataclass(frozen=True)
class Bias:
    """A fitted correction."""

    model: BiasModel
    coefficients: tuple[float, float, float]  # a, b, c of pred = a + b·age + c·age²

    def expected(self, age_years: ArrayLike) -> Array:
        """(n,) mean prediction for people of `age_years`."""
        age = np.asarray(age_years, dtype=np.float64)
        a, b, c = self.coefficients
        return np.asarray(a + b * age + c * age**2)

    def corrected_age(self, predicted_years: ArrayLike, age_years: ArrayLike) -> Array:
        """(n,) corrected ages; `age_years` is not used by *none* and *Cole*."""
        predicted = np.asarray(predicted_years, dtype=np.float64)
        if self.model is BiasModel.NONE:
            return predicted
        if self.model is BiasModel.COLE:
            return np.asarray((predicted - self.coefficients[0]) / self.coefficients[1])
        return np.asarray(predicted + np.asarray(age_years, dtype=np.float64) - self.expected(age_years))

    def delta(self, predicted_years: ArrayLike, age_years: ArrayLike) -> Array:
        """(n,) corrected predicted age minus true age; positive looks older."""
        return np.asarray(self.corrected_age(predicted_years, age_years) - np.asarray(age_years, dtype=np.float64))


def fit_bias(model: BiasModel, predicted_years: ArrayLike, age_years: ArrayLike) -> Bias:
    """Fit `model` on predictions (n,) for people of known age (n,) that the age model was not trained on.

    Raises:
        UsageError: too few different ages, or predictions that do not rise with age, so that there is nothing to correct by division.
    """
    predicted, age = np.asarray(predicted_years, dtype=np.float64), np.asarray(age_years, dtype=np.float64)
    if model is BiasModel.NONE:
        return Bias(model, (0.0, 1.0, 0.0))
    degree = 2 if model is BiasModel.QUADRATIC else 1
    if len(np.unique(age)) < degree + 2:
        raise UsageError(f"the bias model {model.value!r} needs at least {degree + 2} different ages; found {len(np.unique(age))}")
    centre, scale = age.mean(), age.std()
    fitted = np.polynomial.Polynomial.fit(age, predicted, degree, domain=[centre - scale, centre + scale]).convert().coef
    a, b, c = (*fitted, 0.0, 0.0)[:3]
    if model is BiasModel.COLE and b < 0.05:
        raise UsageError(f"predictions rise by only {b:.2g} years a year of age, so Cole's correction, which divides by it, is not possible")
    return Bias(model, (float(a), float(b), float(c)))


def crossfit_delta(model: BiasModel, predicted_years: ArrayLike, age_years: ArrayLike, subjects: ArrayLike, folds: int = 5, seed: int = 0) -> Array:
    """(n,) corrected deltas, each from a correction fitted without that person's fold: as for a new person.

    Raises:
        UsageError: as `fit_bias`; or fewer subjects than folds.
    """
    predicted, age = np.asarray(predicted_years, dtype=np.float64), np.asarray(age_years, dtype=np.float64)
    names, code = np.unique(np.asarray(subjects), return_inverse=True)
    if len(names) < folds:
        raise UsageError(f"{len(names)} subjects are too few for {folds} folds")
    fold = np.random.default_rng(seed).permutation(len(names))[code] % folds
    result = np.empty(len(age))
    for number in range(folds):
        held = fold == number
        result[held] = fit_bias(model, predicted[~held], age[~held]).delta(predicted[held], age[held])
    return result
