"""Heat maps of stand-in networks with known receptive regions, on crops of volumes in every storage order."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from test_cut import CANAL, axial_stack, level_at, study_of
from test_predictor import LEVELS, STUDY, SevereOnTheLeft, a_prior

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.study import Study
from lumbar.io.read import read_study
from lumbar.models.card import Card
from lumbar.models.folder import Model
from lumbar.models.registry import has_model
from lumbar.pipeline import Request, analyze, load_models
from lumbar.severity.axial.cut import HEIGHT_MM, WIDTH_MM
from lumbar.severity.axial.explain import importance
from lumbar.severity.axial.grader import TASK, CropGrader
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.calibration import Calibration
from lumbar.severity.learn.calibrate import as_parameters
from lumbar.severity.predict import Predictor

CALIBRATION = {"calibration": as_parameters(Calibration((1.0,) * 5, (1.0,) * 5, (0.4,) * 5))}
CARD = Card("made-here", "1", TASK, "", "", (), (), (), (), (), parameters=CALIBRATION)
IMAGE = np.random.default_rng(0).integers(20, 220, (66, 96, 3)).astype(np.uint8)


class DependsOn:
    """Every grade increases with the brightness of one region of the crop."""

    def __init__(self, part: tuple[slice, slice], gain: float = 3.0) -> None:
        self.part, self.gain = part, gain

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits = np.zeros((len(inputs["crops"]), 5, 3), np.float32)
        logits[..., 2] = 3 + self.gain * inputs["crops"][..., self.part[0], self.part[1]].mean(axis=(1, 2, 3))[:, None]
        return {"logits": logits}


class RandomWeights:
    """A sum of all pixels with random, smooth weights."""

    def __init__(self, seed: int) -> None:
        coarse = np.random.default_rng(seed).normal(size=(3, 12, 17)).astype(np.float32)
        self.weights = np.kron(coarse, np.ones((1, 8, 8), np.float32)) / 500

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        logits = np.zeros((len(inputs["crops"]), 5, 3), np.float32)
        logits[..., 2] = (inputs["crops"] * self.weights).sum(axis=(1, 2, 3))[:, None]
        return {"logits": logits}


def grader_of(*networks: object, workers: int = 1) -> CropGrader:
    return CropGrader(Model(Path("made-here"), CARD, networks, "0" * 64), workers)  # type: ignore[arg-type]


@pytest.mark.parametrize(("top", "left"), list(product([True, False], repeat=2)))
def test_the_map_highlights_the_quadrant_that_the_network_depends_on(top: bool, left: bool) -> None:
    part = (slice(19, 38) if top else slice(-38, -19), slice(20, 39) if left else slice(-39, -20))
    for heat in importance(grader_of(DependsOn(part)), IMAGE, Level.L4_L5):
        assert heat.shape == (CROP_ROWS, CROP_COLUMNS)
        assert heat.min() >= 0
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        assert (row < 48) == top and (column < 68) == left
        near = heat[: 96 // 2] if top else heat[96 // 2 :]
        near = near[:, : 136 // 2] if left else near[:, 136 // 2 :]
        assert near.sum() > 0.8 * heat.sum()


def test_the_map_of_a_constant_network_is_zero() -> None:
    assert importance(grader_of(SevereOnTheLeft()), IMAGE, Level.L4_L5).max() < 1e-6


def test_the_map_depends_on_the_weights_and_is_reproducible() -> None:
    first, second, again = (importance(grader_of(RandomWeights(seed)), IMAGE, Level.L4_L5)[0] for seed in (1, 2, 1))
    np.testing.assert_array_equal(first, again)
    inner = slice(20, 76), slice(20, 116)  # around it both are 0
    assert abs(np.corrcoef(first[inner].ravel(), second[inner].ravel())[0, 1]) < 0.6


def test_the_map_is_smooth() -> None:
    heat = importance(grader_of(RandomWeights(3)), IMAGE, Level.L4_L5)[0]
    step = max(np.abs(np.diff(heat, axis=0)).max(), np.abs(np.diff(heat, axis=1)).max())  # from one pixel, a third of a millimetre, to the next
    assert step < 0.15 * heat.max()


@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_the_peak_is_on_the_correct_side_for_any_storage_order(flips: tuple[bool, bool, bool]) -> None:
    """The network depends on the upper right of the crop: the patient's left, anterior."""
    stack = axial_stack(flips, CANAL)
    predictor = Predictor(a_prior(), grader_of(DependsOn((slice(19, 38), slice(-39, -20)))))
    grades = predictor.explain(study_of(stack), [level_at(CANAL)])
    assert grades.heat_maps
    for heat in grades.heat_maps:
        place = heat.peak
        point = stack.volume.grid.points_mm([stack.instance_numbers.index(place.instance_number), place.y, place.x])
        assert point[0] - CANAL[0] == pytest.approx(0.286 * WIDTH_MM, abs=4)  # to the patient's left
        assert point[1] - CANAL[1] == pytest.approx(-0.2 * HEIGHT_MM, abs=4)  # to the front
        assert point[2] == pytest.approx(CANAL[2], abs=0.1)


