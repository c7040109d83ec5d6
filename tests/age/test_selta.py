"""Selta on simulated people: healthy ones are flagged as rarely as promised, and a planted acceleration is found."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from lumbar.age.selta import BASELINE, SegmentReference, fit_selta
from lumbar.errors import UsageError
from lumbar.metrics.age_bias import Bias, BiasModel
from lumbar.metrics.spread import Spread

SEGMENTS = {BASELINE: (0.85, 3.0), "L3/L4": (0.75, 4.5), "L4/L5": (0.7, 5.0), "L5/S1": (0.6, 6.0)}  # slope on age, own noise in years


def _people(n: int, seed: int, ahead_years: float = 0.0) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Segments share the person's deviation from its age; the lower ones scatter more, and more so in the old. `ahead_years` is added to L4/L5."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(20, 85, n)
    person = rng.normal(0, 3, n)
    segments = {}
    for name, (slope, noise) in SEGMENTS.items():
        real = age + person + (ahead_years if name == "L4/L5" else 0)
        segments[name] = 50 + slope * (real - 50) + rng.normal(0, noise, n) * (0.7 + 0.6 * (age - 20) / 65)
    return age, segments


def test_value_by_hand() -> None:
    bias, base = Bias(BiasModel.COLE, (20.0, 0.5, 0.0)), Bias(BiasModel.COLE, (0.0, 1.0, 0.0))
    reference = SegmentReference("L4/L5", bias, base, Spread((40.0, 60.0), (4.0, 6.0)), 1.7, 500)
    # (50 − 20) / 0.5 = 60 years against 50 years: ten ahead, where healthy people of 50 scatter by 5
    assert reference.value([50.0], [50.0], [50.0])[0] == pytest.approx(2.0)
    assert reference.flagged([1.69, 1.71]).tolist() == [False, True]


def test_healthy_people_are_flagged_as_rarely_as_promised() -> None:
    age, segments = _people(1500, 0)
    reference = fit_selta(segments, age)
    test_age, test = _people(20000, 1)
    assert set(reference) == {"L3/L4", "L4/L5", "L5/S1"}
    for name, fitted in reference.items():
        value = fitted.value(test[name], test[BASELINE], test_age)
        for part in (test_age < 40, (test_age >= 40) & (test_age < 65), test_age >= 65):
            assert fitted.flagged(value[part]).mean() == pytest.approx(0.05, abs=0.02)
        assert value.std() == pytest.approx(1, abs=0.06)


def test_a_planted_acceleration_of_one_segment_is_found() -> None:
    age, segments = _people(1500, 0)
    reference = fit_selta(segments, age)
    healthy_age, healthy = _people(4000, 2)
    ill_age, ill = _people(4000, 3, ahead_years=20)
    value = {name: (r.value(healthy[name], healthy[BASELINE], healthy_age), r.value(ill[name], ill[BASELINE], ill_age)) for name, r in reference.items()}
    auc = {name: stats.mannwhitneyu(b, a).statistic / 4000**2 for name, (a, b) in value.items()}
    assert auc["L4/L5"] > 0.9
    assert auc["L3/L4"] == pytest.approx(0.5, abs=0.03)
    assert reference["L5/S1"].flagged(value["L5/S1"][1]).mean() == pytest.approx(0.05, abs=0.02)


def test_needs_the_baseline_and_enough_people() -> None:
    age, segments = _people(200, 0)
    with pytest.raises(UsageError, match="L1-L3"):
        fit_selta({"L4/L5": segments["L4/L5"]}, age)
    with pytest.raises(UsageError, match="100 people"):
        fit_selta({name: years[:50] for name, years in segments.items()}, age[:50])
