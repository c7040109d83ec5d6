"""Losses that order features by age (needs lumbar[train]).

Both take features (n, d) of n images and their ages (n,). Distances are taken between the features as they are (Rank-N-Contrast) or between their
directions (y-aware InfoNCE). Directions of one-dimensional features are ±1 and have no gradient at all, so a width below two is rejected.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lumbar.errors import UsageError

ContrastLoss = Callable[[Tensor, Tensor], Tensor]


def rank_n_contrast(features: Tensor, ages_years: Tensor, temperature: float = 2.0) -> Tensor:
    """Rank-N-Contrast (Zha et al. 2023): for every anchor i and every other j, j should be closer to i than all k with an age at least as far from that of i.

    Similarity is the negative Euclidean distance over `temperature`; the loss is the mean over i and j ≠ i of
    −log( exp s(i, j) / Σ_{k ≠ i, |age_i − age_k| ≥ |age_i − age_j|} exp s(i, k) ), never negative.
    """
    n = _check(features, ages_years)
    others = ~torch.eye(n, dtype=torch.bool, device=features.device)
    # The offset keeps the gradient of the distance of equal features finite; off the diagonal only.
    distance = (features[:, None] - features[None]).square().sum(-1).add(1e-12).sqrt()
    logits = (-distance / temperature)[others].view(n, n - 1)
    gap = (ages_years[:, None] - ages_years[None]).abs()[others].view(n, n - 1)
    at_least_as_far = gap[:, None, :] >= gap[:, :, None]  # anchor, j, k
    denominator = logits[:, None, :].masked_fill(~at_least_as_far, float("-inf")).logsumexp(-1)
    return (denominator - logits).mean()


def y_aware_infonce(features: Tensor, ages_years: Tensor, sigma_years: float = 5.0, temperature: float = 0.1) -> Tensor:
    """y-aware InfoNCE (Dufumier et al. 2021): every other image is a positive, weighted by a Gaussian kernel of the difference in age.

    Similarity is the cosine over `temperature`; the loss is the mean over i of −Σ_j w_ij log softmax_j s(i, j), with w_ij = exp(−(age_i − age_j)² /
    2σ²) normalised over j ≠ i.
    """
    n = _check(features, ages_years)
    direction = nn.functional.normalize(features, dim=1)
    others = ~torch.eye(n, dtype=torch.bool, device=features.device)
    logits = (direction @ direction.T / temperature)[others].view(n, n - 1)
    gap = (ages_years[:, None] - ages_years[None])[others].view(n, n - 1)
    weight = (-0.5 * (gap / sigma_years).square()).softmax(-1)  # the same as exp and dividing by the sum, without underflow
    return -(weight * logits.log_softmax(-1)).sum(-1).mean()


def no_contrast(features: Tensor, ages_years: Tensor) -> Tensor:
    """Zero: training without contrast."""
    _check(features, ages_years)
    return features.sum() * 0.0


CONTRASTS: dict[str, ContrastLoss] = {"rank-n-contrast": rank_n_contrast, "y-aware": y_aware_infonce, "none": no_contrast}


def _check(features: Tensor, ages_years: Tensor) -> int:
    if features.ndim != 2 or features.shape[1] < 2:
        raise UsageError(f"contrast needs features of shape (n, d) with d of at least 2, not {tuple(features.shape)}: one dimension has no direction")
    if len(features) < 3 or ages_years.shape != (len(features),):
        raise UsageError(f"contrast needs at least three images with one age each, not {len(features)} and ages of shape {tuple(ages_years.shape)}")
    return len(features)
