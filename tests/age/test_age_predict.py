"""The age predictor with a stand-in engine."""

from types import SimpleNamespace

import numpy as np
import pytest

from lumbar.age.calibration import HeldOut, fit_calibration
from lumbar.age.crops import LEVELS, CropOptions, Frame, SliceSet
from lumbar.age.engine import Ages
from lumbar.age.out_of_distribution import FeatureDistribution
from lumbar.age.predict import Predictor, disc_points
from lumbar.age.segments import SEGMENTS
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.errors import InputError

OPTIONS = CropOptions()


class GivenAges:
    """A stand-in with fixed predictions."""

    def __init__(self, years: list[float], strange: float = 0.0) -> None:
        self.years, self.strange = years, strange

    def describe(self, slices: SliceSet) -> np.ndarray:
        return np.zeros((*slices.present.shape, 1), dtype=np.float32)

    def encode(self, crops: np.ndarray) -> np.ndarray:
        return np.zeros((len(crops), 1), dtype=np.float32)

    def ages(self, described: np.ndarray, slices: SliceSet, sex: str | None) -> Ages:
        return Ages(np.tile(self.years, (len(described), 1)), np.full((len(described), 2), self.strange))


def _predictor(years: list[float], strange: float = 0.0, synthetic: bool = False) -> Predictor:
    random = np.random.default_rng(0)
    age = random.uniform(20, 85, 2000)
    reference = HeldOut(age, {name: age + 5 * random.standard_normal(2000) for name in SEGMENTS}, random.standard_normal((2000, 2)), np.ones(2000, dtype=bool))
    predictor = Predictor.__new__(Predictor)
    predictor.engine = GivenAges(years, strange)  # type: ignore[assignment]
    predictor.baseline = SimpleNamespace(like=lambda slices: slices.images)  # type: ignore[assignment]
    predictor.calibration = fit_calibration(reference, FeatureDistribution((0.0, 0.0), ((1.0, 0.0), (0.0, 1.0)), 3.0), (20.0, 85.0))
    predictor.options, predictor.synthetic_only = OPTIONS, synthetic
    return predictor


def _slices(missing: tuple[int, ...] = ()) -> SliceSet:
    axes = np.array([0, 0, -1.0]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0])
    frames = tuple(None if k in missing else Frame(level, np.array([0, 0, -37.0 * k]), *axes) for k, level in enumerate(LEVELS))
    present = np.array([[0.0 if k in missing else 1.0] * 2 for k in range(5)], dtype=np.float32)
    return SliceSet(np.zeros((5, 2, 40, 64), dtype=np.float32), np.zeros((5, 2), dtype=np.float32), present, frames, OPTIONS)


def test_with_an_age_there_are_deltas_and_selta() -> None:
    result = _predictor([50.0, 50.0, 75.0, 50.0, 60.0]).predict_slices(_slices(), 52.0, "F")
    found = result.finding
    assert found.predicted_age_years == 60
    assert found.age_delta_years == 8
    assert found.age_delta_corrected_years == pytest.approx(8, abs=0.5)
    assert result.finding.age_delta_z == pytest.approx(8 / 5, abs=0.2)
    assert result.finding.age_delta_percentile == pytest.approx(94.5, abs=2)
    assert found.interval_years == pytest.approx((60 - 8.2, 60 + 8.2), abs=1.0)  # 1.645 · 5
    assert [(s.level, s.flagged) for s in found.age_selta] == [("L3/L4", False), ("L4/L5", True), ("L5/S1", False)]
    assert found.age_selta[1].value == pytest.approx(25 / (5 * np.sqrt(2)), rel=0.1)
    assert [level.level for level in found.level_ages] == ["L1-L3", "L3/L4", "L4/L5", "L5/S1"]
    assert result.warnings == ()


def test_without_an_age_only_the_predicted_age_is_given() -> None:
    result = _predictor([50.0, 50.0, 75.0, 50.0, 60.0]).predict_slices(_slices(), None, None)
    assert (result.finding.age_delta_years, result.finding.age_delta_corrected_years, result.finding.age_delta_z, result.finding.age_delta_percentile) == (
        None,
    ) * 4
    assert result.finding.age_selta == ()
    assert result.finding.predicted_age_years == 60


def test_limitations_are_reported() -> None:
    def warnings(predictor: Predictor, age: float | None, missing: tuple[int, ...] = ()) -> str:
        return " ".join(predictor.predict_slices(_slices(missing), age, None).warnings)

    assert "synthetic" in warnings(_predictor([50.0] * 5, synthetic=True), 50.0)
    assert "the person is 12 years" in warnings(_predictor([50.0] * 5), 12.0)
    assert "predicted age is 97 years" in warnings(_predictor([50.0, 50.0, 50.0, 50.0, 97.0]), 80.0)
    assert "out of distribution" in warnings(_predictor([50.0] * 5, strange=4.0), 50.0)
    assert "L5/S1 not in view" in warnings(_predictor([50.0] * 5), 50.0, (4,))
    assert warnings(_predictor([50.0] * 5), 50.0) == ""


def test_segments_with_a_missing_level_get_no_age() -> None:
    found = _predictor([50.0] * 5).predict_slices(_slices((0, 4)), 50.0, None).finding
    assert [level.level for level in found.level_ages] == ["L3/L4", "L4/L5"]
    assert found.age_selta == ()  # there is no L1-L3 to compare with


def test_importance_can_be_left_out() -> None:
    result = _predictor([50.0] * 5).predict_slices(_slices(), 50.0, None, explained=False)
    assert (result.heat_map, result.structures, result.finding.importance) == (None, (), ())


def test_no_levels_is_an_error_of_the_input() -> None:
    with pytest.raises(InputError, match="none was found"):
        disc_points([])
    assert disc_points([LevelFinding(Level.L4_L5, (1.0, 2.0, 3.0))])[Level.L4_L5].tolist() == [1, 2, 3]
