"""Losses of grading: soft labels, the weighted cross-entropy of the official score, ordinal losses, and the any-severe term of the score."""

from collections.abc import Sequence

import torch

from lumbar.severity.score import GRADE_WEIGHTS, GRADES

MEAN_WEIGHT = 1.3  # about the mean weight of a labelled row; keeps the loss near 1 independently of the batch
_SMALLEST = 1e-4  # probabilities are clipped to this distance from 0 and 1


def soft_labels(targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    """(…, 3) smoothed one-hot labels from grades (…): `smoothing` goes to each neighbouring grade; zeros where unlabelled (−1)."""
    table = torch.eye(GRADES)
    for grade in range(GRADES):
        neighbours = [other for other in (grade - 1, grade + 1) if 0 <= other < GRADES]
        for other in neighbours:
            table[grade, other] = smoothing
        table[grade, grade] = 1 - smoothing * len(neighbours)
    table = torch.cat([table, torch.zeros(1, GRADES)])
    return table[targets]  # −1 is the last row


def weighted_loss(logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, condition_weights: Sequence[float]) -> torch.Tensor:
    """Cross-entropy with the official weights of the grades, averaged over the labelled rows of each condition, then over conditions.

    Logits and labels (n, 5, 3), known (n, 5) 1 where labelled.
    """
    weights = labels * torch.tensor(GRADE_WEIGHTS, device=labels.device)
    return _mean(-(weights * logits.log_softmax(-1)).sum(-1), known, condition_weights)


def distance_loss(logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, condition_weights: Sequence[float]) -> torch.Tensor:
    """Squared earth mover's distance between probabilities and labels (Hou et al. 2016), weighted and averaged as `weighted_loss`.

    It is the sum of the squared differences of cumulative probabilities, so that an error by two grades costs more than two errors by one.
    """
    apart = (logits.softmax(-1) - labels).cumsum(-1)[..., :-1].square().sum(-1)
    return _mean(_row_weights(labels) * apart, known, condition_weights)


def threshold_loss(logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, condition_weights: Sequence[float]) -> torch.Tensor:
    """Sum of the binary cross-entropies of "at least moderate" and "severe", weighted and averaged as `weighted_loss`.

    Their probabilities are sums of those of the grades, which keeps the two in order, as in models of cumulative probabilities.
    """
    above = logits.softmax(-1).flip(-1).cumsum(-1)[..., :-1].clamp(_SMALLEST, 1 - _SMALLEST)  # severe, at least moderate
    truth = labels.flip(-1).cumsum(-1)[..., :-1]
    rows = -(truth * above.log() + (1 - truth) * torch.log1p(-above)).sum(-1)
    return _mean(_row_weights(labels) * rows, known, condition_weights)


def blended_labels(labels: torch.Tensor, predicted: torch.Tensor, share: float) -> torch.Tensor:
    """`labels` (…, 3) with a `share` of the `predicted` probabilities (…, 3) of other networks.

    Unlabelled rows (zeros) stay unlabelled, and rows without predictions (NaN) keep their labels.
    """
    both = (labels.sum(-1, keepdim=True) > 0) & predicted.isfinite().all(-1, keepdim=True)
    return torch.where(both, (1 - share) * labels + share * predicted, labels)


def any_severe_loss(logits: torch.Tensor, labels: torch.Tensor, known: torch.Tensor, studies: torch.Tensor) -> torch.Tensor:
    """The any-severe term of the official score: per study, cross-entropy of any severe canal with the highest severe probability of its canals.

    Canal logits and labels (n, 3), known (n,), study numbers (n,). As in the score, a study has the weight of its heaviest row.
    """
    names, owner = torch.unique(studies, return_inverse=True)
    empty = logits.new_zeros(len(names))
    seen = known > 0
    severe = torch.where(seen, logits.softmax(-1)[:, -1], 0.0)
    likely = empty.scatter_reduce(0, owner, severe, "amax").clamp(_SMALLEST, 1 - _SMALLEST)
    heaviest = empty.scatter_reduce(0, owner, torch.where(seen, (labels * labels.new_tensor(GRADE_WEIGHTS)).sum(-1), 0.0), "amax")
    truth = empty.scatter_reduce(0, owner, torch.where(seen, labels[:, -1], 0.0), "amax")
    rows = -(truth * likely.log() + (1 - truth) * torch.log1p(-likely))
    return (heaviest * rows).sum() / heaviest.sum().clamp_min(1e-6)


def _row_weights(labels: torch.Tensor) -> torch.Tensor:
    """(…) official weights of the grades in `labels` (…, 3)."""
    return (labels * labels.new_tensor(GRADE_WEIGHTS)).sum(-1)


def _mean(rows: torch.Tensor, known: torch.Tensor, condition_weights: Sequence[float]) -> torch.Tensor:
    """Mean of the losses `rows` (n, 5) over the labelled rows of each condition, then over conditions."""
    per_condition = (rows * known / MEAN_WEIGHT).sum(0) / known.sum(0).clamp_min(1)
    share = torch.tensor(condition_weights, device=rows.device)
    return (per_condition * share).sum() / share.sum()
