"""Out-of-distribution detection: the Mahalanobis distance of its features (Lee et al. 2018).

Features are taken to their leading principal components in training, each in units of its standard deviation there; the distance is the root mean square
over components. The limit is the conformal 99 % quantile of people left out of training: 1 % of people like them exceed it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lumbar.metrics.conformal import conformal_quantile

Array = NDArray[np.float64]

_COMPONENTS = 12
_COVERAGE = 0.99


@dataclass(frozen=True)
class FeatureDistribution:
    """Distribution of features in training, and the limit of distance."""

    mean: tuple[float, ...]  # (features,)
    axes: tuple[tuple[float, ...], ...]  # (components, features) divided by the standard deviation along each
    limit: float  # distances above it are out of distribution

    def distance(self, features: ArrayLike) -> Array:
        """(n,) distance of features (n, features)."""
        along = (np.asarray(features, dtype=np.float64) - np.array(self.mean)) @ np.array(self.axes).T
        return np.asarray(np.sqrt((along**2).mean(axis=1)))


def fit_feature_distribution(trained: Array, held_out: Array) -> FeatureDistribution:
    """Fit on features (n, features) of people in training; the limit comes from people held out.

    With fewer than 99 people held out, the limit is the largest distance among them.
    """
    mean = trained.mean(axis=0)
    _, scale, axes = np.linalg.svd(trained - mean, full_matrices=False)
    count = min(_COMPONENTS, int((scale > 1e-6 * scale[0]).sum()))
    sd = scale[:count] / np.sqrt(len(trained) - 1)
    rough = FeatureDistribution(tuple(map(float, mean)), tuple(tuple(map(float, row)) for row in axes[:count] / sd[:, None]), 0.0)
    distances = rough.distance(held_out)
    limit = min(conformal_quantile(distances, _COVERAGE), float(distances.max()))
    return FeatureDistribution(rough.mean, rough.axes, limit)
