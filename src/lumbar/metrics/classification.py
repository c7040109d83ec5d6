"""Classification metrics of class probabilities. Probabilities are (n, classes), targets (n,) class numbers from 0."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]

SMALLEST = 1e-15  # probabilities are clipped this far from 0 and 1, as scikit-learn's log_loss once did


def row_log_losses(probabilities: Floats, targets: Classes) -> Floats:
    """(n,) −log of the probability that each row gave to its class, clipped to 1e-15 … 1 − 1e-15."""
    chosen = probabilities[np.arange(len(targets)), targets]
    return np.asarray(-np.log(np.clip(chosen, SMALLEST, 1 - SMALLEST)))


def weighted_log_loss(probabilities: Floats, targets: Classes, class_weights: Floats) -> float:
    """Σ w·(−log p_true) / Σ w, with `class_weights` (classes,) by true class; NaN without rows."""
    weights = class_weights[targets]
    return float((weights * row_log_losses(probabilities, targets)).sum() / weights.sum()) if len(targets) else float("nan")


def confusion_matrix(predicted: Classes, targets: Classes, classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts; rows are true classes, columns predicted ones."""
    return np.bincount(targets * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def balanced_accuracy(confusion: NDArray[np.int64]) -> float:
    """Mean share found of each class that occurs."""
    totals = confusion.sum(axis=1)
    there = totals > 0
    return float((np.diag(confusion)[there] / totals[there]).mean()) if there.any() else float("nan")


def quadratic_kappa(confusion: NDArray[np.int64]) -> float:
    """Cohen's kappa with weights growing as the square of the distance (Cohen 1968); NaN if all is in one class."""
    size, total = len(confusion), confusion.sum()
    distance = np.subtract.outer(np.arange(size), np.arange(size)) ** 2
    expected = np.outer(confusion.sum(axis=1), confusion.sum(axis=0)) / max(total, 1)
    by_chance = (distance * expected).sum()
    return float(1 - (distance * confusion).sum() / by_chance) if by_chance > 0 else float("nan")


def roc_auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the probability that a positive row scores higher than a negative one, ties counting half (Mann and Whitney 1947).

    NaN if one kind is missing.
    """
    count = int(positive.sum())
    if count in (0, len(positive)):
        return float("nan")
    _, place, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2)[place]  # equal scores share the mean of their ranks
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))
