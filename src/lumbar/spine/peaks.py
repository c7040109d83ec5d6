"""Peaks of a profile, as `scipy.signal.find_peaks` computes them; importing scipy.signal takes half a second, a tenth of an analysis."""

import numpy as np
from numpy.typing import NDArray

Profile = NDArray[np.float64] | NDArray[np.float32]


def find_peaks(profile: Profile, height: float, distance: float, prominence: float) -> NDArray[np.int64]:
    """Indices of the local maxima of `profile` (n,), from first to last.

    A plateau is represented by its middle; the ends of the profile are not peaks.

    Args:
        profile: the values.
        height: minimum value of a peak.
        distance: minimum number of steps between peaks; the highest are kept.
        prominence: minimum prominence of a peak, as SciPy defines it.
    """
    starts = np.flatnonzero(np.r_[True, np.diff(profile) != 0])
    ends = np.r_[starts[1:], len(profile)] - 1
    levels = profile[starts]
    top = np.flatnonzero((levels[1:-1] > levels[:-2]) & (levels[1:-1] > levels[2:])) + 1
    found = (starts[top] + ends[top]) // 2
    found = _apart(found[profile[found] >= height], profile, distance)
    return found[[_prominence(profile, int(place)) >= prominence for place in found]] if len(found) else found


def _apart(found: NDArray[np.int64], profile: Profile, distance: float) -> NDArray[np.int64]:
    """Peaks that remain after removing those too close to a higher one."""
    stays = np.ones(len(found), bool)
    for number in np.argsort(profile[found])[::-1]:
        if stays[number]:
            stays &= (np.abs(found - found[number]) >= np.ceil(distance)) | (np.arange(len(found)) == number)
    return found[stays]


def _prominence(profile: Profile, place: int) -> float:
    falls = []
    for side in (profile[place::-1], profile[place:]):
        above = np.flatnonzero(side > profile[place])
        falls.append(profile[place] - side[: above[0] if len(above) else len(side)].min())
    return float(min(falls))
