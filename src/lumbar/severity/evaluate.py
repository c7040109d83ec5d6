"""Evaluation of predicted grades: the official score and further figures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.rsna2024_grades import Grades
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.datasets.submission import Submission
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.errors import InputError
from lumbar.metrics.bootstrap import Interval, bootstrap_interval
from lumbar.metrics.calibration import ReliabilityBin, expected_calibration_error, reliability, reweighted
from lumbar.metrics.classification import balanced_accuracy, confusion_matrix, quadratic_kappa, roc_auc
from lumbar.severity.score import GRADE_WEIGHTS, GROUPS, Graded, OfficialScore, official_score, score_intervals

_GRADES = tuple(Severity)


@dataclass(frozen=True)
class GroupResult:
    """Figures of one group of conditions or of all rows, besides the official loss."""

    rows: int
    accuracy: float
    majority_accuracy: float  # of always predicting the commonest grade of these rows
    balanced_accuracy: float
    quadratic_kappa: float
    auc: Mapping[str, float]  # grade → area under the ROC curve of that grade against the others
    confusion: tuple[tuple[int, ...], ...]  # rows are true grades
    ece: float
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Evaluation:
    """Result of `lumbar evaluate severity`."""

    score: OfficialScore
    prior: OfficialScore  # of a constant prediction per column: the shares in the truth table, times the weights
    overall: GroupResult
    deweighted: GroupResult  # all rows, with probabilities divided by 1, 2, 4, which removes the weights of the training loss
    groups: Mapping[str, GroupResult]
    column_majority_accuracy: float  # of predicting the commonest grade of each column
    intervals: Mapping[str, Interval]
    studies: int
    missing_rows: int  # labelled rows without a prediction, left out
    unused_rows: int  # predictions of unlabelled rows


def match(submission: Submission, truth: Grades, allow_missing: bool) -> tuple[Graded, int, int]:
    """Labelled rows with their predictions, the number of labelled rows without prediction, and the number of predictions without label.

    Raises:
        InputError: a labelled row has no prediction and `allow_missing` is off; or no row matches.
    """
    cells = [(study, c, v) for study, row in truth.items() for c in range(len(Condition)) for v in range(5) if row.get(_COLUMNS[c][v]) is not None]
    names = [f"{study}_{_COLUMNS[c][v]}" for study, c, v in cells]
    found = [name in submission for name in names]
    missing = [name for name, there in zip(names, found, strict=True) if not there]
    if missing and not allow_missing:
        raise InputError(f"{len(missing)} labelled rows have no prediction, the first is {missing[0]}; predict them, or leave them out with --allow-missing")
    kept = [cell for cell, there in zip(cells, found, strict=True) if there]
    if not kept:
        raise InputError("no prediction belongs to a labelled row; row_id must be <study>_<condition>_<level> as in sample_submission.csv")
    rows = Graded(
        np.array([study for study, _, _ in kept]),
        np.array([c for _, c, _ in kept], np.int64),
        np.array([v for _, _, v in kept], np.int64),
        np.array([_GRADES.index(truth[study][_COLUMNS[c][v]]) for study, c, v in kept], np.int64),
        np.array([submission[name] for name, there in zip(names, found, strict=True) if there]),
    )
    return rows, len(missing), len(submission) - len(kept)


def evaluate(submission: Submission, truth: Grades, allow_missing: bool = False, repeats: int = 1000) -> Evaluation:
    """Compare `submission` with `truth`; see `match` for excluded rows and errors."""
    rows, missing, unused = match(submission, truth, allow_missing)
    columns = rows.conditions * 5 + rows.levels
    right = rows.probabilities.argmax(axis=1) == rows.targets
    intervals = score_intervals(rows, repeats)
    intervals["accuracy"] = _accuracy_interval(rows.studies, right, repeats)
    return Evaluation(
        score=official_score(rows),
        prior=official_score(rows.with_probabilities(weighted_prior(rows))),
        overall=_result(rows),
        deweighted=_result(rows.with_probabilities(reweighted(rows.probabilities, 1 / np.array(GRADE_WEIGHTS)))),
        groups={group: _result(rows.subset(rows.of_group(group))) for group in GROUPS if rows.of_group(group).any()},
        column_majority_accuracy=float(sum(np.bincount(rows.targets[columns == c]).max() for c in np.unique(columns)) / len(right)),
        intervals=intervals,
        studies=len(np.unique(rows.studies)),
        missing_rows=missing,
        unused_rows=unused,
    )


def weighted_prior(rows: Graded) -> NDArray[np.float64]:
    """(n, 3) shares of the grades in the column of each row, times the weights: the best constant prediction per column."""
    result = np.empty((len(rows.targets), 3))
    columns = rows.conditions * 5 + rows.levels
    for column in np.unique(columns):
        chosen = columns == column
        counts = np.bincount(rows.targets[chosen], minlength=3) * np.array(GRADE_WEIGHTS)
        result[chosen] = counts / counts.sum()
    return result


def _result(rows: Graded) -> GroupResult:
    confusion = confusion_matrix(rows.probabilities.argmax(axis=1), rows.targets, 3)
    bins = reliability(rows.probabilities, rows.targets)
    return GroupResult(
        rows=len(rows.targets),
        accuracy=float(np.trace(confusion) / confusion.sum()),
        majority_accuracy=float(confusion.sum(axis=1).max() / confusion.sum()),
        balanced_accuracy=balanced_accuracy(confusion),
        quadratic_kappa=quadratic_kappa(confusion),
        auc={grade.value: roc_auc(rows.probabilities[:, k], rows.targets == k) for k, grade in enumerate(_GRADES)},
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        ece=expected_calibration_error(bins),
        reliability=bins,
    )


def _accuracy_interval(studies: NDArray[np.str_], right: NDArray[np.bool_], repeats: int) -> Interval:
    _, owner = np.unique(studies, return_inverse=True)
    hits, totals = np.bincount(owner, right), np.bincount(owner)
    return bootstrap_interval(lambda drawn: float(hits[drawn].sum() / totals[drawn].sum()), np.arange(len(totals)), repeats=repeats)


_COLUMNS = [[row_id("", condition, level)[1:] for level in Level] for condition in Condition]
