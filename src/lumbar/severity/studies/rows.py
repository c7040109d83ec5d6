"""From the answers of a network for whole studies to rows of the official score and of a submission."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.rsna2024_labels import row_id
from lumbar.domain.anatomy import Condition
from lumbar.severity.score import Graded
from lumbar.severity.studies.views import LEVELS

Answers = NDArray[np.float64]  # (n, 5 conditions, 5 levels, 3)


def graded(answers: Answers, targets: NDArray[np.int64]) -> Graded:
    """The labelled rows of `answers` with their grades (n, 5, 5), −1 where unlabelled."""
    study, condition, level = np.nonzero(targets >= 0)
    return Graded(study.astype(str), condition, level, targets[study, condition, level], answers[study, condition, level])


def submission_rows(names: Sequence[str], answers: Answers) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """The 25 rows of every study."""
    for name, answer in zip(names, answers, strict=True):
        for c, condition in enumerate(Condition):
            for v, level in enumerate(LEVELS):
                yield row_id(name, condition, level), answer[c, v]