def test_moderate_and_severe_findings_have_maps_and_equal_those_of_predict() -> None:
    predictor = Predictor(a_prior(), grader_of(SevereOnTheLeft(), SevereOnTheLeft(), workers=2))
    grades = predictor.explain(STUDY, LEVELS)
    shown = {(heat.condition, heat.level) for heat in grades.heat_maps}
    graded = {(f.condition, f.level) for f in grades.findings if f.model == "made-here" and f.severity is not Severity.NORMAL_MILD}
    assert shown == graded
    assert {f.level for f in grades.findings if f.most_important} == {Level.L4_L5}
    assert set(grades.crops) == {Level.L4_L5}
    for explained, plain in zip(grades.findings, predictor.predict(STUDY, LEVELS), strict=True):
        assert vars(explained) | {"most_important": None} == vars(plain)


def test_the_prediction_set_agrees_with_uncertain() -> None:
    findings = Predictor(a_prior(), grader_of(SevereOnTheLeft())).predict(STUDY, LEVELS)
    sure = next(f for f in findings if f.condition is Condition.LEFT_SUBARTICULAR_STENOSIS and f.level is Level.L4_L5)
    assert sure.conformal_set == (Severity.SEVERE,)
    assert not sure.uncertain
    assert all((len(f.conformal_set) > 1) == f.uncertain for f in findings if f.model == "made-here")
    assert all(f.conformal_set == () for f in findings if f.model != "made-here")


def test_without_a_network_there_are_no_maps() -> None:
    grades = Predictor(a_prior(), None).explain(STUDY, LEVELS)
    assert grades.heat_maps == ()
    assert grades.crops == {}
    assert all(f.most_important is None for f in grades.findings)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Study:
    (folder,) = (shared_data / "rsna2024" / "train_images").iterdir()
    return read_study(folder)


@pytest.mark.real
@pytest.mark.skipif(not has_model(TASK), reason="the research-only grading model is not installed")
def test_recess_maps_of_the_real_study_are_lateralised(real: Study) -> None:
    """The share of importance on the graded side exceeds that of the other recess there."""
    analysis = analyze(real, load_models(tasks=("severity",)), Request(tasks=("severity",)))
    maps = {(heat.condition, heat.level): heat.change for heat in analysis.heat_maps}
    pairs = [level for level in Level if (Condition.LEFT_SUBARTICULAR_STENOSIS, level) in maps and (Condition.RIGHT_SUBARTICULAR_STENOSIS, level) in maps]
    assert pairs
    half = CROP_COLUMNS // 2
    for level in pairs:
        left, right = maps[Condition.LEFT_SUBARTICULAR_STENOSIS, level], maps[Condition.RIGHT_SUBARTICULAR_STENOSIS, level]
        assert left[:, half:].sum() / left.sum() > right[:, half:].sum() / right.sum() + 0.05  # the patient's left is the crop's right half
