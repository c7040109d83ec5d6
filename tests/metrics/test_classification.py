"""Classification measures against hand-worked numbers and scikit-learn."""

import numpy as np
import pytest

from lumbar.metrics.calibration import (
    conformal_sets,
    conformal_threshold,
    expected_calibration_error,
    fit_temperature,
    reliability,
    reweighted,
    tempered,
)
from lumbar.metrics.classification import balanced_accuracy, confusion_matrix, quadratic_kappa, roc_auc, weighted_log_loss


def test_confusion_balanced_accuracy_and_kappa_by_hand() -> None:
    confusion = confusion_matrix(np.array([0, 0, 1, 2, 2, 0]), np.array([0, 0, 1, 1, 2, 2]), 3)
    assert confusion.tolist() == [[2, 0, 0], [0, 1, 1], [1, 0, 1]]
    assert balanced_accuracy(confusion) == pytest.approx((1 + 0.5 + 0.5) / 3)
    # disagreement 1·1 + 4·1 = 5; by chance Σ d²·row·column / n with rows (2, 2, 2) and columns (3, 1, 2): 2·(0+1+8)/6 + 2·(3+0+2)/6 + 2·(12+1+0)/6 = 9
    assert quadratic_kappa(confusion) == pytest.approx(1 - 5 / 9)


def test_undefined_values_are_nan() -> None:
    assert np.isnan(quadratic_kappa(np.array([[5, 0], [0, 0]])))
    assert np.isnan(roc_auc(np.array([0.1, 0.2]), np.array([True, True])))
    assert np.isnan(weighted_log_loss(np.zeros((0, 3)), np.zeros(0, int), np.ones(3)))


def test_against_scikit_learn() -> None:
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    p, y = rng.dirichlet([1, 1, 1], 400), rng.integers(0, 3, 400)
    weights = np.array([1.0, 2.0, 4.0])
    confusion = confusion_matrix(p.argmax(1), y, 3)
    assert weighted_log_loss(p, y, weights) == pytest.approx(sk.log_loss(y, p, sample_weight=weights[y]), abs=1e-12)
    assert quadratic_kappa(confusion) == pytest.approx(sk.cohen_kappa_score(y, p.argmax(1), weights="quadratic"), abs=1e-12)
    assert balanced_accuracy(confusion) == pytest.approx(sk.balanced_accuracy_score(y, p.argmax(1)), abs=1e-12)
    rough = p[:, 2].round(1)  # with ties
    assert roc_auc(rough, y == 2) == pytest.approx(sk.roc_auc_score(y == 2, rough), abs=1e-12)


def test_calibration_error_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    bins = reliability(p, np.array([0, 1, 0, 0]), bins=10)
    assert [(b.rows, b.confidence, b.accuracy) for b in bins] == [(2, 0.6, 1.0), (2, 0.9, 0.5)]
    assert expected_calibration_error(bins) == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)


def test_reweighting_undoes_weighted_training() -> None:
    true = np.array([[0.7, 0.2, 0.1]])
    weights = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(reweighted(reweighted(true, weights), 1 / weights), true)


def test_the_temperature_that_was_put_in_is_found() -> None:
    rng = np.random.default_rng(0)
    true = rng.dirichlet([0.6, 0.6, 0.6], 20000)
    y = np.array([rng.choice(3, p=row) for row in true])
    overconfident = tempered(true, 0.5)
    assert fit_temperature(overconfident, y, np.ones(3)) == pytest.approx(2.0, rel=0.05)


def test_conformal_sets_cover_what_they_promise_on_fresh_rows() -> None:
    rng = np.random.default_rng(1)
    true = rng.dirichlet([0.8, 0.5, 0.3], 8000)
    y = np.array([rng.choice(3, p=row) for row in true])
    noisy = tempered(true, 0.6)  # coverage must hold although these probabilities are wrong
    threshold = conformal_threshold(noisy[:4000], y[:4000], 0.9)
    sets = conformal_sets(noisy[4000:], threshold)
    assert sets[np.arange(4000), y[4000:]].mean() == pytest.approx(0.9, abs=0.02)
    assert sets.any(axis=1).all()


def test_too_few_rows_give_full_sets() -> None:
    assert conformal_threshold(np.array([[0.9, 0.1]]), np.array([0]), 0.9) == 0.0
