"""Ground truth against measurements on the rendered label volumes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lumbar.phantom.acquire import grid_of, label_images
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy
from lumbar.phantom.canvas import Plane
from lumbar.phantom.labels import BODY, CANAL, DISC, MUSCLE
from lumbar.phantom.muscles import painted_fat_map
from lumbar.phantom.render import render_labels, render_slice
from lumbar.phantom.signal import Palette, Sequence
from lumbar.phantom.soft import Field
from lumbar.phantom.study import PhantomStudy, study_truth
from lumbar.phantom.truth import canal_ap_mm, muscle_sections


@pytest.fixture(scope="module")
def truth(small_study: PhantomStudy) -> dict:
    return study_truth(small_study)


def _sagittal(anatomy: Anatomy, x_mm: float, pixel_mm: float) -> np.ndarray:
    top = anatomy.vertebra("T12").frame.center_mm
    return render_labels(anatomy, Plane(np.array([x_mm, top[1] - 60, top[2] + 20]), np.array([0, 0, -pixel_mm]), np.array([0, pixel_mm, 0]), 600, 300))


@pytest.mark.parametrize("level", ["L1/L2", "L2/L3", "L3/L4"])
def test_canal_depth_equals_that_measured_on_a_mask(small_study: PhantomStudy, truth: dict, level: str) -> None:
    anatomy, disc = small_study.anatomy, small_study.anatomy.disc(level)
    pixel = 0.4
    labels = _sagittal(anatomy, float(disc.frame.center_mm[0]), pixel)
    top = anatomy.vertebra("T12").frame.center_mm
    row = round((top[2] + 20 - next(d for d in truth["discs"] if d["level"] == level)["canal_center_mm"][2]) / pixel)
    lean = np.arcsin(disc.frame.axes[2, 1])
    measured = (labels[row] == CANAL).sum() * pixel * np.cos(lean)  # these discs lie nearly flat
    assert measured == pytest.approx(next(d for d in truth["discs"] if d["level"] == level)["canal_ap_mm"], abs=0.5)


def test_muscle_cross_sections_equal_the_areas_of_the_masks(small_study: PhantomStudy) -> None:
    anatomy = small_study.anatomy
    z = float(anatomy.disc("L3/L4").frame.center_mm[2])
    x, y = anatomy.profiles.at("canal_x", z), anatomy.profiles.at("canal_y", z)
    pixel = 0.5
    labels = render_labels(anatomy, Plane(np.array([x - 110.3, y - 70.2, z]), np.array([0, pixel, 0]), np.array([pixel, 0, 0]), 300, 440))
    sections = muscle_sections(anatomy, z)
    for number in MUSCLE.values():
        assert (labels == number).sum() * pixel**2 == pytest.approx(sections[number][0], rel=0.02)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("muscle", ["multifidus", "erector_spinae"])
def test_painted_fat_equals_the_fat_fraction_without_t1_weighting(small_study: PhantomStudy, muscle: str, side: str) -> None:
    anatomy = small_study.anatomy
    z = float(anatomy.disc("L3/L4").frame.center_mm[2])
    x, y = anatomy.profiles.at("canal_x", z), anatomy.profiles.at("canal_y", z)
    plane = Plane(np.array([x - 80.3, y + 0.2, z]), np.array([0, 0.25, 0]), np.array([0.25, 0, 0]), 240, 640)
    water, fat = render_slice(anatomy, plane, 0.0, Palette(Sequence("dixon", 1e6, 2.0, flip_degrees=1.0)), 1)
    inside = ndimage.binary_erosion(render_labels(anatomy, plane) == MUSCLE[muscle, side])
    share = painted_fat_map(anatomy, muscle, 1.0 if side == "left" else -1.0, Field(anatomy.profiles, plane, plane.whole))
    seen = fat[inside] / (fat + water)[inside]
    assert seen.mean() == pytest.approx(share[inside].mean(), rel=0.02)
    assert np.median(np.abs(seen - share[inside])) < 0.01


def test_all_levels_are_in_the_masks_from_head_to_foot(small_study: PhantomStudy) -> None:
    series = small_study.series["sagittal_t2"]
    labels = label_images(small_study.anatomy, series)
    grid = grid_of(list(series.planes))
    for names, codes in ((["L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"], DISC), (["L1", "L2", "L3", "L4", "L5", "S1"], BODY)):
        heights = [grid.points_mm(np.argwhere(labels == codes[name])).mean(axis=0)[2] for name in names]
        assert (np.diff(heights) < -10).all()
    for name in ("L1", "L3", "L5"):
        middle = grid.points_mm(np.argwhere(labels == BODY[name])).mean(axis=0)
        assert np.linalg.norm(middle[1:] - small_study.anatomy.vertebra(name).frame.center_mm[1:]) < 2.5


def test_marked_points_lie_within_their_structures(small_study: PhantomStudy, truth: dict) -> None:
    series = small_study.series["sagittal_t2"]
    labels = label_images(small_study.anatomy, series)
    for place in truth["coordinates"]:
        if place["condition"] == "spinal_canal_stenosis":
            x, y = round(place["x"]), round(place["y"])
            near = labels[place["instance_number"] - 1, y - 6 : y + 7, x - 6 : x + 7]
            assert (near == DISC[place["level"]]).any()
            assert (near == CANAL).any()


def test_sac_depth_decreases_with_latent_narrowing(small_study: PhantomStudy) -> None:
    depths = []
    for value in (0.05, 0.33, 0.66, 0.95):
        narrowing = np.full((5, 5), 0.05)
        narrowing[0, 2] = value
        anatomy = build_anatomy(small_study.person, replace(small_study.degeneration, narrowing=narrowing))
        depths.append(canal_ap_mm(anatomy, anatomy.disc("L3/L4")))
    assert (np.diff(depths) < -1).all()
    assert depths[0] > 10 and depths[-1] < 6
