"""Probability of the level names given the tilts of the discs and the depths of the lowest disc and body.

A lumbarised S1 may be mistaken for L5, and L4 for L5 where L5 is sacralised; every level is then misnamed by one. The lordosis reveals it: L3/L4 is
nearly horizontal, and the discs below it are steeper by typical amounts. So does the depth from front to back: a free S1 still tapers towards its
lower endplate, and the disc S1/S2 is shallower than the discs above.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.spine.lowest_shape import UNKNOWN_SHAPE, LowestShape

# Typical supine tilt of the discs against the horizontal in degrees; positive when the front is lower. Medians and standard deviations of the reference
# masks of the 28 SPIDER T2 SPACE patients whose sacrum is in view (recipes/spine/norms.py), L5/S1 first.
USUAL_TILT_DEGREES = (30.0, 13.0, 2.0, -7.0, -10.0)
_SD_DEGREES = (8.7, 7.4, 5.0, 5.2, 5.0)
_CORRELATION = 0.66  # of neighbouring discs; of others this to the power of the number of discs between them, as the same masks show
_BELOW, _ABOVE = (40.0, 12.0), (-10.0, 6.0)  # mean and SD of a free disc S1/S2 and of T12/L1: assumed, as no reference masks show enough of them

# Depth of the lowest disc, and of the body above it, as a share of those above: means and SDs of names that are right, from the same masks of 27 patients.
_DISC_SHARE, _BODY_SHARE = (0.95, 0.09), (0.98, 0.05)
# The same with a free S1: assumed. The upper endplate of an S1 that is not free is more than 1.37 times as deep as its lower one, that of a free one less
# (Wigh, Spine 1980;5:215, after Konin and Walz, see below). The body is measured over its whole height.
_FREE_DISC_SHARE, _FREE_BODY_SHARE = (0.80, 0.08), (0.90, 0.05)
# With a sacralised L5 the shares are those of L4/L5 and of L4.
_HIGHER_DISC_SHARE, _HIGHER_BODY_SHARE = (1.0, 0.08), (1.0, 0.05)

# Prior: transitional vertebrae occur in 4 to 30 % of people, depending on the definition; a minority of them shift the count
# (Konin and Walz, AJNR 2010;31:1778).
_LUMBARISED = 0.04
_SACRALISED = 0.02  # without a rest of the disc L5/S1, which would be counted; `naming.py` looks for such rests


@dataclass(frozen=True)
class NameProbabilities:
    """Probabilities of the identity of the lowest disc above the sacrum; the three sum to 1."""

    l5_s1: float
    s1_s2: float  # a lumbarised S1 was taken for L5
    l4_l5: float  # L5 belongs to the sacrum


def name_probabilities(tilts_degrees: Sequence[float | None], shape: LowestShape = UNKNOWN_SHAPE) -> NameProbabilities:
    """Probabilities from the tilts of the discs, from head to foot, None for a disc without an outline; and from the depths at the lower end."""
    lowest_first = list(reversed(tilts_degrees))[: len(USUAL_TILT_DEGREES)]
    seen = np.array([k for k, tilt in enumerate(lowest_first) if tilt is not None], dtype=int)
    tilts = np.array([tilt for tilt in lowest_first if tilt is not None])
    usual = list(zip(USUAL_TILT_DEGREES, _SD_DEGREES, strict=True))
    tables = (usual, [_BELOW, *usual], [*usual[1:], _ABOVE])
    priors = (1 - _LUMBARISED - _SACRALISED, _LUMBARISED, _SACRALISED)
    shares = (
        _log_normal(shape.disc, (_DISC_SHARE, _FREE_DISC_SHARE, _HIGHER_DISC_SHARE))
        + _log_normal(shape.body, (_BODY_SHARE, _FREE_BODY_SHARE, _HIGHER_BODY_SHARE))
    )  # fmt: skip
    log = shares + [np.log(prior) + _log_likelihood(tilts, np.array(table)[seen], seen) for prior, table in zip(priors, tables, strict=True)]
    likelihoods = np.exp(log - log.max())
    return NameProbabilities(*(float(c) for c in likelihoods / likelihoods.sum()))


def _log_normal(value: float | None, tables: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Log-likelihood of a value under normal distributions of given means and SDs, up to a constant; zeros where it is unknown."""
    if value is None:
        return np.zeros(len(tables))
    return np.array([-0.5 * ((value - mean) / deviation) ** 2 - np.log(deviation) for mean, deviation in tables])


def _log_likelihood(tilts: NDArray[np.float64], usual: NDArray[np.float64], places: NDArray[np.intp]) -> float:
    """Log-likelihood of the tilts (n,) under a normal distribution with means and SDs `usual` (n, 2); `places` (n,) count discs upwards."""
    mean, deviation = usual.reshape(-1, 2).T
    covariance = np.outer(deviation, deviation) * _CORRELATION ** np.abs(places[:, None] - places[None])
    away = tilts - mean
    return float(-0.5 * (away @ np.linalg.solve(covariance, away)) - 0.5 * np.linalg.slogdet(covariance)[1])
