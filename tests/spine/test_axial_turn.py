"""The section is turned with a spine that the slices cross obliquely; a large turn that remains is reported."""

from dataclasses import replace

import numpy as np
import pytest
from cartoon import GREY, MARK, PIXEL, STEP, Drawing, draw
from scipy import ndimage

from lumbar.domain.anatomy import Level, SpineClass, Vertebra
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import resize_image, resized_grid
from lumbar.spine.axial_turn import turn_warning, turned_bodies
from lumbar.spine.instances import FIRST_BODY
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


@pytest.fixture(scope="module", params=[-16.0, 0.0, 16.0])
def turned(request: pytest.FixtureRequest) -> tuple[float, SpineMap]:
    return request.param, spine_of(request.param)


def test_the_section_lies_in_the_sagittal_plane_of_the_drawn_spine(turned: tuple[float, SpineMap]) -> None:
    """The spine is drawn around the plane x = 0; slices that are turned by 16° leave it by 12 mm at the front of the bodies."""
    degrees, spine = turned
    upper = [FIRST_BODY + i for i, name in enumerate(spine.names.bodies) if name in (Vertebra.L1, Vertebra.L2, Vertebra.L3)]
    places = np.argwhere(np.isin(spine.flat, upper)).astype(float)
    straight = replace(spine.midplane, turns=None)
    assert np.abs(spine.midplane.points_mm(places)[:, 0]).max() < 3.5
    assert np.abs(straight.points_mm(places)[:, 0]).max() > 10.0 or degrees == 0


def test_distances_in_the_section_are_those_in_the_patient(turned: tuple[float, SpineMap]) -> None:
    _, spine = turned
    places = np.argwhere(spine.midplane.labels == SpineClass.BODY).astype(float)
    steps = spine.midplane.points_mm(places + np.array([0.0, 1.0])) - spine.midplane.points_mm(places)
    assert np.linalg.norm(steps, axis=1) == pytest.approx(PIXEL_MM, rel=0.002)


def test_the_image_of_the_section_shows_what_lies_at_its_points(turned: tuple[float, SpineMap]) -> None:
    """The points are taken back to the volume by the inverse of its affine matrix, and the image is read there."""
    _, spine = turned
    volume = spine.segmentation.image
    grid = volume.grid
    steps = np.stack([grid.origins_mm[1] - grid.origins_mm[0], grid.row_step_mm, grid.column_step_mm], axis=1)
    places = np.argwhere(spine.midplane.labels > 0)[::7]
    at = np.linalg.solve(steps, (spine.midplane.points_mm(places.astype(float)) - grid.origins_mm[0]).T)
    read = ndimage.map_coordinates(np.asarray(volume.array, np.float64), at, order=1, mode="nearest")
    assert read == pytest.approx(spine.midplane.image[tuple(places.T)], abs=1e-3 * float(np.ptp(volume.array)))


def test_a_straight_stack_is_not_turned() -> None:
    assert spine_of(0.0).midplane.turns is None
    assert spine_of(4.0).midplane.turns is None


@pytest.mark.parametrize("degrees", [-16.0, 16.0])
def test_a_turn_that_remains_is_that_of_the_stack(degrees: float) -> None:
    spine = spine_of(degrees)
    names = spine.names.bodies
    mended = turned_bodies(spine.midplane, spine.instances, names)
    left = turned_bodies(replace(spine.midplane, turns=None), spine.instances, names)

    assert Vertebra.S1 not in left and len(left) >= 5
    assert list(left.values()) == pytest.approx([degrees] * len(left), abs=4.0)
    assert list(mended.values()) == pytest.approx([0.0] * len(mended), abs=5.0)


def test_only_a_large_turn_is_reported() -> None:
    spine = spine_of(18.0)
    assert not any("turned" in warning for warning in spine.warnings)
    (warning,) = turn_warning(turned_bodies(replace(spine.midplane, turns=None), spine.instances, spine.names.bodies))
    assert "turned by about" in warning and "L3" in warning
