"""Calibration of raw foraminal probabilities by level."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.metrics.calibration import conformal_sets, reweighted, tempered
from lumbar.severity.calibration import values_on_card
from lumbar.severity.score import GRADE_WEIGHTS


@dataclass(frozen=True, eq=False)
class ForamenGrades:
    """Probabilities (n, 3) of foramina, grades from normal/mild to severe."""

    metric: NDArray[np.float64]  # as trained, with the weights 1, 2, 4 of the official score: for submissions
    clinical: NDArray[np.float64]  # calibrated to the prevalence of the grades
    sets: NDArray[np.bool_]  # 90 % prediction sets


@dataclass(frozen=True)
class LevelCalibration:
    """Parameters of the calibration, one value per level, fitted on out-of-fold predictions."""

    metric_temperature: tuple[float, ...]
    clinical_temperature: tuple[float, ...]
    conformal_threshold: tuple[float, ...]  # least clinical probability of a grade in the 90 % set

    @classmethod
    def from_card(cls, parameters: Mapping[str, Any], source: Path) -> "LevelCalibration":
        """The calibration of a card.

        Raises:
            ModelError: it is missing, or lacks a value for a level.
        """
        return cls(*values_on_card(parameters, tuple(cls.__dataclass_fields__), [level.slug for level in Level], source))

    @property
    def parameters(self) -> dict[str, dict[str, float]]:
        """The parameters as stored in a card."""
        return {name: {level.slug: value for level, value in zip(Level, getattr(self, name), strict=True)} for name in self.__dataclass_fields__}

    def apply(self, raw: NDArray[np.float64], levels: NDArray[np.int64]) -> ForamenGrades:
        """The outputs from raw probabilities (n, 3) at `levels` (n,) 0 … 4."""
        metric, clinical, sets = np.empty_like(raw), np.empty_like(raw), np.zeros(raw.shape, bool)
        for level in np.unique(levels):
            own = levels == level
            metric[own] = tempered(raw[own], self.metric_temperature[level])
            clinical[own] = tempered(reweighted(raw[own], 1 / np.array(GRADE_WEIGHTS)), self.clinical_temperature[level])
            sets[own] = conformal_sets(clinical[own], self.conformal_threshold[level])
        return ForamenGrades(metric, clinical, sets)
