"""Crops of a study: correct position, slice and side for any storage order."""

import csv
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lumbar.datasets.axial_crops import read_image
from lumbar.datasets.rsna2024 import read_rsna2024
from lumbar.domain.anatomy import Condition, Level
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.io.read import read_study
from lumbar.severity.axial import cut as cut_module
from lumbar.severity.axial.cut import RECESS_OFFSET_MM, WIDTH_MM, cut_crops
from lumbar.severity.axial.midline import HALF_WIDTH_MM, REACH_MM, midline_shift_mm

PIXEL, GAP, SIZE = 0.5, 4.0, 240
CANAL = np.array([3.0, 40.0, -100.0])


TILT_MM = dict(zip(Level, (5.0, 3.0, 0.0, -3.0, -11.0), strict=True))  # height of the disc's middle above the canal behind it


def at(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    return np.add(CANAL, (x, y, z))


def axial_stack(flips: tuple[bool, bool, bool], spot_mm: np.ndarray, center_x: float = 3.0, slices: int = 7) -> Stack:
    """A body that is mirror-symmetric about x = `center_x`, with one bright spot; slice k has brightness 100 + k; then flipped in storage."""
    z = -100.0 + GAP * (np.arange(slices) - slices // 2)
    origins = np.stack([np.full(slices, center_x - PIXEL * (SIZE - 1) / 2), np.full(slices, 40.0 - PIXEL * (SIZE - 1) / 2), z], axis=1)
    grid = Grid(origins, np.array([0, PIXEL, 0]), np.array([PIXEL, 0, 0]), SIZE, SIZE)
    points = grid.points_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    across, down = np.abs(points[..., 0] - center_x), points[..., 1] - 40.0
    array = 20 + 60 * (across < 8 - 0.3 * down) * (np.abs(down) < 9) + 30 * (np.hypot(across - 14, down) < 4)
    array = array + 100 * (np.linalg.norm(points[..., :2] - spot_mm[:2], axis=-1) < 1.5)
    array = (array * (1 + 0.01 * np.arange(slices)[:, None, None])).astype(np.float32)
    volume = Volume(array, grid).rearranged((0, 1, 2), flips)
    numbers = tuple(range(1, slices + 1))
    return Stack(volume, numbers[::-1] if flips[0] else numbers)


def study_of(*stacks: Stack, role: Role = Role.AXIAL_T2) -> Study:
    return Study("1", (Series("s", stacks, Plane.AXIAL, Weighting.T2, role, "made here"),))


def level_at(canal: np.ndarray, level: Level = Level.L4_L5, rise: float = 0.0) -> LevelFinding:
    return LevelFinding(level, tuple(np.add(canal, (0.0, -22.0, rise))), tuple(canal))


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_the_patients_left_is_at_the_right_edge_and_the_front_on_top(flips: tuple[bool, bool, bool]) -> None:
    spot = at(7.0, -5.0)  # left and in front of the middle
    (crop,) = cut_crops(study_of(axial_stack(flips, spot)), [level_at(CANAL)]).values()
    rows, columns = crop.image.shape[:2]
    row, column = np.unravel_index(crop.image[..., 1].argmax(), (rows, columns))
    spots = np.argwhere(crop.image[..., 1] > 0.9 * crop.image[..., 1].max()).mean(axis=0)
    assert columns * PIXEL == pytest.approx(WIDTH_MM, abs=PIXEL)
    assert (spots - (np.array([rows, columns]) - 1) / 2) * PIXEL == pytest.approx([-5.0, 7.0], abs=0.6)
    assert column > columns / 2 > row


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_evidence_names_the_pixel_of_the_left_recess(flips: tuple[bool, bool, bool]) -> None:
    stack = axial_stack(flips, CANAL)
    (crop,) = cut_crops(study_of(stack), [level_at(CANAL)]).values()
    place = crop.evidence(RECESS_OFFSET_MM)
    number = stack.instance_numbers.index(place.instance_number)
    np.testing.assert_allclose(stack.volume.grid.points_mm([number, place.y, place.x]), at(RECESS_OFFSET_MM), atol=0.6)


@pytest.mark.parametrize("reverse", [False, True])
def test_red_and_blue_are_the_instances_before_and_after(reverse: bool) -> None:
    stack = axial_stack((reverse, False, False), CANAL)
    marks = np.array([10.0, 20, 30, 40, 50, 60, 70], np.float32)[:: -1 if reverse else 1]
    marked = Volume((stack.volume.array * 0 + marks[:, None, None]).astype(np.float32), stack.volume.grid)
    corner = marked.array.copy()
    corner[:, 0, 0] = 100.0  # so that the three slices keep different grey values after each is scaled by its own maximum
    (crop,) = cut_crops(study_of(Stack(Volume(corner, marked.grid), stack.instance_numbers)), [level_at(CANAL)]).values()
    wanted = 255 * np.array([30, 40, 50]) / 100  # instances 3, 4, 5 in this order
    np.testing.assert_allclose(crop.image[20, 40], wanted, atol=1)


def test_the_middle_is_found_from_a_laterally_displaced_point() -> None:
    stack = axial_stack((False, False, False), np.array([500.0, 0, 0]))
    (crop,) = cut_crops(study_of(stack), [level_at(at(5.0))]).values()
    assert crop.center_mm == pytest.approx(CANAL, abs=0.6)


@pytest.mark.parametrize("shift_mm", [-6.0, -1.0, 0.0, 2.5, 7.0])
def test_the_mirror_axis_of_a_symmetric_image(shift_mm: float) -> None:
    x = np.arange(-(REACH_MM + HALF_WIDTH_MM), REACH_MM + HALF_WIDTH_MM + 0.25, 0.5) - shift_mm
    rng = np.random.default_rng(0)
    rows = [sum(a * np.cos(f * x) for a, f in zip(rng.uniform(0, 5, 4), rng.uniform(0.1, 0.9, 4), strict=True)) + 40 for _ in range(20)]
    assert midline_shift_mm(np.array(rows, np.float32), 0.5) == pytest.approx(shift_mm, abs=0.3)


def test_the_stack_aligned_with_the_disc_is_chosen() -> None:
    flat = axial_stack((False, False, False), CANAL)
    tilt = np.deg2rad(25)
    steps = np.array([0, np.cos(tilt), np.sin(tilt)])
    start = at(-PIXEL * (SIZE - 1) / 2) - PIXEL * (SIZE - 1) / 2 * steps
    normal = np.cross([1, 0, 0], steps)
    leaning = Grid(start + GAP * (np.arange(7) - 3)[:, None] * normal, steps * PIXEL, np.array([PIXEL, 0, 0]), SIZE, SIZE)
    tilted = Stack(Volume(flat.volume.array, leaning), tuple(range(11, 18)))
    study = study_of(flat, tilted)
    level = LevelFinding(Level.L5_S1, tuple(CANAL - 22.0 * steps), tuple(CANAL))  # a disc that leans as the second stack does
    (crop,) = cut_crops(study, [level]).values()
    assert crop.stack is tilted
    assert crop.evidence().instance_number == 14


def test_levels_without_an_axial_slice_have_no_crop() -> None:
    study = study_of(axial_stack((False, False, False), CANAL))
    assert cut_crops(study, [level_at(at(z=60.0))]) == {}
    assert cut_crops(study, [level_at(at(300.0))]) == {}
    assert cut_crops(study_of(axial_stack((False, False, False), CANAL), role=Role.AXIAL_T1), [level_at(CANAL)]) == {}


def test_a_lateral_outlier_is_corrected_by_the_other_levels() -> None:
    levels = list(Level)
    stacks, points = [], []
    for place, level in enumerate(levels):
        center = 3.0 + (9.0 if level is Level.L4_L5 else 0.0)  # one slice whose mirror axis lies elsewhere
        base = axial_stack((False, False, False), np.array([500.0, 0, 0]), center_x=center)
        grid = base.volume.grid
        moved = Grid(np.add(grid.origins_mm, (0, 0, -35.0 * place)), grid.row_step_mm, grid.column_step_mm, SIZE, SIZE)
        stacks.append(Stack(Volume(base.volume.array, moved), tuple(range(10 * place, 10 * place + 7))))
        points.append(level_at(at(2.0 if level is Level.L4_L5 else 0.0, z=-35.0 * place), level))
    crops = {found.level: crop for found, crop in cut_crops(study_of(*stacks), points).items()}
    assert abs(crops[Level.L4_L5].center_mm[0] - 3.0) < 2.0
    assert abs(crops[Level.L3_L4].center_mm[0] - 3.0) < 0.6


@pytest.fixture(scope="module")
def real(shared_data: Path) -> SimpleNamespace:
    """The one real study, its label points, and its public crops."""
    folder = shared_data / "rsna2024"
    (name,) = [path.name for path in (folder / "train_images").iterdir()]
    study = read_study(folder / "train_images" / name)
    points = {(p.condition, p.level): p for p in read_rsna2024(folder).points if p.study_id == name}
    with (folder / "axial_crops.csv").open() as file:
        ready = {row["level"]: row for row in csv.DictReader(file) if row["study_id"] == name}

    def place(series: str, instance: int, y: float, x: float) -> np.ndarray:
        stack = next(k for s in study.series if s.series_uid.endswith(series) for k in s.stacks if instance in k.instance_numbers)
        return stack.volume.grid.points_mm([stack.instance_numbers.index(instance), y, x])

    return SimpleNamespace(folder=folder, study=study, points=points, ready=ready, place=place)


@pytest.mark.real
def test_slices_and_middles_of_the_real_study_agree_with_the_public_crops(real: SimpleNamespace) -> None:
    levels = []
    for level in Level:
        point = real.points[Condition.SPINAL_CANAL_STENOSIS, level]  # on a sagittal slice: sideways off by up to half its distance
        canal = real.place(point.series_id, point.instance_number, point.y, point.x)
        levels.append(level_at(canal, level, TILT_MM[level]))
    crops = cut_crops(real.study, levels)
    assert len(crops) == 5
    for found, crop in crops.items():
        evidence = crop.evidence()
        left, right = (real.points[c, found.level] for c in (Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS))
        assert abs(evidence.instance_number - left.instance_number) <= 1
        assert evidence.x * 0.5 == pytest.approx((left.x + right.x) / 4, abs=3.0)  # pixels of half a millimetre


@pytest.mark.real
def test_pixels_at_the_same_position_agree_with_the_public_crops(real: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut_module, "_beside", lambda *_: 0.0)
    monkeypatch.setattr(cut_module, "_LARGEST_STRAY_MM", 100.0)
    for level, row in real.ready.items():
        x, y = (int(row[f"crop_{axis}0"]) + (int(row[f"crop_{size}"]) - 1) / 2 for axis, size in (("x", "w"), ("y", "h")))
        middle, front = (real.place(row["series_id"], int(row["instance_number"]), y - up, x) for up in (0, 44))
        (crop,) = cut_crops(real.study, [LevelFinding(Level(level), tuple(front), tuple(middle))]).values()
        assert crop.evidence().instance_number == int(row["instance_number"])
        ready = read_image(real.folder / "axial_crops" / row["crop"])
        both = []
        for image in (ready, crop.image):
            top, start = (image.shape[0] - 56) // 2, (image.shape[1] - 80) // 2
            both.append(image[top : top + 56, start : start + 80].astype(float))
        assert np.corrcoef(both[0].ravel(), both[1].ravel())[0, 1] > 0.93  # half a pixel apart where the crop has an odd size
        assert np.abs(both[0] - both[1]).mean() < 8  # grey values too: each slice scaled by its own maximum
