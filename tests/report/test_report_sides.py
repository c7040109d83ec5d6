"""The patient's left is on the right of every axial image, the front on the left of every sagittal one, however the volumes are stored."""

from itertools import product

import numpy as np
import pytest
from test_cut import CANAL, at, axial_stack, level_at, study_of

from lumbar.domain.anatomy import Condition
from lumbar.domain.findings import Evidence
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.muscle.labels import LABELS
from lumbar.muscle.predict import StackMask
from lumbar.report.drawing import draw_axial, draw_heat
from lumbar.report.evidence import importance_on, place_of, view_around, view_of_crop
from lumbar.report.views import axial_views
from lumbar.severity.axial.cut import cut_crops
from lumbar.severity.axial.explain import HeatMap
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS

FLIPS = list(product([False, True], repeat=3))
SPOT = at(7.0, -5.0)  # to the patient's left and in front


def brightest(grey: np.ndarray) -> np.ndarray:
    """(row, column) of the middle of the brightest part, as shares of the height and width."""
    return (np.argwhere(grey > 0.95 * grey.max()).mean(axis=0) + 0.5) / grey.shape


@pytest.mark.parametrize("flips", FLIPS)
def test_evidence_and_crop_show_the_patients_left_on_the_right(flips: tuple[bool, bool, bool]) -> None:
    study = study_of(axial_stack(flips, SPOT))
    (crop,) = cut_crops(study, [level_at(CANAL)]).values()
    view = view_of_crop(crop)
    row, column = brightest(view.grey)
    assert row < 0.45 and column > 0.6
    assert view.pixel(SPOT) == pytest.approx(np.array([row, column]) * view.grey.shape, abs=4)
    around = view_around(place_of(study, crop.evidence()), 33.0, 48.0)
    row, column = brightest(around.grey)
    assert row < 0.45 and column > 0.6


@pytest.mark.parametrize("flips", FLIPS)
def test_a_heat_map_is_drawn_over_the_place_that_it_is_about(flips: tuple[bool, bool, bool]) -> None:
    (crop,) = cut_crops(study_of(axial_stack(flips, SPOT)), [level_at(CANAL)]).values()
    change = np.zeros((CROP_ROWS, CROP_COLUMNS), np.float32)
    change[:20, -30:] = 1.0  # the crop's upper right: the patient's left, in front
    heat = HeatMap(Condition.LEFT_SUBARTICULAR_STENOSIS, crop, change)
    view = view_of_crop(crop)
    drawn = np.asarray(draw_heat(view, importance_on(heat, view.grey.shape))).astype(int)
    red, blue = drawn[..., 0], drawn[..., 2]
    rows, columns = np.nonzero(red - blue > 60)  # grey has as much of both
    assert rows.size > 100
    assert rows.max() < 0.35 * drawn.shape[0] and columns.min() > 0.65 * drawn.shape[1]


@pytest.mark.parametrize("flips", FLIPS)
def test_muscles_of_the_patients_left_are_outlined_on_the_right(flips: tuple[bool, bool, bool]) -> None:
    stack = axial_stack(flips, SPOT)
    grid = stack.volume.grid
    points = grid.points_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    left = next(label for label, (_, side) in LABELS.items() if side.value == "left")
    inside = (np.abs(points[..., 0] - (CANAL[0] + 30)) < 8) & (np.abs(points[..., 1] - (CANAL[1] + 25)) < 8)
    mask = Volume((inside * left).astype(np.uint8), grid)
    fat = Volume((0.5 * inside).astype(np.float32), grid)
    study = study_of(stack)
    (view,) = axial_views(study, [level_at(CANAL)], [StackMask("s", 0, stack.volume, mask, fat)])
    assert view.muscles is not None and view.fat is not None
    rows, columns = np.nonzero(view.muscles == left)
    assert columns.min() > view.grey.shape[1] / 2
    assert rows.mean() > view.grey.shape[0] / 2  # behind the canal
    assert view.fat[view.muscles > 0].mean() == pytest.approx(0.5, abs=0.05)
    plain, colored = (np.asarray(draw_axial(view, fat=fat)).astype(int) for fat in (False, True))
    changed = np.nonzero(np.abs(colored - plain).sum(axis=-1) > 60)[1]
    assert changed.min() > plain.shape[1] / 2


def test_images_of_muscles_come_from_the_series_that_was_labelled() -> None:
    stack = axial_stack((False, False, False), SPOT)
    grid = stack.volume.grid
    shifted = Grid(grid.origins_mm + 1.5 * grid.normal, grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns)
    water = Series("w", (Stack(Volume(stack.volume.array, shifted), stack.instance_numbers),), Plane.AXIAL, Weighting.UNKNOWN, Role.DIXON_WATER, "made here")
    study = Study("1", (*study_of(stack).series, water))
    labels = np.zeros(shifted.shape, np.uint8)
    labels[:, 10:-10, 10:-10] = 1
    (plain,) = axial_views(study, [level_at(CANAL)])
    assert plain.series.series_uid == "s"  # the nearer one
    (view,) = axial_views(study, [level_at(CANAL)], [StackMask("w", 0, water.stacks[0].volume, Volume(labels, shifted))])
    assert view.series.series_uid == "w"
    assert view.muscles is not None and view.muscles.any()


@pytest.mark.parametrize("flips", FLIPS)
def test_a_sagittal_view_has_the_front_on_the_left_and_the_head_on_top(flips: tuple[bool, bool, bool]) -> None:
    grid = Grid(np.array([[x, -20.0, 30.0] for x in (-4.0, 0.0, 4.0)]), np.array([0, 0, -0.5]), np.array([0, 0.5, 0]), 160, 160)
    points = grid.points_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    spot = np.array([0.0, 10.0, 5.0])
    array = 20 + 200 * (np.linalg.norm(points[..., 1:] - spot[1:], axis=-1) < 2)
    volume = Volume(array.astype(np.float32), grid).rearranged((0, 1, 2), flips)
    study = Study("1", (Series("t1", (Stack(volume, (7, 8, 9)),), Plane.SAGITTAL, Weighting.T1, Role.SAGITTAL_T1, "made here"),))
    middle = volume.grid.indices(spot + np.array([0.0, 8.0, -8.0]))  # behind and below the spot
    view = view_around(place_of(study, Evidence("t1", 8, float(middle[2]), float(middle[1]))), 36.0, 52.0)
    row, column = brightest(view.grey)
    assert (row - 0.5) * 36.0 == pytest.approx(-8.0, abs=0.5)
    assert (column - 0.5) * 52.0 == pytest.approx(-8.0, abs=0.5)
