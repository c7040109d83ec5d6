"""Calibration of raw probabilities: weighted for the official score, and calibrated to the prevalence of the grades."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition
from lumbar.errors import ModelError
from lumbar.metrics.calibration import reweighted, tempered
from lumbar.severity.score import GRADE_WEIGHTS


@dataclass(frozen=True, eq=False)
class CropGrades:
    """Probabilities (n, 5, 3) of crops: conditions in the order of `Condition`, grades from normal/mild to severe."""

    metric: NDArray[np.float64]  # as trained, with the weights 1, 2, 4 of the official score: for submissions
    clinical: NDArray[np.float64]  # calibrated to the prevalence of the grades


@dataclass(frozen=True)
class Calibration:
    """Parameters of the calibration, fitted on out-of-fold predictions."""

    metric_temperature: tuple[float, ...]  # by condition
    clinical_temperature: tuple[float, ...]
    conformal_threshold: tuple[float, ...]  # least clinical probability of a grade in the 90 % set

    @classmethod
    def from_card(cls, parameters: Mapping[str, Any], source: Path) -> "Calibration":
        """The calibration of a card.

        Raises:
            ModelError: it is missing, or lacks a value for a condition.
        """
        return cls(*values_on_card(parameters, tuple(cls.__dataclass_fields__), [condition.value for condition in Condition], source))

    def apply(self, raw: NDArray[np.float64]) -> CropGrades:
        """Both kinds of probabilities from raw ones (n, 5, 3)."""
        metric, clinical = np.empty_like(raw), np.empty_like(raw)
        for place in range(raw.shape[1]):
            metric[:, place] = tempered(raw[:, place], self.metric_temperature[place])
            clinical[:, place] = tempered(reweighted(raw[:, place], 1 / np.array(GRADE_WEIGHTS)), self.clinical_temperature[place])
        return CropGrades(metric, clinical)


def values_on_card(parameters: Mapping[str, Any], names: Sequence[str], keys: Sequence[str], source: Path) -> list[tuple[float, ...]]:
    """Values at `keys` of each of `names` in the calibration of a card.

    Raises:
        ModelError: the calibration is missing or incomplete; `source` is the folder of the card.
    """
    try:
        return [tuple(float(parameters["calibration"][name][key]) for key in keys) for name in names]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card in {source} lacks a calibration of the grades ({error}); pack the model again") from error
