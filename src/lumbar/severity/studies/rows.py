"""Rows of the official score and of a submission from predictions for whole studies."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.rsna2024_labels import row_id
from lumbar.domain.anatomy import Condition
from lumbar.severity.score import Graded
from lumbar.severity.studies.views import LEVELS

Predictions = NDArray[np.float64]  # (n, 5 conditions, 5 levels, 3)


def graded(predictions: Predictions, targets: NDArray[np.int64]) -> Graded:
    """The labelled rows of `predictions` with their grades (n, 5, 5), −1 where unlabelled."""
    study, condition, level = np.nonzero(targets >= 0)
    return Graded(study.astype(str), condition, level, targets[study, condition, level], predictions[study, condition, level])


def submission_rows(names: Sequence[str], predictions: Predictions) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The 25 rows of each study."""
    for name, prediction in zip(names, predictions, strict=True):
        for c, condition in enumerate(Condition):
            for v, level in enumerate(LEVELS):
                yield row_id(name, condition, level), prediction[c, v]
