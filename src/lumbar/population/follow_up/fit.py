"""Whether two examinations show the same person, and whether their levels have the same names.

The distances between the centers of neighbouring discs are those of one person's vertebrae and discs: they barely change with posture or scanner. They are
compared under the names that were given, and with the names of one examination moved up or down by one level.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Points
from lumbar.population.follow_up.examination import Examination

LEVELS = tuple(Level)
# Relative disagreement of the distances between discs. Measured by recipes/follow_up/fit.py on phantom people and on SPIDER: see its output.
DOUBTFUL_DISAGREEMENT, OTHER_PERSON_DISAGREEMENT = 0.03, 0.08
_CLEARLY_BETTER = 0.5  # disagreement with moved names, as a share of that with the given ones
_LEAST_TO_MOVE = 0.02  # below it the given names fit well enough
_FEWEST_DISTANCES = 2


@dataclass(frozen=True)
class Fit:
    """How well two examinations fit each other."""

    status: str  # "passed", "doubtful" or "failed"
    common_levels: tuple[str, ...]
    distance_disagreement: float | None  # root mean square of relative differences; None with fewer than three common levels
    residual_mm: float | None  # of the disc centers after rigid registration
    better_shift: int  # by how many levels (upwards positive) the later names would fit clearly better; 0: as they are
    notes: tuple[str, ...]


def fit_of(earlier: Examination, later: Examination) -> Fit:
    """Compare the geometry of two examinations."""
    a, b = earlier.levels, later.levels
    common = [level for level in LEVELS if level in a and level in b]
    own = _disagreement(a, b, 0)
    notes, status = [], "passed"
    if len(common) < 2:
        found = ", ".join(level.value for level in common) or "none"
        return Fit("failed", tuple(level.value for level in common), None, None, 0, (f"the examinations have too few levels in common ({found})",))
    if own is None:
        notes.append("too few common levels to verify from their distances that this is the same person")
        status = "doubtful"
    elif own > OTHER_PERSON_DISAGREEMENT:
        notes.append(f"the distances between the discs differ by {100 * own:.0f} %: the patients differ, or the levels were named differently")
        status = "failed"
    elif own > DOUBTFUL_DISAGREEMENT:
        notes.append(f"the distances between the discs differ by {100 * own:.0f} %, more than two examinations of one person usually do")
        status = "doubtful"
    moved = {shift: value for shift in (-1, 1) if (value := _disagreement(a, b, shift)) is not None}
    shift = min(moved, key=lambda s: moved[s], default=0)
    if not shift or own is None or own <= _LEAST_TO_MOVE or moved[shift] > _CLEARLY_BETTER * own:
        shift = 0
    if shift:
        notes.append(f"with the later levels named one {'higher' if shift > 0 else 'lower'} the spines fit better: check the names of the levels")
        status = "failed"
    for examination in (earlier, later):
        if not examination.numbering_confident:
            notes.append(f"the level names of {examination.name} are uncertain")
            status = "doubtful" if status == "passed" else status
    residual = _registration_residual(np.stack([a[level] for level in common]), np.stack([b[level] for level in common])) if len(common) > 2 else None
    return Fit(status, tuple(level.value for level in common), own, residual, shift, tuple(notes))


def _disagreement(a: Mapping[Level, Points], b: Mapping[Level, Points], shift: int) -> float | None:
    """Root mean square relative difference of the distances between neighbouring discs, with the names of `b` moved up by `shift`."""
    first, second = _distances(a), _distances(b)
    pairs = [(value, second[number + shift]) for number, value in first.items() if number + shift in second]
    if len(pairs) < _FEWEST_DISTANCES:
        return None
    x, y = np.array(pairs).T
    return float(np.sqrt(np.mean(((x - y) / ((x + y) / 2)) ** 2)))


def _distances(levels: Mapping[Level, Points]) -> dict[int, float]:
    """Distance from each level to the next below it, by the number of the upper one."""
    return {
        number: float(np.linalg.norm(levels[upper] - levels[lower]))
        for number, (upper, lower) in enumerate(pairwise(LEVELS))
        if upper in levels and lower in levels
    }


def _registration_residual(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Root mean square distance of points (n, 3) after the best rigid motion (Kabsch)."""
    p, q = a - a.mean(axis=0), b - b.mean(axis=0)
    u, _, vt = np.linalg.svd(p.T @ q)
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    return float(np.sqrt(((p @ turn - q) ** 2).sum(axis=1).mean()))
