"""Sacral slope and coronal curve of spines whose tilts were drawn."""

import numpy as np
import pytest
from cartoon import Drawing, draw, read

from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.spine.alignment import coronal_curve
from lumbar.spine.spine_map import map_spine

pytestmark = pytest.mark.usefixtures("whole_images")


def tilted_discs(tilts_degrees: list[float]) -> tuple[np.ndarray, Grid]:
    """Instances 1, 2, … from head to foot as plates that rise towards the patient's left by these angles."""
    grid = Grid(np.arange(15)[:, None] * np.array([4.0, 0, 0]), np.array([0, 0, -1.0]), np.array([0, 1.0, 0]), 260, 40)
    aside = (np.arange(15) - 7) * 4.0
    instances = np.zeros((15, 260, 40), np.uint8)
    for number, tilt in enumerate(tilts_degrees):
        for k, offset in enumerate(aside):
            if abs(offset) <= 20:
                middle = 30 + 40 * number - offset * np.tan(np.radians(tilt))
                instances[k, round(middle) - 4 : round(middle) + 5, 5:35] = 1 + number
    return instances, grid


def test_the_coronal_curve_lies_between_the_most_tilted_discs():
    instances, grid = tilted_discs([-3.0, 9.0, 2.0, -8.0, 0.0])
    curve = coronal_curve(instances, grid, 5)
    assert curve is not None
    assert curve.degrees == pytest.approx(17.0, abs=1.5)
    assert (curve.upper, curve.lower) == (1, 3)


def test_narrow_discs_show_no_curve():
    instances, grid = tilted_discs([-3.0, 9.0, 2.0, -8.0])
    instances[:6] = 0
    instances[9:] = 0
    assert coronal_curve(instances, grid, 4) is None


@pytest.mark.parametrize("turn_degrees", [0.0, 12.0])
def test_sacral_slope_is_an_angle_to_the_patient_not_to_the_image(turn_degrees):
    """Turning the patient about the left-right axis turns the slope; the pixels stay as they are."""
    volume, _ = draw(Drawing())
    angle = np.radians(turn_degrees)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    grid = volume.grid
    turned = Grid(grid.origins_mm @ turn.T, turn @ grid.row_step_mm, turn @ grid.column_step_mm, grid.rows, grid.columns)
    finding = map_spine(Volume(volume.array, turned), Plane.SAGITTAL, Weighting.T2, read).finding
    assert finding.sacral_slope_degrees == pytest.approx(Drawing().tilts[0] + turn_degrees, abs=2.5)
