"""The graded places against published aggregates of the RSNA 2024 table."""

import numpy as np
import pytest
from scipy import stats

from lumbar.phantom.build import person_degeneration
from lumbar.phantom.degeneration import BORDERS, READER_VARIANCE, cut_points, degeneration_at, grade_probabilities, label_correlations, latent
from lumbar.phantom.population import sample_person

# Shares of normal/mild, moderate, severe as published with the data set.
PUBLISHED = {"spinal": (0.878, 0.075, 0.048), "foraminal": (0.780, 0.181, 0.040), "subarticular": (0.714, 0.190, 0.096)}
ROWS = {"spinal": [0], "foraminal": [1, 2], "subarticular": [3, 4]}


@pytest.fixture(scope="module")
def grades() -> np.ndarray:
    return np.stack([person_degeneration(sample_person(seed)).grades for seed in range(2000)])


@pytest.mark.parametrize("group", ROWS)
def test_label_shares_are_within_a_point_of_the_data_set(grades: np.ndarray, group: str) -> None:
    found = np.bincount(grades[:, ROWS[group]].ravel(), minlength=3) / grades[:, ROWS[group]].size
    np.testing.assert_allclose(found, PUBLISHED[group], atol=0.01)


def test_left_and_right_recesses_correlate_as_in_the_data_set(grades: np.ndarray) -> None:
    # Spearman's correlation of left and right subarticular grades over all levels of train.csv is 0.556.
    found = stats.spearmanr(grades[:, 3].ravel(), grades[:, 4].ravel())[0]
    assert found == pytest.approx(0.556, abs=0.05)


def test_grades_rise_with_age_and_towards_l4_l5(grades: np.ndarray) -> None:
    ages = np.array([sample_person(seed).age_years for seed in range(2000)])
    young, old = grades[ages < 40].mean(), grades[ages > 70].mean()
    assert old > 2 * young
    by_level = grades[:, 3:5].mean(axis=(0, 1))
    assert by_level.argmax() == 3
    assert (np.diff(by_level[:4]) > 0).all()


def test_latent_narrowing_crosses_the_borders_at_the_cut_points() -> None:
    cuts = cut_points()
    np.testing.assert_allclose(latent(cuts[0]), BORDERS[0])
    np.testing.assert_allclose(latent(cuts[1]), BORDERS[1])
    ladder = np.linspace(-4, 4, 400)[:, None, None] * np.ones((5, 5))
    assert (np.diff(latent(ladder), axis=0) > 0).all()
    assert latent(ladder).min() >= 0 and latent(ladder).max() <= 1


def test_grade_probabilities_agree_with_simulated_reader_noise() -> None:
    random = np.random.default_rng(0)
    own = random.standard_normal(25)
    seen = np.stack([degeneration_at(60.0, own, random.standard_normal(25)).grades for _ in range(4000)])
    claimed = grade_probabilities(degeneration_at(60.0, own, np.zeros(25)).normal)
    for grade in range(3):
        np.testing.assert_allclose((seen == grade).mean(axis=0), claimed[..., grade], atol=0.03)


def test_correlations_are_symmetric_with_mirrored_sides() -> None:
    matrix = label_correlations()
    np.testing.assert_array_equal(matrix, matrix.T)
    mirror = np.r_[0:5, 10:15, 5:10, 20:25, 15:20]
    np.testing.assert_array_equal(matrix, matrix[np.ix_(mirror, mirror)])
    assert 0 < READER_VARIANCE < 0.5
