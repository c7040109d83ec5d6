"""Grade frequencies, used for findings where no image was graded. The model name identifies them, and they have no image evidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition, Level
from lumbar.domain.findings import SeverityFinding
from lumbar.errors import ModelError
from lumbar.metrics.calibration import reweighted
from lumbar.models.folder import Model
from lumbar.severity.calibration import CropGrades
from lumbar.severity.finding import make_finding
from lumbar.severity.score import GRADE_WEIGHTS

TASK = "severity_prior"
_SURE = 0.9  # a grade with this frequency alone forms a 90 % set


class Prior:
    """Grade frequencies for each condition and level, from a card."""

    def __init__(self, model: Model) -> None:
        """Take the frequencies from the card of `model`.

        Raises:
            ModelError: a frequency is missing, or three of them do not sum to 1.
        """
        self.use = model.use
        self.name = model.card.name
        self._shares = {(c, v): _shares(model.card.parameters, c, v, str(model.folder)) for c in Condition for v in Level}

    def finding(self, condition: Condition, level: Level) -> SeverityFinding:
        """The expected grade without an image."""
        shares = self._shares[condition, level]
        return make_finding(condition, level, self.metric(condition, level), shares, uncertain=bool(shares.max() < _SURE), model=self.name)

    def blended(self, grades: CropGrades, levels: Sequence[Level], share: float) -> CropGrades:
        """`grades` (n, 5, 3) at `levels` (n,) averaged with the frequencies at weight `share` (0 to 1).

        The probabilities of a network trained on synthetic images only are overconfident on patients. Equal weights need no fitting to patients.
        """
        places = [[(condition, level) for condition in Condition] for level in levels]
        metric = np.array([[self.metric(*place) for place in row] for row in places])
        clinical = np.array([[self._shares[place] for place in row] for row in places])
        return CropGrades((1 - share) * grades.metric + share * metric, (1 - share) * grades.clinical + share * clinical)

    def metric(self, condition: Condition, level: Level) -> NDArray[np.float64]:
        """(3,) frequencies times the official weights: the constant prediction with the best official score."""
        return reweighted(self._shares[condition, level], np.array(GRADE_WEIGHTS))


def _shares(parameters: Mapping[str, Any], condition: Condition, level: Level, source: str) -> NDArray[np.float64]:
    try:
        values = np.array(parameters["shares"][condition.value][level.slug], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card in {source} has no shares for {condition.value} at {level.value} ({error}); pack the model again") from error
    if values.shape != (3,) or not np.isclose(values.sum(), 1, atol=1e-6) or (values < 0).any():
        raise ModelError(f"the shares for {condition.value} at {level.value} in {source} are {values.tolist()}, not three that sum to 1")
    return values
