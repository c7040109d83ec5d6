"""Grades of one structure from two series."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.findings import Evidence, SeverityFinding
from lumbar.severity.finding import make_finding
from lumbar.severity.two_series import pooled, with_sagittal


def graded(metric: tuple[float, ...], clinical: tuple[float, ...], model: str) -> SeverityFinding:
    return make_finding(Condition.SPINAL_CANAL_STENOSIS, Level.L4_L5, np.array(metric), np.array(clinical), uncertain=True, model=model)


def test_the_product_by_hand() -> None:
    # 0.25 · 0.64, 0.25 · 0.16, 0.5 · 0.2 with powers 1 and 1/2: roots 0.8, 0.4 and 0.4472
    found = pooled(np.array([[0.25, 0.25, 0.5]]), np.array([[0.64, 0.16, 0.2]]), (1.0, 0.5))
    weights = np.array([0.25 * 0.8, 0.25 * 0.4, 0.5 * 0.2**0.5])
    np.testing.assert_allclose(found, [weights / weights.sum()], rtol=1e-12)


def test_a_series_that_tells_nothing_keeps_the_order_of_the_grades() -> None:
    found = pooled(np.array([0.1, 0.3, 0.6]), np.full(3, 1 / 3))
    assert found.argsort().tolist() == [0, 1, 2] and found.sum() == pytest.approx(1)


def test_the_finding_keeps_its_evidence_and_gets_a_new_grade_and_set() -> None:
    evidence = Evidence("1.2", 4, 10.0, 20.0)
    axial = replace(graded((0.4, 0.3, 0.3), (0.55, 0.25, 0.2), "axial"), evidence=evidence, conformal_set=tuple(Severity))
    both = with_sagittal(axial, graded((0.97, 0.02, 0.01), (0.97, 0.02, 0.01), "sagittal"), threshold=0.2)
    assert (both.model, both.evidence, both.level) == ("axial", evidence, Level.L4_L5)
    assert both.severity is Severity.NORMAL_MILD and both.severity_score < axial.severity_score
    assert both.conformal_set == (Severity.NORMAL_MILD,) and not both.uncertain
    opposite = with_sagittal(axial, graded((0.01, 0.01, 0.98), (0.01, 0.01, 0.98), "sagittal"), threshold=0.2)
    assert opposite.severity_score > axial.severity_score
