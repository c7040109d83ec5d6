"""Foramina come from sagittal T1 where the series of the spine misses some, and only at levels that lie at the same place in both."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest

from lumbar.domain.anatomy import AddedClass, Level
from lumbar.domain.findings import LevelFinding, Numbering, SpineFinding
from lumbar.domain.study import Series, Study
from lumbar.spine import foramina_on_t1 as module
from lumbar.spine.foramina_on_t1 import foramina_on_t1, with_foramina
from lumbar.spine.measurement_errors import ERRORS
from lumbar.spine.network import SpineNetwork


class T1:
    series_uid = "1.2.t1"


def level(name: Level, z: float, left: float | None = None, right: float | None = None) -> LevelFinding:
    """A level with foramina of these heights, a quarter as wide."""
    found = LevelFinding(name, (0.0, 0.0, z))
    for side, height in (("left", left), ("right", right)):
        if height is not None:
            sizes = {f"foramen_height_{side}_mm": height, f"foramen_width_{side}_mm": height / 4, f"foramen_area_{side}_mm2": 6 * height}
            found = replace(found, **sizes)
    return found


def finding(*levels: LevelFinding) -> SpineFinding:
    return SpineFinding(Numbering(True, ""), (), levels, errors={"canal_ap_mm": 2.0})


def merged(own: LevelFinding, other: LevelFinding) -> SpineFinding:
    return with_foramina(finding(own), finding(other), cast(Series, T1()))


def test_t1_gives_both_sides_their_own_sizes_and_errors() -> None:
    found = merged(level(Level.L4_L5, 10.0), level(Level.L4_L5, 13.0, left=16.0, right=20.0))

    assert (found.levels[0].foramen_height_left_mm, found.levels[0].foramen_height_right_mm) == (16.0, 20.0)
    assert (found.levels[0].foramen_width_left_mm, found.levels[0].foramen_area_right_mm2) == (4.0, 120.0)
    assert found.levels[0].center_mm == (0.0, 0.0, 10.0)
    assert found.foramina_measured_in == "1.2.t1"
    assert found.errors["foramen_height_left_mm"] == ERRORS["foramen_height_left_mm"]


def test_what_t1_does_not_show_remains() -> None:
    found = merged(level(Level.L4_L5, 10.0, left=15.0), level(Level.L4_L5, 10.0, right=20.0))

    assert (found.levels[0].foramen_height_left_mm, found.levels[0].foramen_height_right_mm) == (15.0, 20.0)


@pytest.mark.parametrize("other", [level(Level.L4_L5, 35.0, left=16.0), level(Level.L3_L4, 10.0, left=16.0)])
def test_a_level_elsewhere_or_of_another_name_is_not_used(other: LevelFinding) -> None:
    own = finding(level(Level.L4_L5, 10.0))

    assert with_foramina(own, finding(other), cast(Series, T1())) is own


class Found:
    """A `FoundSpine` of one finding, in another series than T1."""

    def __init__(self, own: SpineFinding) -> None:
        self.spine = type("Spine", (), {"finding": own})()
        self.series = type("Series", (), {"series_uid": "1.2.stir"})()


class OneT1:
    """A study with one sagittal T1 series."""

    @staticmethod
    def with_role(_role: object) -> list[object]:
        stack = type("Stack", (), {"instance_numbers": (1,), "volume": None})()
        return [type("Series", (), {"series_uid": "1.2.t1", "stacks": (stack,), "plane": None, "weighting": None})()]


@pytest.mark.parametrize(
    ("added", "left", "asked"), [((AddedClass.NEURAL_FORAMEN,), None, True), ((), None, False), ((AddedClass.NEURAL_FORAMEN,), 18.0, False)]
)
def test_t1_is_mapped_only_if_a_foramen_is_missing_and_the_network_labels_them(
    monkeypatch: pytest.MonkeyPatch, added: tuple[AddedClass, ...], left: float | None, asked: bool
) -> None:
    calls = []

    def mapped(*_: object) -> object:
        calls.append(1)
        return type("Map", (), {"finding": finding(level(Level.L3_L4, 0.0, left=17.0, right=18.0))})()

    monkeypatch.setattr(module, "map_spine", mapped)
    own = finding(level(Level.L3_L4, 0.0, left=left, right=19.0))
    network = SpineNetwork(np.zeros_like, added=added)

    found = foramina_on_t1(Found(own), cast(Study, OneT1()), network)  # type: ignore[arg-type]

    assert bool(calls) is asked
    assert found.levels[0].foramen_height_left_mm == (17.0 if asked else left)
