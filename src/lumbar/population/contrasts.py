"""Definition of a stage of acceleration, shared by both search methods.

At an age c and a window of ±w years, the *excess* is the slope of the index around c minus the mean of the slopes in the windows of the same width before
and after it. A straight line has no excess anywhere, nor has a parabola: ageing that only becomes faster and faster has no stages. A stage is a peak of
the excess that is significant over all ages, widths and curves of the file together (peaks are compared with the maximum of each null draw), and that
exceeds both the slope before it and the slope after it. The number of stages is not assumed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTHS_YEARS = (4.0, 5.0, 6.0, 7.5, 9.0)  # half-widths of the windows
STEP_YEARS = 0.5  # between evaluated ages
REACH = 1.75  # a window and three quarters of its neighbour must lie inside the ages of the data, in half-widths from c
SIDE_Z = 2.33  # each side on its own: one in a hundred
_SAME_STAGE_YEARS = 3.0
_FURTHER_ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Contrast:
    """The excess at one window width."""

    width_years: float  # half-width
    ages_years: Array  # (m,) c
    slope: Array  # (m,) around c, per year
    excess: Array  # (m,) per year
    z: Array  # (m,) excess in standard errors
    z_before: Array  # (m,) slope around c minus that before, in standard errors
    z_after: Array  # (m,)
    errors: Array | None = None  # (m, draws) bootstrap errors of z, where the method draws them


@dataclass(frozen=True, eq=False)
class Search:
    """The contrasts of one curve, and their null distribution."""

    contrasts: tuple[Contrast, ...]
    null_maxima: Array  # (draws,) highest z over all ages and widths in each null draw; −∞ without contrasts


@dataclass(frozen=True)
class Stage:
    """One stage of acceleration as one method found it."""

    age_years: float
    low_years: float  # 95 % bootstrap range of the peak's place; NaN where the method draws no errors
    high_years: float
    width_years: float  # half-width of the window with the highest significance
    slope: float  # index per year around it
    excess: float  # slope minus the mean of the slopes before and after
    z: float
    p_adjusted: float  # probability of such a peak at any age, width and curve of the file under linear ageing; of this curve for a further stage
    widths_years: tuple[float, ...]  # all half-widths at which it is significant
    stability: float  # their share among the evaluated widths


def centres(ages_years: Array, width_years: float) -> Array:
    """Ages evaluated for a half-width."""
    low, high = np.quantile(ages_years, [0.005, 0.995])
    first, last = low + REACH * width_years, high - REACH * width_years
    return np.arange(np.ceil(first / STEP_YEARS), np.floor(last / STEP_YEARS) + 1) * STEP_YEARS


def joint_maxima(searches: list[Search]) -> Array:
    """(draws,) highest z over all curves, draw by draw."""
    return np.asarray(np.max([search.null_maxima for search in searches], axis=0))


def adjusted_p(z: float, maxima: Array) -> float:
    """Share of null draws whose highest z is at least `z`, counting the data as one of them (Davison & Hinkley 1997)."""
    return float((1 + (maxima >= z).sum()) / (1 + len(maxima)))


def find_stages(search: Search, maxima: Array, alpha: float) -> tuple[Stage, ...]:
    """Stages of one curve in order of age.

    A curve has stages if one peak is significant against `maxima` (from `joint_maxima`, so that `alpha` is the probability of any false detection in the whole
    file). Its further peaks are then compared with the null maxima of this curve only at 5 % (serial gatekeeping).

    The age of a stage is that of the narrowest window that finds it: wide ones are biased towards neighbouring stages and away from the ends of the data.
    """
    candidates = [peak for contrast in search.contrasts for peak in _peaks(contrast, search.null_maxima)]
    if not any(adjusted_p(float(contrast.z[k]), maxima) <= alpha for contrast, k in candidates):
        return ()
    kept: list[tuple[Contrast, int]] = []
    for contrast, k in sorted(candidates, key=lambda peak: (peak[0].width_years, -peak[0].z[peak[1]])):
        if all(abs(contrast.ages_years[k] - other.ages_years[j]) > contrast.width_years for other, j in kept):
            kept.append((contrast, k))
    stages = []
    for contrast, k in kept:
        age = float(contrast.ages_years[k])
        able = [c for c in search.contrasts if len(c.ages_years) and c.ages_years[0] <= age <= c.ages_years[-1]]
        support = [(c, j) for c, j in candidates if abs(c.ages_years[j] - age) <= _SAME_STAGE_YEARS]
        best, b = max(support, key=lambda peak: float(peak[0].z[peak[1]]))
        p = adjusted_p(float(best.z[b]), maxima)
        p = p if p <= alpha else adjusted_p(float(best.z[b]), search.null_maxima)
        numbers = (float(best.slope[b]), float(best.excess[b]), float(best.z[b]), p)
        widths = tuple(sorted({c.width_years for c, _ in support}))
        stages.append(Stage(age, *_place(contrast, k), best.width_years, *numbers, widths, len(widths) / max(len(able), len(widths))))
    return tuple(sorted(stages, key=lambda stage: stage.age_years))


def _peaks(contrast: Contrast, maxima: Array) -> list[tuple[Contrast, int]]:
    z = contrast.z
    inner = np.flatnonzero((z[1:-1] >= z[:-2]) & (z[1:-1] >= z[2:])) + 1 if len(z) > 2 else np.array([], dtype=int)
    high = [k for k in inner if contrast.z_before[k] > SIDE_Z and contrast.z_after[k] > SIDE_Z]
    return [(contrast, int(k)) for k in high if adjusted_p(float(z[k]), maxima) <= _FURTHER_ALPHA]


def _place(contrast: Contrast, k: int) -> tuple[float, float]:
    """95 % range of the peak's age over the draws, searched within one window."""
    if contrast.errors is None:
        return float("nan"), float("nan")
    near = np.flatnonzero(np.abs(contrast.ages_years - contrast.ages_years[k]) <= contrast.width_years)
    peak = contrast.ages_years[near][(contrast.z[near, None] + contrast.errors[near]).argmax(axis=0)]
    low, high = np.quantile(peak, [0.025, 0.975])
    return float(low), float(high)
