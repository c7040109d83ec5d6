"""Agreement of two tables of results on the same studies, from two versions or two readers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import UsageError
from lumbar.metrics.agreement import Agreement, agreement
from lumbar.metrics.classification import confusion_matrix, quadratic_kappa
from lumbar.population.cohort.table import CohortTable, Column

_LEAST = 3


@dataclass(frozen=True)
class ColumnAgreement:
    """One column in both tables."""

    column: Column
    agreement: Agreement  # second minus first
    same_share: float | None  # of grades: share of equal grades
    weighted_kappa: float | None  # of grades: Cohen's kappa with quadratic weights


def compare_tables(first: CohortTable, second: CohortTable) -> list[ColumnAgreement]:
    """All columns that at least three studies have in both.

    Raises:
        UsageError: the tables share no study.
    """
    shared, rows, others = np.intersect1d(first.studies, second.studies, return_indices=True)
    if not len(shared):
        raise UsageError(f"the two tables share no study (one has {first.studies[0]}, the other {second.studies[0]})")
    place = {(c.structure, c.finding, c.level, c.side): number for number, c in enumerate(second.columns)}
    found = []
    for number, column in enumerate(first.columns):
        other = place.get((column.structure, column.finding, column.level, column.side))
        if other is None:
            continue
        a, b = first.values[rows, number].astype(np.float64), second.values[others, other].astype(np.float64)
        both = np.isfinite(a) & np.isfinite(b)
        if both.sum() < _LEAST:
            continue
        a, b = a[both], b[both]
        graded = "_grade" in column.finding
        found.append(ColumnAgreement(column, agreement(a, b), float((a == b).mean()) if graded else None, _kappa(a, b) if graded else None))
    return found


def _kappa(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    grades = np.concatenate([a, b]).astype(np.int64) - int(min(a.min(), b.min()))
    return quadratic_kappa(confusion_matrix(grades[len(a) :], grades[: len(a)], int(grades.max()) + 1))
