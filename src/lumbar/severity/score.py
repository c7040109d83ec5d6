"""The official score of the RSNA 2024 challenge, as defined on its evaluation page; lower is better.

    L(group) = Σ w·(−log p_true) / Σ w         w = 1, 2, 4 for normal/mild, moderate, severe; a group pools its levels and sides
    any      = the same with one row per study: y = any spinal row severe, p = the highest severe probability of these rows, w = their highest weight
    score    = (L(spinal) + L(foraminal) + L(subarticular) + any) / 4

Rows without a label are ignored.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition
from lumbar.metrics.bootstrap import Interval, bootstrap_interval
from lumbar.metrics.classification import SMALLEST, row_log_losses

GRADE_WEIGHTS = (1.0, 2.0, 4.0)
GRADES = len(GRADE_WEIGHTS)
GROUPS: dict[str, tuple[Condition, ...]] = {
    "spinal": (Condition.SPINAL_CANAL_STENOSIS,),
    "foraminal": (Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Condition.RIGHT_NEURAL_FORAMINAL_NARROWING),
    "subarticular": (Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS),
}
ANY_SEVERE = "any_severe_spinal"
_SEVERE = 2


@dataclass(frozen=True, eq=False)
class Graded:
    """Labelled rows with predictions, all in the same order."""

    studies: NDArray[np.str_]  # (n,)
    conditions: NDArray[np.int64]  # (n,) place in `Condition`
    levels: NDArray[np.int64]  # (n,) 0 … 4
    targets: NDArray[np.int64]  # (n,) 0 … 2
    probabilities: NDArray[np.float64]  # (n, 3)

    def of_group(self, group: str) -> NDArray[np.bool_]:
        """(n,) mask of the rows of `group`."""
        return np.isin(self.conditions, [list(Condition).index(condition) for condition in GROUPS[group]])

    def with_probabilities(self, probabilities: NDArray[np.float64]) -> "Graded":
        """The same rows with other predictions."""
        return Graded(self.studies, self.conditions, self.levels, self.targets, probabilities)

    def subset(self, rows: NDArray[np.bool_]) -> "Graded":
        """The rows (n,) that are true."""
        return Graded(self.studies[rows], self.conditions[rows], self.levels[rows], self.targets[rows], self.probabilities[rows])


@dataclass(frozen=True)
class OfficialScore:
    """The score and its four parts; NaN for a part without labelled rows, and then for the score."""

    official_score: float
    spinal: float
    foraminal: float
    subarticular: float
    any_severe_spinal: float


def official_score(rows: Graded) -> OfficialScore:
    """The official score of `rows`."""
    return _score(*_sums(rows))


def score_intervals(rows: Graded, repeats: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """95 % bootstrap intervals of the score and its parts, resampling studies."""
    losses, weights = _sums(rows)
    names = ("official_score", *GROUPS, ANY_SEVERE)

    def statistic(name: str):  # type: ignore[no-untyped-def]
        return lambda studies: getattr(_score(losses[studies], weights[studies]), name)

    return {name: bootstrap_interval(statistic(name), np.arange(len(losses)), repeats=repeats, seed=seed) for name in names}


def score_gain(rows: Graded, others: NDArray[np.float64], repeats: int = 1000, seed: int = 0) -> Interval:
    """Reduction of the official score of `rows` against the probabilities `others` (n, 3), with a paired 95 % bootstrap interval by study."""
    own, other = _sums(rows), _sums(rows.with_probabilities(others))

    def gain(studies: NDArray[np.int64]) -> float:
        scores = [_score(losses[studies], weights[studies]).official_score for losses, weights in (own, other)]
        return scores[1] - scores[0]

    return bootstrap_interval(gain, np.arange(len(own[0])), repeats=repeats, seed=seed)


def _sums(rows: Graded) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted losses and weights (studies, 4) of the three groups and the any-severe term, summed over the rows of each study."""
    _, owner = np.unique(rows.studies, return_inverse=True)
    count = int(owner.max()) + 1 if len(owner) else 0
    weights = np.array(GRADE_WEIGHTS)[rows.targets]
    losses = weights * row_log_losses(rows.probabilities, rows.targets)
    loss_sums, weight_sums = np.zeros((count, 4)), np.zeros((count, 4))
    for column, group in enumerate(GROUPS):
        chosen = rows.of_group(group)
        loss_sums[:, column] = np.bincount(owner[chosen], losses[chosen], count)
        weight_sums[:, column] = np.bincount(owner[chosen], weights[chosen], count)
    spinal = rows.of_group("spinal")
    severe, likely, heaviest = np.zeros(count, bool), np.zeros(count), np.zeros(count)
    np.maximum.at(likely, owner[spinal], rows.probabilities[spinal, _SEVERE])
    np.maximum.at(heaviest, owner[spinal], weights[spinal])
    np.logical_or.at(severe, owner[spinal], rows.targets[spinal] == _SEVERE)
    likely = np.clip(likely, SMALLEST, 1 - SMALLEST)
    loss_sums[:, 3] = heaviest * -np.where(severe, np.log(likely), np.log1p(-likely))
    weight_sums[:, 3] = heaviest
    return loss_sums, weight_sums


def _score(losses: NDArray[np.float64], weights: NDArray[np.float64]) -> OfficialScore:
    total = weights.sum(axis=0)
    parts = np.divide(losses.sum(axis=0), total, out=np.full(4, np.nan), where=total > 0)
    return OfficialScore(float(parts.mean()), *parts.tolist())
