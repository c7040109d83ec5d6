"""Detection of upside-down images, from drawn discs of known tilt and from real images."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lumbar.discs.find import map_image, upright_bend
from lumbar.domain.anatomy import Level, SpineClass
from lumbar.models.registry import find_model, has_model
from lumbar.severity.axial.data import read_grey_image
from lumbar.spine.network import TASK as SPINE_TASK
from lumbar.spine.network import network_of
from lumbar.spine.segment import PIXEL_MM


def drawn(tilts_degrees: tuple[float, ...], upside_down: bool = False) -> SimpleNamespace:
    """The parts of a spine map used by `upright_bend`: ellipses of 34 × 10 mm, 35 mm apart, tilted as given (front lower is positive), from head to foot."""
    rows, columns = np.indices((340, 120)) * PIXEL_MM
    flat = np.zeros((340, 120), np.uint8)
    for number, tilt in enumerate(np.deg2rad(tilts_degrees)):
        y, x = rows - 20 - 35 * number, columns - 45
        across, down = x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)
        flat[(across / 17) ** 2 + (down / 5) ** 2 < 1] = 1 + number
    if upside_down:
        flat = flat[::-1]
        flat = np.where(flat > 0, len(tilts_degrees) + 1 - flat, 0).astype(np.uint8)
    probabilities = np.zeros((len(SpineClass), *flat.shape), np.float32)
    probabilities[SpineClass.DISC] = flat > 0
    discs = [SimpleNamespace(strength=0.9)] * len(tilts_degrees)
    return SimpleNamespace(flat=flat, midplane=SimpleNamespace(probabilities=probabilities), chain=SimpleNamespace(discs=discs))


def test_the_curvature_of_an_upright_spine_by_hand() -> None:
    # Tilts t = n² − 9 of n = 0 … 5 have a quadratic term of exactly 1 degree per level squared, and a rotation adds a constant.
    assert upright_bend(drawn((-9, -8, -5, 0, 7, 16))) == pytest.approx(1.0, abs=0.15)
    assert upright_bend(drawn((11, 12, 15, 20, 27, 36))) == pytest.approx(1.0, abs=0.15)


def test_the_curvature_of_an_upside_down_spine_has_the_opposite_sign() -> None:
    tilts = (-12.0, -10.0, -7.0, 2.0, 13.0, 30.0)  # typical tilts
    upright, turned = upright_bend(drawn(tilts)), upright_bend(drawn(tilts, upside_down=True))
    assert upright > 1
    assert turned == pytest.approx(-upright, abs=0.1)


def test_too_few_discs_give_no_curvature() -> None:
    assert upright_bend(drawn((0.0, 10.0, 30.0))) == 0.0


@pytest.mark.real
@pytest.mark.slow
def test_a_real_image_gives_the_same_result_in_either_orientation(shared_data: Path) -> None:
    """SPIDER's images are upside down: the lowest disc, which is the steepest, is then in the upper half."""
    if not has_model(SPINE_TASK):
        pytest.skip("no spine model is packaged")
    network = network_of(find_model(SPINE_TASK, None, 1))
    image = read_grey_image(shared_data / "spider" / "midsagittal" / "109_t2.webp")
    given, turned = map_image(image, network), map_image(image[::-1], network)
    assert [level.level for level in given.finding.levels] == [level.level for level in turned.finding.levels] == list(Level)
    heights = [[level.disc_height_mm for level in spine.finding.levels] for spine in (given, turned)]
    np.testing.assert_allclose(heights[0], heights[1], atol=0.05)
    assert upright_bend(given) > 0.5
