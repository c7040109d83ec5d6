"""Classification of grey values for fat measurement without a Dixon pair; the brightest class is fat.

A mixture of three normal distributions (lean, mixed, fat) agrees best with Dixon; two distributions and 3-means clusters serve for comparison. Mixtures are
fitted to a histogram, so that the time does not depend on the size of the muscle.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["gmm3", "gmm2", "kmeans3"]
Values = NDArray[np.float64]

_BINS = 200
_TAILS = (0.001, 0.999)  # quantiles between which the range of values lies
_ROUNDS = 200


@dataclass(frozen=True)
class Mixture:
    """Normal distributions in one dimension, from dark to bright."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    log_likelihood: float  # mean over the values


def fit_mixture(values: Values, components: int) -> Mixture:
    """Maximum-likelihood mixture of `values` (n,) by expectation maximisation, the best of several fixed starts (Dempster et al. 1977)."""
    x, count = _histogram(values)
    starts = [np.quantile(values, q) for q in _start_quantiles(components)]
    span = np.linspace(x[0], x[-1], components + 2)[1:-1]
    fits = [_maximise(x, count, means) for means in [*starts, span]]
    return max(fits, key=lambda mixture: mixture.log_likelihood)


def responsibilities(mixture: Mixture, values: Values) -> Values:
    """(components, n) posterior probability of each distribution for each value."""
    logs = _log_densities(values, np.array(mixture.weights), np.array(mixture.means), np.array(mixture.deviations))
    likelihoods = np.exp(logs - logs.max(axis=0))
    return np.asarray(likelihoods / likelihoods.sum(axis=0))


def density(mixture: Mixture, values: Values) -> Values:
    """(n,) probability density at each value."""
    return np.asarray(np.exp(_log_densities(values, np.array(mixture.weights), np.array(mixture.means), np.array(mixture.deviations))).sum(axis=0))


def three_means(values: Values, clusters: int = 3) -> Values:
    """Cluster centres from dark to bright (Lloyd 1982), initialised at the centres of equal parts of the range."""
    from scipy.cluster.vq import kmeans  # noqa: PLC0415  (slow to import, and serves for comparison only)

    low, high = np.quantile(values, _TAILS)
    start = np.linspace(float(low), float(high), 2 * clusters + 1)[1::2]
    centres, _ = kmeans(values[:, None], start[:, None])
    return np.asarray(np.sort(centres[:, 0]))


def _histogram(values: Values) -> tuple[Values, Values]:
    low, high = np.quantile(values, _TAILS)
    count, edges = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, max(high, low + 1e-9)))
    return (edges[:-1] + edges[1:]) / 2, count.astype(np.float64)


def _start_quantiles(components: int) -> list[Values]:
    even = (np.arange(components) + 0.5) / components
    return [even, even**2, np.sqrt(even)]


def _maximise(x: Values, count: Values, means: Values) -> Mixture:
    k = len(means)
    floor = (x[1] - x[0]) / 2  # no distribution is narrower than the bins of the histogram
    means, deviations, weights = means.astype(np.float64), np.full(k, max((x[-1] - x[0]) / (2 * k), floor)), np.full(k, 1 / k)
    before, size = -np.inf, float(count.sum())
    for _ in range(_ROUNDS):
        logs = _log_densities(x, weights, means, deviations)
        top = logs.max(axis=0)
        likelihood = np.exp(logs - top)
        total = likelihood.sum(axis=0)
        now = float(count @ (np.log(total) + top)) / size
        share = likelihood * (count / total)
        mass = share.sum(axis=1) + 1e-12
        means = share @ x / mass
        deviations = np.maximum(np.sqrt(np.einsum("kn,kn->k", share, (x - means[:, None]) ** 2) / mass), floor)
        weights = mass / mass.sum()
        if now - before < 1e-7:
            break
        before = now
    order = np.argsort(means)
    return Mixture(tuple(weights[order].tolist()), tuple(means[order].tolist()), tuple(deviations[order].tolist()), now)


def _log_densities(x: Values, weights: Values, means: Values, deviations: Values) -> Values:
    z = (x - means[:, None]) / deviations[:, None]
    return np.asarray(np.log(weights[:, None] + 1e-300) - np.log(deviations[:, None]) - 0.5 * np.log(2 * np.pi) - z**2 / 2)
