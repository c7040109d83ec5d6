"""The finding of one grade."""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.findings import Probabilities, SeverityFinding

MODERATE_FROM, SEVERE_FROM = 0.33, 0.66  # of the severity score


def severity_score(clinical: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (...) in [0, 1] of probabilities (..., 3): half the probability of moderate plus that of severe; monotone in the grades."""
    return np.asarray(np.clip(0.5 * clinical[..., 1] + clinical[..., 2], 0, 1))


def severity_of(score: float) -> Severity:
    """Normal/mild to 0.33, moderate to 0.66, severe above."""
    if score <= MODERATE_FROM:
        return Severity.NORMAL_MILD
    return Severity.MODERATE if score <= SEVERE_FROM else Severity.SEVERE


def grades_in_set(inside: NDArray[np.bool_]) -> tuple[Severity, ...]:
    """The grades of a conformal set (3,)."""
    return tuple(grade for grade, within in zip(Severity, inside, strict=True) if within)


def make_finding(
    condition: Condition, level: Level, metric: NDArray[np.float64], clinical: NDArray[np.float64], *, uncertain: bool, model: str
) -> SeverityFinding:
    """The finding with both kinds of probabilities (3,), without evidence."""
    score = float(severity_score(clinical))
    return SeverityFinding(
        condition=condition,
        level=level,
        probabilities=Probabilities(*(float(p) for p in metric)),
        clinical_probabilities=Probabilities(*(float(p) for p in clinical)),
        severity=severity_of(score),
        severity_score=score,
        evidence=None,
        uncertain=uncertain,
        model=model,
    )
