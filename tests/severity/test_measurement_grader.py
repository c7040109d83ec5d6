"""The baseline grader: cut-offs worked by hand, and probabilities from counts."""

import numpy as np
import pytest

from lumbar.severity.learn.studies.measurement_grader import UNKNOWN, cutoff_grades, fit_measurement_grader
from lumbar.severity.studies.views import MEASURES


def measures(canal_mm: list[float], disc_mm: list[float]) -> np.ndarray:
    """One study's measures; the others are not measured."""
    result = np.full((1, 5, len(MEASURES)), np.nan, np.float32)
    result[0, :, MEASURES.index("canal_ap_mm")] = canal_mm
    result[0, :, MEASURES.index("disc_height_posterior_mm")] = disc_mm
    return result


def test_cut_offs_by_hand() -> None:
    cut = cutoff_grades(measures([15.0, 12.0, 11.9, 9.9, np.nan], [8.0, 6.9, 4.0, 3.9, np.nan]))[0]
    assert cut[0].tolist() == [0, 0, 1, 2, UNKNOWN]
    assert cut[1].tolist() == cut[2].tolist() == [0, 1, 1, 2, UNKNOWN]
    assert cut[3].tolist() == cut[4].tolist() == [0, 0, 0, 1, UNKNOWN]


def test_probabilities_are_smoothed_counts_and_predictions_are_weighted() -> None:
    many = np.repeat(measures([15.0] * 5, [8.0] * 5), 6, axis=0)
    targets = np.full((6, 5, 5), -1)
    targets[:, 0, 0] = [0, 0, 0, 0, 1, 2]
    grader = fit_measurement_grader(many, targets)
    assert grader.probabilities[0, 0].tolist() == pytest.approx([5 / 9, 2 / 9, 2 / 9])
    assert grader.probabilities[0, UNKNOWN].tolist() == pytest.approx([1 / 3] * 3)  # no such case
    answer = grader.grade(many[:1])[0, 0, 3]
    assert answer.tolist() == pytest.approx([5 / 17, 4 / 17, 8 / 17])  # 5·1, 2·2, 2·4
