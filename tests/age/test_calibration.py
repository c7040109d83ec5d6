"""Calibration on simulated predictions with ground truth."""

import json

import numpy as np
import pytest

from lumbar.age.calibration import HeldOut, fit_calibration, from_parameters, to_parameters
from lumbar.age.out_of_distribution import FeatureDistribution, fit_feature_distribution
from lumbar.age.segments import SEGMENTS, WHOLE
from lumbar.errors import ModelError

ANY = FeatureDistribution((0.0,), ((1.0,),), 9.0)


def _people(n: int = 3000, seed: int = 0, shrunk: float = 0.8) -> HeldOut:
    """Predictions drawn to the mean by `shrunk`, with an error of 5 years."""
    random = np.random.default_rng(seed)
    age = random.uniform(20, 85, n)
    years = {name: 55 + shrunk * (age - 55) + 5 * random.standard_normal(n) for name in SEGMENTS}
    return HeldOut(age, years, random.standard_normal((n, 6)), np.ones(n, dtype=bool))


def test_delta_z_and_percentile_of_a_known_error() -> None:
    calibration = fit_calibration(_people(), ANY, (20.0, 85.0))
    delta, z, percentile = calibration.delta(55 + 0.8 * (75 - 55) + 5.0, 75.0)  # 5 years, one standard deviation, above what is usual at 75
    assert delta == pytest.approx(5, abs=0.5)
    assert z == pytest.approx(1, abs=0.12)
    assert percentile == pytest.approx(84.1, abs=2.5)
    assert calibration.delta(55 + 0.8 * (30 - 55), 30.0)[0] == pytest.approx(0, abs=0.5)  # the young are not called old for the shrinking alone


def test_promises_hold_for_other_people() -> None:
    calibration = fit_calibration(_people(), ANY, (20.0, 85.0))
    new = _people(seed=1)
    low, high = calibration.conformal.interval(new.segment_years[WHOLE])
    assert ((low <= new.age_years) & (new.age_years <= high)).mean() == pytest.approx(0.9, abs=0.02)
    for name, reference in calibration.selta.items():
        flagged = reference.flagged(reference.value(new.segment_years[name], new.segment_years["L1-L3"], new.age_years))
        assert flagged.mean() == pytest.approx(0.05, abs=0.02)
    assert list(calibration.selta) == ["L3/L4", "L4/L5", "L5/S1"]


def test_the_card_brings_everything_back() -> None:
    calibration = fit_calibration(_people(300), fit_feature_distribution(_people(300).features, _people(200, 3).features), (20.0, 85.0))
    again = from_parameters(json.loads(json.dumps(to_parameters(calibration))))
    assert again == calibration


def test_a_damaged_card_is_named() -> None:
    document = json.loads(json.dumps(to_parameters(fit_calibration(_people(300), ANY, (20.0, 85.0)))))
    del document["spread"]
    with pytest.raises(ModelError, match="spread"):
        from_parameters(document)


def test_without_a_reference_there_is_no_selta() -> None:
    people = _people(400)
    few = HeldOut(people.age_years, people.segment_years, people.features, np.arange(400) < 60)
    assert fit_calibration(few, ANY, (20.0, 85.0)).selta == {}


def test_unusual_features_are_out_of_distribution() -> None:
    random = np.random.default_rng(0)
    mixing = random.standard_normal((20, 20))
    usual = random.standard_normal((900, 20)) @ mixing
    distribution = fit_feature_distribution(usual[:500], usual[500:800])
    assert (distribution.distance(usual[800:]) > distribution.limit).mean() < 0.05
    assert (distribution.distance(4 * usual[800:]) > distribution.limit).mean() > 0.95
