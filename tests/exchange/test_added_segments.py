"""S1, S2 and the foramina of a drawn patient as segments: where they were drawn, on the patient's sides, however the slices are stored."""

import cartoon
import numpy as np
import pytest
from test_added import GivenOutput, flipped, found, plain_scene, shown

from lumbar.domain.anatomy import Level
from lumbar.domain.study import Stack
from lumbar.exchange.segments import SegmentedStack, spine_segments
from lumbar.spine.network import SpineNetwork
from lumbar.spine.segment import PIXEL_MM

LEFT, RIGHT = "7771000", "24028007"


@pytest.fixture(autouse=True)
def pixels_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cartoon, "PIXEL", PIXEL_MM)


def segments_of(axis: int | None = None, network: SpineNetwork | None = None) -> SegmentedStack:
    image = shown(plain_scene()[0])
    image = image if axis is None else flipped(image, axis)
    return spine_segments(found(image, network=network), "1.2.3", Stack(image, tuple(range(1, len(image.array) + 1))))


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_foramina_lie_where_they_were_drawn_on_the_side_of_the_patient(axis: int | None) -> None:
    stack = segments_of(axis)
    grid, drawn = stack.stack.volume.grid, set()
    for number, pair in enumerate(plain_scene()[1]):
        level = list(Level)[4 - number]
        for name, code, middle in zip(("left", "right"), (LEFT, RIGHT), pair, strict=True):
            if np.isnan(middle).any():
                continue
            segment = next(s for s in stack.segments if s.key == f"{level.value} {name} foramen")
            drawn.add(segment.key)
            assert segment.side is not None and segment.side.value == code
            assert segment.label.startswith(f"{level.value} {name} neural foramen") and "unverified" in segment.label and len(segment.label) <= 64
            assert np.linalg.norm(grid.points_mm(np.argwhere(segment.mask)).mean(axis=0) - middle) < 3.0
    assert drawn == {s.key for s in stack.segments if s.key.endswith("foramen")}


def test_the_whole_of_s1_takes_the_place_of_its_strip() -> None:
    whole, strip = ({s.key: s for s in segments_of(network=network).segments} for network in (None, SpineNetwork(GivenOutput(6))))

    assert (whole["S1"].code.value, whole["S2"].code.value, strip["S1"].code.value) == ("65985001", "11808007", "54735007")
    assert whole["S1"].mask.sum() > strip["S1"].mask.sum() and "upper strip" in strip["S1"].label
    assert whole.keys() - strip.keys() == {"S2", *(key for key in whole if key.endswith("foramen"))}
    assert not any((one.mask & other.mask).any() for one in whole.values() for other in whole.values() if one is not other)
