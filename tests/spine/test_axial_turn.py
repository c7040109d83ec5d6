"""The turn of the vertebrae against the slices is that of the drawn stack, and a large one is reported."""

import numpy as np
import pytest
from cartoon import GREY, MARK, PIXEL, STEP, Drawing, draw

from lumbar.domain.anatomy import Level, SpineClass, Vertebra
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import resize_image, resized_grid
from lumbar.spine.axial_turn import turned_bodies
from lumbar.spine.segment import PIXEL_MM, Segmentation
from lumbar.spine.spine_map import SpineMap, map_segmentation


def spine_of(degrees: float) -> SpineMap:
    """The map of a drawn spine whose masks are exact."""
    volume, _ = draw(Drawing(), turn_degrees=degrees)
    array = np.array(volume.array)
    array[:, :MARK, :MARK] = GREY[SpineClass.BACKGROUND] * STEP
    shape = round(array.shape[1] * PIXEL / PIXEL_MM), round(array.shape[2] * PIXEL / PIXEL_MM)
    shares = np.array([[resize_image((image == GREY[kind] * STEP).astype(np.float32), shape) for kind in SpineClass] for image in array])
    image = Volume(shares[:, SpineClass.CANAL], resized_grid(volume.grid, shape))
    return map_segmentation(Segmentation(image, shares.astype(np.float16), shares.argmax(axis=1).astype(np.uint8), volume.grid),
                            Plane.SAGITTAL, Weighting.T1, Level.L5_S1)  # fmt: skip


@pytest.mark.parametrize("degrees", [-16.0, 0.0, 16.0])
def test_the_turn_is_that_of_the_stack(degrees: float) -> None:
    spine = spine_of(degrees)
    turns = turned_bodies(spine.midplane, spine.instances, spine.names.bodies)

    assert Vertebra.S1 not in turns and len(turns) >= 5
    assert list(turns.values()) == pytest.approx([degrees] * len(turns), abs=4.0)


def test_only_a_large_turn_is_reported() -> None:
    assert any("turned by about" in warning and "L3" in warning for warning in spine_of(18.0).warnings)
    assert not any("turned" in warning for warning in spine_of(5.0).warnings)
