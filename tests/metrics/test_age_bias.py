"""Bias models on numbers worked by hand, and the residuals of unseen people."""

import numpy as np
import pytest

from lumbar.errors import UsageError
from lumbar.metrics.age_bias import Bias, BiasModel, crossfit_delta, fit_bias

LINE = (16.0, 0.6, 0.0)  # pred = 16 + 0.6 · age: 40 is predicted right, 20 as 28, 70 as 58


def test_corrections_by_hand() -> None:
    assert Bias(BiasModel.NONE, (0, 1, 0)).delta(58.0, 70.0) == pytest.approx(-12)
    assert Bias(BiasModel.COLE, LINE).corrected_age(58.0, 70.0) == pytest.approx(70)
    assert Bias(BiasModel.COLE, LINE).delta(61.0, 70.0) == pytest.approx(5)  # 3 years of prediction are 5 years of age
    assert Bias(BiasModel.BEHESHTI, LINE).delta(61.0, 70.0) == pytest.approx(3)
    assert Bias(BiasModel.QUADRATIC, (10.0, 1.0, -0.005)).delta(50.0, 40.0) == pytest.approx(50 - (10 + 40 - 8))


def test_fit_finds_the_line_and_the_parabola() -> None:
    age = np.linspace(20, 90, 50)
    assert fit_bias(BiasModel.COLE, 16 + 0.6 * age, age).coefficients == pytest.approx(LINE)
    assert fit_bias(BiasModel.QUADRATIC, 5 + 1.2 * age - 0.004 * age**2, age).coefficients == pytest.approx((5, 1.2, -0.004))


def test_cole_does_not_look_at_the_true_age() -> None:
    bias = fit_bias(BiasModel.COLE, [20.0, 41.0, 59.0, 80.0], [15.0, 40.0, 60.0, 85.0])
    assert bias.corrected_age(50.0, 10.0) == bias.corrected_age(50.0, 90.0)
    assert not BiasModel.COLE.inflates_accuracy


def test_beheshti_makes_noise_look_accurate() -> None:
    """Predictions independent of age correlate with age after correction, so corrected ages do not measure accuracy."""
    rng = np.random.default_rng(0)
    age, noise = rng.uniform(20, 80, 500), rng.normal(50, 3, 500)
    corrected = fit_bias(BiasModel.BEHESHTI, noise, age).corrected_age(noise, age)
    assert np.corrcoef(corrected, age)[0, 1] > 0.97
    assert BiasModel.BEHESHTI.inflates_accuracy


@pytest.mark.parametrize("model", [BiasModel.COLE, BiasModel.BEHESHTI, BiasModel.QUADRATIC])
def test_corrected_delta_of_unseen_people_is_free_of_age(model: BiasModel) -> None:
    rng = np.random.default_rng(1)
    age = rng.uniform(20, 85, 1500)
    predicted = 16 + 0.7 * age + rng.normal(0, 5, 1500)
    assert np.corrcoef(predicted - age, age)[0, 1] < -0.5
    delta = crossfit_delta(model, predicted, age, np.arange(1500))
    assert abs(np.corrcoef(delta, age)[0, 1]) < 0.05


def test_crossfit_never_uses_the_person_itself() -> None:
    """One wild row moves the deltas of others, but its own delta is that of the line through the others."""
    age = np.linspace(20, 80, 40)
    predicted = age.copy()
    predicted[7] += 100
    delta = crossfit_delta(BiasModel.BEHESHTI, predicted, age, np.arange(40))
    assert delta[7] == pytest.approx(100)
    assert np.abs(np.delete(delta, 7)).max() > 0.5


def test_useless_predictions_cannot_be_divided_by_their_slope() -> None:
    age = np.linspace(20, 80, 40)
    with pytest.raises(UsageError, match="Cole"):
        fit_bias(BiasModel.COLE, 60 - 0.1 * age, age)
    with pytest.raises(UsageError, match="different ages"):
        fit_bias(BiasModel.BEHESHTI, [40.0, 41.0], [40.0, 40.0])
