"""Occlusion maps with a stand-in engine: its age is a weighted sum over the levels."""

import numpy as np
import pytest

from lumbar.age.crops import LEVELS, CropOptions, Frame, SliceSet
from lumbar.age.engine import Ages
from lumbar.age.importance import Explainer, explain
from lumbar.age.segments import SEGMENTS

OPTIONS = CropOptions()
WEIGHTS = np.array([0.0, 2.0, 0.0, 10.0, 0.0])


class SumEngine:
    """The mean grey of the middle eighth of each crop, times a weight a level."""

    def encode(self, crops: np.ndarray) -> np.ndarray:
        return crops[:, 15:25, 20:36].mean(axis=(1, 2))[:, None].astype(np.float32)

    def describe(self, slices: SliceSet) -> np.ndarray:
        flat = self.encode(slices.images.reshape(-1, *slices.images.shape[2:]))
        return flat.reshape(*slices.present.shape, 1)

    def ages(self, described: np.ndarray, slices: SliceSet, sex: str | None) -> Ages:
        shown = (described[..., 0] * slices.present).sum(axis=2) / np.maximum(slices.present.sum(axis=1), 1)
        years = 50 + shown @ WEIGHTS
        return Ages(np.repeat(years[:, None], len(SEGMENTS), axis=1), described[:, :, 0, :].reshape(len(described), -1))


def _slices(dark: int | None = None) -> SliceSet:
    images = np.full((5, 3, OPTIONS.rows, OPTIONS.columns), 1.0, dtype=np.float32)
    if dark is not None:
        images[dark] = 0.2
    frames = tuple(
        Frame(level, np.array([0, 0, -37.0 * k]), np.array([0, 0, -1.0]), np.array([0, 1.0, 0]), np.array([1.0, 0, 0])) for k, level in enumerate(LEVELS)
    )
    position = np.tile(np.array([-5.0, 0.0, 5.0], dtype=np.float32), (5, 1))
    return SliceSet(images, position, np.ones((5, 3), dtype=np.float32), frames, OPTIONS)


TYPICAL = np.zeros((5, 3, OPTIONS.rows, OPTIONS.columns), dtype=np.float32)


def test_structures_get_what_their_level_weighs() -> None:
    found = {s.name: s for s in Explainer(SumEngine(), _slices(), TYPICAL, None).structures()}  # type: ignore[arg-type]
    assert list(found) == ["L1", "L1/L2", "L2", "L2/L3", "L3", "L3/L4", "L4", "L4/L5", "L5", "L5/S1", "S1"]
    assert found["L4/L5"].delta_years == pytest.approx(10, abs=1.5)  # the disc's band covers the region the engine depends on
    assert found["L2/L3"].delta_years == pytest.approx(2, abs=0.3)
    assert abs(found["L1/L2"].delta_years) < 1e-5
    assert found["L4"].delta_years < 1.5
    assert found["L4/L5"].slice_offsets_mm == (-5.0, 0.0, 5.0)
    assert sum(found["L4/L5"].slice_delta_years) == pytest.approx(found["L4/L5"].delta_years, rel=1e-4)  # a sum has no interactions


def test_the_map_highlights_the_region_the_engine_depends_on() -> None:
    heat_map = explain(SumEngine(), _slices(), TYPICAL, None).heat_map  # type: ignore[arg-type]
    weight = {name: float(np.abs(values).sum()) for name, values in heat_map.maps.items()}
    assert weight["L4/L5"] / sum(weight.values()) == pytest.approx(10 / 12, abs=0.02)
    values = heat_map.maps["L4/L5"]
    assert values[15:25, 20:36].mean() > 4 * np.abs(values[:, 50:]).mean()


def test_the_map_is_sampled_at_patient_points() -> None:
    heat_map = explain(SumEngine(), _slices(), TYPICAL, None).heat_map  # type: ignore[arg-type]
    frame = heat_map.frames["L4/L5"]
    assert heat_map.at(frame.center_mm[None])[0] == pytest.approx(heat_map.maps["L4/L5"][19:21, 20].mean(), rel=0.05)
    assert heat_map.at(frame.center_mm[None] + [7.0, 0, 0])[0] == pytest.approx(heat_map.at(frame.center_mm[None])[0])  # any distance to the midline
    assert heat_map.at(np.array([[0.0, 300.0, 0.0]]))[0] == 0


def test_what_is_typical_already_has_no_importance() -> None:
    slices = _slices()
    found = Explainer(SumEngine(), slices, slices.images, None).structures()  # type: ignore[arg-type]
    assert all(abs(s.delta_years) < 1e-5 for s in found)


def test_darker_than_typical_counts_the_other_way() -> None:
    slices, baseline = _slices(dark=3), _slices().images
    found = {s.name: s.delta_years for s in Explainer(SumEngine(), slices, baseline, None).structures()}  # type: ignore[arg-type]
    assert found["L4/L5"] == pytest.approx(-8, abs=1.2)


def test_missing_levels_have_no_part() -> None:
    whole = _slices()
    present = whole.present.copy()
    present[0] = 0
    slices = SliceSet(whole.images, whole.position_mm, present, (None, *whole.frames[1:]), OPTIONS)
    found = explain(SumEngine(), slices, TYPICAL, None)  # type: ignore[arg-type]
    assert found.structures[0].name == "L2"
    assert "L1/L2" not in found.heat_map.maps
