"""Grades of one structure from two series: axial T2 and sagittal T1 show different parts of it, and their errors differ.

The probabilities of both are multiplied, each to a power. `recipes/severity/two_series.py` fits the powers and prints the gain out of fold: canals and
recesses, which readers grade on the axial slice, gain from sagittal T1; foramina do not gain from the axial slice.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.findings import Probabilities, SeverityFinding
from lumbar.metrics.calibration import conformal_sets
from lumbar.severity.finding import grades_in_set, make_finding

POWERS = 0.85, 0.3  # of axial T2 and of sagittal T1; rounded from fits to all five folds, alike for canals and recesses


def pooled(axial: NDArray[np.float64], sagittal: NDArray[np.float64], powers: tuple[float, float] = POWERS) -> NDArray[np.float64]:
    """Probabilities (..., 3) proportional to the product of both, each to its power."""
    product = np.power(axial, powers[0]) * np.power(sagittal, powers[1])
    return np.asarray(product / product.sum(axis=-1, keepdims=True))


def with_sagittal(axial: SeverityFinding, sagittal: SeverityFinding, threshold: float) -> SeverityFinding:
    """`axial` with the probabilities of both series and its conformal set at `threshold`; evidence, model and the rest are kept."""
    metric = pooled(_array(axial.probabilities), _array(sagittal.probabilities))
    clinical = pooled(_array(axial.clinical_probabilities), _array(sagittal.clinical_probabilities))
    within = grades_in_set(conformal_sets(clinical[None], threshold)[0])
    graded = make_finding(axial.condition, axial.level, metric, clinical, uncertain=len(within) > 1, model=axial.model)
    return replace(
        axial,
        probabilities=graded.probabilities,
        clinical_probabilities=graded.clinical_probabilities,
        severity=graded.severity,
        severity_score=graded.severity_score,
        uncertain=graded.uncertain,
        conformal_set=within,
    )


def _array(probabilities: Probabilities) -> NDArray[np.float64]:
    return np.array([probabilities.normal_mild, probabilities.moderate, probabilities.severe])
