"""Narrowing of the 25 graded places, and the grades that readers assign.

A Gaussian copula: 25 standard normal variables, correlated over conditions, sides and levels, and with age. Each is mapped to its percentile, and that
to a latent narrowing in [0, 1], in which 0.33 and 0.66 are the lower limits of moderate and severe.

The numbers are aggregates of the 1,975 labelled studies of the RSNA 2024 lumbar data set (`train.csv`): label shares per condition and level (left and
right pooled), and polychoric correlations (matched to Spearman's of the grades) averaged over places of the same relation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lumbar.domain.anatomy import Condition, Level, Severity

Floats = NDArray[np.float64]

CONDITIONS = tuple(Condition)
LEVELS = tuple(Level)
BORDERS = (0.33, 0.66)  # lower limits of moderate and severe in latent narrowing
READER_VARIANCE = 0.15  # share of the reader in the variance of a label's normal variable
AGE_MEAN_YEARS, AGE_SD_YEARS = 56.9, 14.66  # of the people with these shares

# Shares of (normal/mild, moderate) from L1/L2 to L5/S1, by kind of condition. Subarticular labels are missing in the data set mostly at the upper levels;
# its shares beyond normal are raised by 1.6 % here so that the pooled ones are as published with no label missing.
_SHARES: dict[str, tuple[tuple[float, float], ...]] = {
    "canal": ((0.9554, 0.0339), (0.8967, 0.0765), (0.8217, 0.1165), (0.7508, 0.1201), (0.9645, 0.0258)),
    "foramen": ((0.9642, 0.0320), (0.9096, 0.0860), (0.7701, 0.2094), (0.6122, 0.3193), (0.6416, 0.2579)),
    "recess": ((0.9286, 0.0569), (0.8245, 0.1336), (0.6654, 0.2339), (0.4419, 0.3209), (0.7093, 0.2080)),
}
_KINDS = ("canal", "foramen", "foramen", "recess", "recess")  # of the five conditions in order
_SIDES = (0, 1, -1, 1, -1)

# Correlations by (kind, kind, opposite sides?), for places 0, 1, … 4 levels apart.
_CORRELATIONS: dict[tuple[str, str, bool], tuple[float, ...]] = {
    ("canal", "canal", False): (1.0, 0.601, 0.430, 0.260, 0.200),
    ("canal", "foramen", False): (0.476, 0.371, 0.300, 0.262, 0.176),
    ("canal", "recess", False): (0.751, 0.498, 0.387, 0.259, 0.149),
    ("foramen", "foramen", False): (1.0, 0.632, 0.433, 0.296, 0.255),
    ("foramen", "foramen", True): (0.515, 0.393, 0.342, 0.293, 0.251),
    ("foramen", "recess", False): (0.569, 0.403, 0.303, 0.266, 0.244),
    ("foramen", "recess", True): (0.478, 0.376, 0.339, 0.324, 0.256),
    ("recess", "recess", False): (1.0, 0.627, 0.465, 0.378, 0.279),
    ("recess", "recess", True): (0.678, 0.479, 0.389, 0.328, 0.246),
}
# Correlation of each kind with age: stenosis on imaging rises by about a tenth of a standard deviation a year span of 4 (Kalichman et al., Spine J
# 2009;9:545: acquired stenosis in 4 % below 40 years and 47 % at 60 to 69; Brinjikji et al., AJNR 2015;36:811).
_AGE = {"canal": 0.38, "foramen": 0.36, "recess": 0.38}


@dataclass(frozen=True, eq=False)
class Degeneration:
    """The 25 places of one person, as (5 conditions, 5 levels)."""

    normal: Floats  # the patient's state, a standard normal variable over the population
    narrowing: Floats  # the same as latent narrowing in [0, 1]
    grades: NDArray[np.int64]  # the reader's grade: 0 normal/mild, 1 moderate, 2 severe

    def severity(self, condition: Condition, level: Level) -> Severity:
        """The reader's grade of one place."""
        return tuple(Severity)[int(self.grades[CONDITIONS.index(condition), LEVELS.index(level)])]


def label_correlations() -> Floats:
    """(25, 25) correlations of the normal variables behind the labels, condition-major."""
    matrix = np.eye(25)
    for i in range(25):
        for j in range(25):
            (first, level), (second, other) = divmod(i, 5), divmod(j, 5)
            opposite = _SIDES[first] * _SIDES[second] < 0
            pair = sorted((_KINDS[first], _KINDS[second]))
            if i != j:
                matrix[i, j] = _CORRELATIONS[pair[0], pair[1], opposite][abs(level - other)]
    return matrix


def cut_points() -> Floats:
    """(2, 5, 5) values of the normal variable where moderate and severe begin."""
    shares = np.array([_SHARES[kind] for kind in _KINDS])
    return np.asarray(special.ndtri(np.stack([shares[..., 0], shares.sum(axis=-1)])))


def age_loadings() -> Floats:
    """(25,) correlation of each place with age."""
    return np.repeat([_AGE[kind] for kind in _KINDS], 5)


def _residual_factor() -> Floats:
    """(25, 25) square root of the label covariance without the parts due to age and reader."""
    loadings = age_loadings()
    covariance = label_correlations() / (1 - READER_VARIANCE) - np.outer(loadings, loadings)
    np.fill_diagonal(covariance, 1 - loadings**2)
    values, vectors = np.linalg.eigh(covariance)
    nearest = (vectors * np.maximum(values, 1e-6)) @ vectors.T
    scale = np.sqrt((1 - loadings**2) / np.diag(nearest))
    return np.asarray(np.linalg.cholesky(nearest * np.outer(scale, scale)))


MIXING = _residual_factor()


def degeneration_at(age_years: float, own: Floats, reader: Floats) -> Degeneration:
    """The state of a person at an age; `own` (25,) are the person's standard normal numbers, constant for life, `reader` (25,) the reader's."""
    loadings = age_loadings()
    normal = loadings * (age_years - AGE_MEAN_YEARS) / AGE_SD_YEARS + MIXING @ own
    seen = np.sqrt(1 - READER_VARIANCE) * normal + np.sqrt(READER_VARIANCE) * reader
    cuts = cut_points().reshape(2, 25)
    grades = (seen > cuts[0]).astype(np.int64) + (seen > cuts[1])
    return Degeneration(normal.reshape(5, 5), latent(normal.reshape(5, 5)), grades.reshape(5, 5))


def latent(normal: Floats) -> Floats:
    """Latent narrowing (..., 5, 5) in [0, 1] of standard normal variables: monotone, 0.33 and 0.66 at the cut points."""
    cuts = cut_points()
    low = BORDERS[0] * (special.ndtr(normal) / special.ndtr(cuts[0])) ** 1.6
    middle = BORDERS[0] + (BORDERS[1] - BORDERS[0]) * (normal - cuts[0]) / (cuts[1] - cuts[0])
    high = BORDERS[1] + (1 - BORDERS[1]) * (1 - np.exp(-(normal - cuts[1]) / 0.6))
    return np.asarray(np.where(normal < cuts[0], low, np.where(normal < cuts[1], middle, high)))


def grade_probabilities(normal: Floats) -> Floats:
    """(..., 5, 5, 3) probabilities of the three grades given the patient's variable but not the reader's: the limit for any model."""
    cuts = cut_points()
    spread = np.sqrt(READER_VARIANCE)
    below = [special.ndtr((cut - np.sqrt(1 - READER_VARIANCE) * normal) / spread) for cut in cuts]
    return np.asarray(np.stack([below[0], below[1] - below[0], 1 - below[1]], axis=-1))
