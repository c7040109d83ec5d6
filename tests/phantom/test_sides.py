"""Left is the patient's left, at larger x, and shown on the right of axial images."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.domain.anatomy import Condition, Level
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy
from lumbar.phantom.canvas import Plane
from lumbar.phantom.degeneration import Degeneration
from lumbar.phantom.labels import DISC, MUSCLE
from lumbar.phantom.population import sample_person
from lumbar.phantom.render import render_labels
from lumbar.phantom.study import PhantomStudy, study_truth
from lumbar.phantom.truth import muscle_sections


def _healthy(**planted: float) -> Degeneration:
    """A person without narrowing except at the given places: row_level = narrowing."""
    narrowing = np.full((5, 5), 0.05)
    for place, value in planted.items():
        row, level = place.removeprefix("c").split("_")
        narrowing[int(row), int(level)] = value
    return Degeneration(np.zeros((5, 5)), narrowing, np.zeros((5, 5), dtype=np.int64))


def _disc_plane(anatomy: Anatomy, name: str, pixel_mm: float = 0.5) -> Plane:
    frame = anatomy.disc(name).frame
    half = 60
    corner = frame.to_world(np.array([-half * pixel_mm * 2, -half * pixel_mm * 2, 0.0]))
    return Plane(corner, frame.axes[1] * pixel_mm, frame.axes[0] * pixel_mm, 4 * half + 1, 4 * half + 1)


@pytest.mark.parametrize(("row", "side"), [(3, "left"), (4, "right")])
def test_a_protrusion_lies_on_the_simulated_side(row: int, side: str) -> None:
    person = sample_person(3)
    plain, planted = (build_anatomy(person, degeneration) for degeneration in (_healthy(), _healthy(**{f"c{row}_3": 0.95})))
    labels = [render_labels(a, _disc_plane(a, "L4/L5")) == DISC["L4/L5"] for a in (plain, planted)]
    gained = labels[1] & ~labels[0]
    plane = _disc_plane(planted, "L4/L5")
    rows, columns = np.nonzero(gained)
    x = (plane.origin_mm + rows[:, None] * plane.row_step_mm + columns[:, None] * plane.column_step_mm)[:, 0]
    middle = planted.disc("L4/L5").frame.center_mm[0]
    assert gained.sum() > 40
    assert ((x > middle).mean() > 0.9) == (side == "left")
    assert ((x < middle).mean() > 0.9) == (side == "right")


def test_atrophy_of_the_left_leaves_less_muscle_and_more_fat_at_larger_x() -> None:
    person = replace(sample_person(3), atrophy=(0.4, 0.0))
    anatomy = build_anatomy(person, _healthy())
    sections = muscle_sections(anatomy, float(anatomy.disc("L4/L5").frame.center_mm[2]))
    left, right = sections[MUSCLE["multifidus", "left"]], sections[MUSCLE["multifidus", "right"]]
    assert left[0] < 0.75 * right[0]
    assert left[1] > right[1] + 0.1


def test_left_labels_lie_at_larger_x(small_study: PhantomStudy) -> None:
    anatomy = small_study.anatomy
    z = float(anatomy.disc("L3/L4").frame.center_mm[2])
    x, y = anatomy.profiles.at("canal_x", z), anatomy.profiles.at("canal_y", z)
    plane = Plane(np.array([x - 80, y - 60, z]), np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), 120, 160)
    labels = render_labels(anatomy, plane)
    for muscle in ("multifidus", "erector_spinae", "psoas"):
        columns = [np.nonzero(labels == MUSCLE[muscle, side])[1].mean() for side in ("left", "right")]
        assert columns[0] > 80 > columns[1]


def test_marked_points_lie_on_their_sides(small_study: PhantomStudy) -> None:
    places = {(p["condition"], p["level"]): p for p in study_truth(small_study)["coordinates"]}
    for level in Level:
        left = places[Condition.LEFT_SUBARTICULAR_STENOSIS.value, level.value]
        right = places[Condition.RIGHT_SUBARTICULAR_STENOSIS.value, level.value]
        assert left["x"] > right["x"] + 10  # columns of an axial image run towards the patient's left
        left = places[Condition.LEFT_NEURAL_FORAMINAL_NARROWING.value, level.value]
        right = places[Condition.RIGHT_NEURAL_FORAMINAL_NARROWING.value, level.value]
        assert left["instance_number"] > right["instance_number"]  # sagittal slices run from right to left
