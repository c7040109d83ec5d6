"""Foramina: table, positions, crops from slices in every storage order, and grades of a study."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_predictor import CENTER, LEVELS, a_grader, a_prior, series

from lumbar.datasets.foramina import GRID_PIXELS, ForamenPoint, read_foramen_table
from lumbar.domain.anatomy import Condition, Level, Severity, Side
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import UnreadableInput
from lumbar.models.card import Card
from lumbar.models.folder import Model
from lumbar.severity.foramina.calibration import LevelCalibration
from lumbar.severity.foramina.crops import STORED_SIZE, level_distance
from lumbar.severity.foramina.cut import ForamenCrop, cut_foramina
from lumbar.severity.foramina.explain import importance
from lumbar.severity.foramina.fat import measured_fat
from lumbar.severity.foramina.grader import TASK, ForamenGrader, mean_of_sides, network_input
from lumbar.severity.foramina.midline import sideways_shift_mm
from lumbar.severity.foramina.points import foramen_points, level_distance_mm
from lumbar.severity.foramina.predict import ON_T1, ON_T2
from lumbar.severity.foramina.slices import pooled_slices
from lumbar.severity.foramina.table import crops_on_neighbours, distances, stored_crops
from lumbar.severity.predict import ON_AXIAL, Predictor

HEADER = "picture,study_id,series_id,instance_number,side,level,severity,x,y,left,top,native_height,native_width\n"


def table(folder: Path, *rows: str) -> Path:
    path = folder / "foramina.csv"
    path.write_text(HEADER + "".join(row + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_table_of_points_is_read_with_its_units(tmp_path: Path) -> None:
    (point,) = read_foramen_table(table(tmp_path, "a.webp,12,3,4,left,L4/L5,Severe,50.5,40,70,30,512,256"))
    assert (point.study_id, point.side, point.level, point.severity) == ("12", Side.LEFT, Level.L4_L5, Severity.SEVERE)
    # 250 pixels are 512 rows, or 256 columns: a column is half as wide as a row is high.
    np.testing.assert_allclose(point.position, [70, 120.5 / 2])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.webp,12,3,4,middle,L4/L5,Severe,50,40,70,30,512,512", "side is 'middle'"),
        ("a.webp,12,3,4,left,L6/S1,Severe,50,40,70,30,512,512", "level is 'L6/S1'"),
        ("a.webp,12,3,4,left,L4/L5,Bad,50,40,70,30,512,512", "severity 'Bad'"),
        ("a.webp,12,3,4,left,L4/L5,Severe,far,40,70,30,512,512", "x is 'far'"),
        ("a.webp,12,3,4,left,L4/L5,Severe,50,40,70,30,0,512", "above 0"),
        ("../a.webp,12,3,4,left,L4/L5,Severe,50,40,70,30,512,512", "not the name of a file"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(UnreadableInput, match=message):
        read_foramen_table(table(tmp_path, row))


def test_two_points_for_one_foramen_are_rejected(tmp_path: Path) -> None:
    row = "a.webp,12,3,4,left,L4/L5,Severe,50,40,70,30,512,512"
    with pytest.raises(UnreadableInput, match="two points for the left foramen L4/L5 of study 12"):
        read_foramen_table(table(tmp_path, row, row))


def test_levels_without_a_neighbour_give_no_distance() -> None:
    at = {Level.L1_L2: np.array([0.0, 0.0]), Level.L2_L3: np.array([30.0, 40.0]), Level.L4_L5: np.array([500.0, 0.0])}
    assert level_distance([at], 7.0) == pytest.approx(50)  # L2/L3 to L4/L5 skips a level
    assert level_distance([{Level.L1_L2: np.zeros(2)}], 7.0) == 7.0


def image_of(shape: tuple[int, int], spot: tuple[float, float], wide: tuple[float, float]) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (220 * np.exp(-0.5 * (((rows - spot[0]) / wide[0]) ** 2 + ((columns - spot[1]) / wide[1]) ** 2))).astype(np.uint8)


@pytest.mark.parametrize("native", [(512.0, 512.0), (540.0, 384.0), (300.0, 600.0)])
def test_a_round_spot_is_round_in_the_crop_for_any_field_of_view(tmp_path: Path, native: tuple[float, float]) -> None:
    """Three millimetres wide in the patient: the image of a field of view that was not square shows it as an ellipse."""
    longer = max(native)
    wide = 3 * longer / native[0], 3 * longer / native[1]
    image = image_of((110, 130), (55.0, 60.0), wide)
    Image.fromarray(image).convert("RGB").save(tmp_path / "a.png")
    point = ForamenPoint("a.png", "1", Side.LEFT, Level.L3_L4, 60.0, 55.0, 0.0, 0.0, *native)
    below = replace(point, level=Level.L4_L5, y=55.0 + 25.0 * longer / native[0])
    crop = stored_crops([point, below], tmp_path)[0].astype(float)
    assert distances([point, below])["1"] == pytest.approx(25.0)
    rows, columns = np.mgrid[:STORED_SIZE, :STORED_SIZE]
    middle = [(crop * axis).sum() / crop.sum() for axis in (rows, columns)]
    np.testing.assert_allclose(middle, 47.5, atol=0.6)
    spread = [np.sqrt((crop * (axis - m) ** 2).sum() / crop.sum()) for axis, m in zip((rows, columns), middle, strict=True)]
    np.testing.assert_allclose(spread, 3 * 32 / 25, rtol=0.08)


def test_a_neighbouring_slice_is_used_only_if_its_image_covers_the_foramen(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(image_of((110, 130), (55, 60), (4, 4))).convert("RGB").save(tmp_path / name)
    own = ForamenPoint("a.png", "1", Side.LEFT, Level.L3_L4, 60, 55, 0, 0, series_id="9", instance_number=5)
    near = ForamenPoint("b.png", "1", Side.LEFT, Level.L4_L5, 60, 80, 0, 0, series_id="9", instance_number=6)
    crops, numbers = crops_on_neighbours([own, near], tmp_path)
    np.testing.assert_array_equal(numbers, [0, 1])
    far = replace(near, top=90.0)  # the image of slice 6 begins 90 rows further down
    assert len(crops_on_neighbours([own, far], tmp_path)[0]) == 0
    assert crops.shape == (2, STORED_SIZE, STORED_SIZE)


def test_foramina_lie_above_the_disc_and_in_front_of_the_canal_also_where_the_disc_is_tilted() -> None:
    upright = foramen_points([LevelFinding(Level.L3_L4, (0.0, 0.0, 0.0), (0.0, 26.0, 0.0))])
    np.testing.assert_allclose(upright[Level.L3_L4, Side.LEFT], [16.4, 21, 6])
    np.testing.assert_allclose(upright[Level.L3_L4, Side.RIGHT], [-16.4, 21, 6])
    # The same level turned by 90°: the canal lies below the disc, its "up" is towards the back.
    turned = foramen_points([LevelFinding(Level.L3_L4, (0.0, 0.0, 0.0), (0.0, 0.0, -26.0))])
    np.testing.assert_allclose(turned[Level.L3_L4, Side.LEFT], [16.4, 6, -21])


WAVES = np.random.default_rng(4).uniform(0.05, 0.16, (6, 3)), np.random.default_rng(5).uniform(0, 6, 6)


def paint(points: np.ndarray, mirror_mm: float | None = None) -> np.ndarray:
    """Grey values that depend on the position only; with `mirror_mm`, equal on both sides of that x."""
    x = points[..., 0] if mirror_mm is None else np.abs(points[..., 0] - mirror_mm)
    place = np.stack([x, points[..., 1], points[..., 2]], -1)
    return 500 + 60 * np.sin(np.einsum("...k,nk->...n", place, WAVES[0]) + WAVES[1]).sum(-1)


def sagittal(flips: tuple[bool, bool, bool], swapped: bool, mirror_mm: float | None = None, spacing: float = 4.0, fine: bool = False) -> Stack:
    """27 sagittal slices of 240 × 240 mm around (0, 0, 0), stored in any order."""
    normal, back, down = np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0, -1.0])
    rows, columns, pixel = (300, 240, (0.8, 1.0)) if fine else (120, 100, (2.0, 2.4))
    corner = -pixel[0] * (rows - 1) / 2 * down - pixel[1] * (columns - 1) / 2 * back
    origins = corner + spacing * (np.arange(27) - 13)[:, None] * normal
    grid = Grid(origins, pixel[0] * down, pixel[1] * back, rows, columns)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)
    array = paint(grid.points_mm(index), mirror_mm).astype(np.float32)
    row_step, column_step = grid.row_step_mm, grid.column_step_mm
    if flips[0]:
        array, origins = array[::-1], origins[::-1]
    if flips[1]:
        array, origins, row_step = array[:, ::-1], origins + (rows - 1) * row_step, -row_step
    if flips[2]:
        array, origins, column_step = array[:, :, ::-1], origins + (columns - 1) * column_step, -column_step
    if swapped:
        array, row_step, column_step, rows, columns = array.transpose(0, 2, 1), column_step, row_step, columns, rows
    return Stack(Volume(np.ascontiguousarray(array), Grid(origins, row_step, column_step, rows, columns)), tuple(range(1, 28)))


def study_of(stack: Stack, role: Role = Role.SAGITTAL_T1) -> Study:
    return Study("1", (Series("t1", (stack,), Plane.SAGITTAL, Weighting.T1, role, "made here"),))


ASIDE_MM = {Level.L1_L2: 14.7, Level.L2_L3: 15.4, Level.L3_L4: 16.4, Level.L4_L5: 17.5, Level.L5_S1: 18.6}
COLUMN = [LevelFinding(level, (0.0, -25.0, 60.0 - 34.0 * k), (0.0, 0.0, 60.0 - 34.0 * k)) for k, level in enumerate(Level)]


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("swapped", [False, True])
def test_crops_are_independent_of_the_storage_order(flips: tuple[bool, bool, bool], swapped: bool) -> None:
    usual = cut_foramina(study_of(sagittal((False, False, False), False, 0.0)), COLUMN, Role.SAGITTAL_T1)
    crops = cut_foramina(study_of(sagittal(flips, swapped, 0.0)), COLUMN, Role.SAGITTAL_T1)
    assert set(crops) == set(product(Level, (Side.LEFT, Side.RIGHT)))
    for place, crop in crops.items():
        order = slice(None, None, -1) if flips[0] else slice(None)
        difference = np.abs(crop.images.astype(float) - usual[place].images[order])
        assert difference.max() <= 2
        np.testing.assert_allclose(crop.weights, usual[place].weights[order], atol=1e-6)
        assert crop.weights.sum() == pytest.approx(1)
        evidence = crop.evidence()
        at = crop.stack.volume.grid.points_mm([crop.stack.instance_numbers.index(evidence.instance_number), evidence.y, evidence.x])
        np.testing.assert_allclose(at, crop.point_mm, atol=1e-6)
        assert abs(abs(at[0]) - ASIDE_MM[place[0]]) <= 2.0 and (at[0] > 0) == (place[1] is Side.LEFT)  # half a slice
        moved = crop.evidence(down_mm=5.0, back_mm=3.0)
        there = crop.stack.volume.grid.points_mm([crop.stack.instance_numbers.index(moved.instance_number), moved.y, moved.x])
        np.testing.assert_allclose(there - at, [0, 3, -5], atol=1e-6)


def test_a_crop_has_the_grey_values_of_its_position() -> None:
    stack = sagittal((False, False, False), False, fine=True)
    crop = cut_foramina(study_of(stack), COLUMN[2:4], Role.SAGITTAL_T1)[Level.L3_L4, Side.LEFT]
    offsets = (np.arange(STORED_SIZE) - (STORED_SIZE - 1) / 2) * crop.pixel_mm
    points = crop.point_mm - offsets[:, None, None] * np.array([0, 0, 1.0]) + offsets[None, :, None] * np.array([0, 1.0, 0])
    wanted = paint(points) / stack.volume.array[crop.slice_number].max() * 255
    assert np.abs(crop.images[1] - wanted).max() < 4  # the resizing smooths a little
    assert crop.pixel_mm == pytest.approx(34 / 32)


@settings(max_examples=6, deadline=None)
@given(st.floats(-7, 7), st.booleans(), st.sampled_from([3.0, 4.0, 4.5]))
def test_the_midline_is_the_axis_of_symmetry(mirror_mm: float, flipped: bool, spacing: float) -> None:
    stack = sagittal((flipped, False, False), False, mirror_mm, spacing=spacing)
    shift = sideways_shift_mm(stack, [np.array(level.canal_center_mm) for level in COLUMN])
    assert shift == pytest.approx(mirror_mm, abs=1.5)


def test_the_midline_is_not_estimated_from_too_few_slices() -> None:
    whole = sagittal((False, False, False), False, 3.0)
    grid = whole.volume.grid
    few = Stack(Volume(whole.volume.array[12:15], Grid(grid.origins_mm[12:15], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns)), (1, 2, 3))
    assert sideways_shift_mm(few, [np.zeros(3)]) == 0.0


CALIBRATION = LevelCalibration((1.0,) * 5, (1.0,) * 5, (0.3,) * 5)
CARD = Card("foramina-here", "1", TASK, "", "", (), (), (), (), (), parameters={"calibration": CALIBRATION.parameters})


class LeftIsSevere:
    """Side 0 is severe, side 1 normal, whatever the crop shows."""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits = np.zeros((len(inputs["crops"]), 3), np.float32)
        logits[np.arange(len(logits)), np.where(inputs["sides"] == 0, 2, 0)] = 9.0
        return {"logits": logits}


class BrightAbove:
    """Severe where the upper middle of the crop is bright."""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits = np.zeros((len(inputs["crops"]), 3), np.float32)
        logits[:, 2] = 3 * inputs["crops"][:, 0, 8:28, 22:42].mean(axis=(1, 2))
        return {"logits": logits}


def foramen_grader(network: object) -> ForamenGrader:
    return ForamenGrader(Model(Path("foramina-here"), CARD, (network,), "0" * 64))  # type: ignore[arg-type]


AXIAL, T1, T2 = (series(role, plane) for role, plane in ((Role.AXIAL_T2, Plane.AXIAL), (Role.SAGITTAL_T1, Plane.SAGITTAL), (Role.SAGITTAL_T2, Plane.SAGITTAL)))
FORAMINA = {Condition.LEFT_NEURAL_FORAMINAL_NARROWING: "severe", Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: "normal_mild"}


def graded(*those: Series) -> dict[Condition, object]:
    predictor = Predictor(a_prior(), a_grader(), foramen_grader(LeftIsSevere()))
    return {f.condition: f for f in predictor.predict(Study("1", those), LEVELS) if f.level is Level.L4_L5}


def test_foramina_are_graded_on_t1_and_their_evidence_lies_there() -> None:
    findings = graded(AXIAL, T1, T2)
    for condition, grade in FORAMINA.items():
        finding = findings[condition]
        assert (finding.model, finding.severity.value, finding.note, finding.uncertain) == ("foramina-here", grade, "", False)
        assert finding.foramen_fat is not None
        assert finding.evidence.series_uid == T1.series_uid
    assert findings[Condition.LEFT_SUBARTICULAR_STENOSIS].model == "made-here"
    grid = T1.stacks[0].volume.grid
    left = findings[Condition.LEFT_NEURAL_FORAMINAL_NARROWING].evidence
    at = grid.points_mm([T1.stacks[0].instance_numbers.index(left.instance_number), left.y, left.x])
    assert at[0] > CENTER[0] + 5  # the patient's left


def test_without_t1_plain_t2_is_graded_and_marked_uncertain() -> None:
    findings = graded(AXIAL, T2)
    for condition in FORAMINA:
        assert (findings[condition].model, findings[condition].note, findings[condition].uncertain) == ("foramina-here", ON_T2, True)
        assert findings[condition].conformal_set == tuple(Severity)
        assert findings[condition].foramen_fat is None  # how it follows the grades was measured on T1 alone
        assert findings[condition].evidence.series_uid == T2.series_uid


def test_stir_is_not_graded_and_the_axial_grade_notes_it() -> None:
    findings = graded(AXIAL, replace(T2, weighting=Weighting.STIR))
    for condition in FORAMINA:
        assert (findings[condition].model, findings[condition].note) == ("made-here", ON_AXIAL)
    assert findings[Condition.SPINAL_CANAL_STENOSIS].note == ""


def test_without_any_series_the_frequencies_stand() -> None:
    assert {f.model for f in graded(replace(T2, weighting=Weighting.STIR)).values()} == {"severity-prior"}


class LeftRecessIsSevere(LeftIsSevere):
    """Beside a left foramen it sees a severe recess and a canal that is severe with 1/2, beside a right one a normal recess and a normal canal."""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        related = np.zeros((len(inputs["crops"]), 2, 3), np.float32)
        left = inputs["sides"] == 0
        related[~left, :, 0] = 9.0
        related[left, 1, 2] = 9.0
        related[left, 0, :] = 0.0, -20.0, 0.0
        return {**super().run(inputs), "related": related}


def findings_with_related(*those: Series) -> dict[Condition, object]:
    related = dict.fromkeys(("canal", "recess"), CALIBRATION.parameters)
    card = replace(CARD, parameters={**CARD.parameters, "related_calibration": related})
    grader = ForamenGrader(Model(Path("foramina-here"), card, (LeftRecessIsSevere(),), "0" * 64))  # type: ignore[arg-type]
    predictor = Predictor(a_prior(), a_grader(), grader)
    return {f.condition: f for f in predictor.predict(Study("1", those), LEVELS) if f.level is Level.L4_L5}


def test_without_axial_slices_canal_and_recesses_are_graded_on_t1_and_note_it() -> None:
    findings = findings_with_related(T1)
    left, right = findings[Condition.LEFT_SUBARTICULAR_STENOSIS], findings[Condition.RIGHT_SUBARTICULAR_STENOSIS]
    assert (left.severity, right.severity) == (Severity.SEVERE, Severity.NORMAL_MILD)
    canal = findings[Condition.SPINAL_CANAL_STENOSIS]
    # Both sides see the one canal of the level: the mean of 1/2 and 0 for severe.
    assert canal.probabilities.severe == pytest.approx(0.25, abs=0.01) and canal.conformal_set == (Severity.NORMAL_MILD,)
    for finding in (canal, left, right):
        assert (finding.model, finding.note) == ("foramina-here", ON_T1)
        assert finding.evidence.series_uid == T1.series_uid
    grid, numbers = T1.stacks[0].volume.grid, T1.stacks[0].instance_numbers
    aside = [grid.points_mm([numbers.index(f.evidence.instance_number), f.evidence.y, f.evidence.x])[0] - CENTER[0] for f in (left, canal, right)]
    assert aside[0] > 5 > abs(aside[1]) and aside[2] < -5  # the canal lies between the recesses
    assert findings[Condition.LEFT_NEURAL_FORAMINAL_NARROWING].note == ""


def test_where_both_series_are_there_the_axial_grade_takes_t1_into_account() -> None:
    alone, both = findings_with_related(AXIAL), findings_with_related(AXIAL, T1)
    left, right = Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS
    for condition in (left, right):
        assert (both[condition].model, both[condition].note) == ("made-here", "")
        assert both[condition].evidence == alone[condition].evidence
    # T1 shows a severe recess on the left and a normal one on the right.
    assert both[left].severity_score > alone[left].severity_score
    assert both[right].severity_score < alone[right].severity_score


def test_on_t2_slices_neither_canal_nor_recesses_are_graded_as_if_on_t1() -> None:
    findings = findings_with_related(T2)
    assert findings[Condition.LEFT_NEURAL_FORAMINAL_NARROWING].note == ON_T2
    assert {findings[c].model for c in (Condition.SPINAL_CANAL_STENOSIS, Condition.LEFT_SUBARTICULAR_STENOSIS)} == {"severity-prior"}


def test_the_mean_of_both_sides_stays_within_a_level_of_a_study() -> None:
    values = np.array([[0.2, 0.8, 0.0], [0.6, 0.4, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    mean = mean_of_sides(values, np.array([2, 2, 3, 2]), np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(mean, [[0.4, 0.6, 0], [0.4, 0.6, 0], [1, 0, 0], [0, 0, 1]])


def test_slices_are_pooled_by_their_weights() -> None:
    stack = sagittal((False, False, False), False, 0.0)
    crops = list(cut_foramina(study_of(stack), COLUMN, Role.SAGITTAL_T1).values())
    grader = foramen_grader(BrightAbove())
    each = np.array([[grader.grade_slices([replace(c, weights=np.eye(3)[k])]).foramen.metric[0] for c in crops] for k in range(3)])
    weights = np.array([c.weights for c in crops])
    found = grader.grade_slices(crops).foramen.metric
    np.testing.assert_allclose(found, pooled_slices(each[:, :, None], weights)[:, 0], atol=1e-6)
    assert np.abs(found - each[1]).max() > 1e-3  # the neighbours count


def test_the_more_certain_slice_counts_more_and_a_missing_one_not_at_all() -> None:
    certain, uncertain, missing = [0.96, 0.02, 0.02], [0.2, 0.4, 0.4], [0.0, 0.0, 1.0]
    slices = np.array([certain, uncertain, missing])[:, None, None]
    weights = np.array([[0.5, 0.5, 0.0]])
    plain = pooled_slices(slices, weights, certainty=0.0)[0, 0]
    by_hand = np.sqrt(np.array(certain) * uncertain)  # the geometric mean of two
    np.testing.assert_allclose(plain, by_hand / by_hand.sum(), rtol=1e-9)
    assert pooled_slices(slices, weights)[0, 0, 0] > plain[0]
    np.testing.assert_allclose(pooled_slices(slices, np.array([[0.0, 1.0, 0.0]]))[0, 0], uncertain)


def test_all_conditions_use_the_weights_of_the_foramen() -> None:
    rng = np.random.default_rng(1)
    slices = rng.dirichlet(np.ones(3), (2, 4, 3))
    slices[:, :, 1] = slices[:, :, 0]
    found = pooled_slices(slices, np.full((4, 2), 0.5))
    np.testing.assert_allclose(found[:, 1], found[:, 0])
    np.testing.assert_allclose(found.sum(axis=-1), 1)


def test_the_map_lights_what_the_network_reads() -> None:
    crop = next(iter(cut_foramina(study_of(sagittal((False, False, False), False, 0.0)), COLUMN, Role.SAGITTAL_T1).values()))
    heat = importance(foramen_grader(BrightAbove()), crop)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 6 <= row <= 30 and 20 <= column <= 44
    assert heat.min() >= 0
    assert importance(foramen_grader(LeftIsSevere()), crop).max() < 1e-6


def test_the_input_is_standardised_and_shifted() -> None:
    stored = image_of((STORED_SIZE, STORED_SIZE), (50.0, 44.0), (3, 3))[None]
    plain, moved = network_input(stored)[0, 0], network_input(stored, shift=(4.0, -3.0))[0, 0]
    assert plain.shape == (72, 64)
    assert plain.mean() == pytest.approx(0, abs=1e-5) and plain.std() == pytest.approx(1, abs=1e-5)
    peak, other = (np.array(np.unravel_index(image.argmax(), image.shape)) for image in (plain, moved))
    np.testing.assert_array_equal(peak - other, [4, -3])
    near = network_input(stored, scale=2.0)[0, 0]
    np.testing.assert_allclose(np.array(np.unravel_index(near.argmax(), near.shape)) - [35.5, 31.5], 2 * (peak - [35.5, 31.5]), atol=1.1)


def crop_with_fat(rows: int, columns: int) -> ForamenCrop:
    """A crop of 1.5 mm pixels: grey tissue, fat under the skin behind, and a block of fat of `rows` by `columns` around the foramen."""
    image = np.full((STORED_SIZE, STORED_SIZE), 90, np.uint8)
    image[:, 62:] = 210
    image[48 - rows // 2 : 48 - rows // 2 + rows, 48 - columns // 2 : 48 - columns // 2 + columns] = 200
    stack = sagittal((False, False, False), False)
    return ForamenCrop(Level.L4_L5, Side.LEFT, study_of(stack).series[0], stack, 13, np.zeros(3), 1.5, np.stack([image * 0, image, image * 0]), np.ones(3) / 3)


@pytest.mark.parametrize(("rows", "columns"), [(6, 4), (2, 5), (0, 0)])
def test_fat_around_the_nerve_root_is_measured_in_millimetres(rows: int, columns: int) -> None:
    fat = measured_fat(crop_with_fat(rows, columns))
    assert fat.area_mm2 == pytest.approx(rows * columns * 1.5**2)
    assert (fat.height_mm, fat.width_mm) == (rows * 1.5, columns * 1.5)


def test_fat_far_from_the_foramen_does_not_count() -> None:
    fat = measured_fat(crop_with_fat(60, 4))  # reaches far above and below
    assert 8 * 1.5 <= fat.height_mm <= 12 * 1.5


def test_each_level_has_its_own_calibration() -> None:
    calibration = LevelCalibration((1, 1, 1, 1, 2.0), (1.0,) * 5, (0.5, 0.5, 0.5, 0.5, 0.1))
    raw = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]])
    grades = calibration.apply(raw, np.array([0, 4]))
    np.testing.assert_allclose(grades.metric[0], raw[0])
    np.testing.assert_allclose(grades.metric[1], np.sqrt(raw[0]) / np.sqrt(raw[0]).sum())
    np.testing.assert_allclose(grades.clinical[0], np.array([0.6, 0.15, 0.025]) / 0.775)
    np.testing.assert_array_equal(grades.sets, [[True, False, False], [True, True, False]])
    assert LevelCalibration.from_card({"calibration": calibration.parameters}, Path()) == calibration


def test_distance_between_levels_in_millimetres() -> None:
    assert level_distance_mm(foramen_points(COLUMN)) == pytest.approx(34)
    assert GRID_PIXELS == 250
