"""Features of a drawn spine of known grey values and dimensions."""

import math

import numpy as np
import pytest
from cartoon import GREY, Drawing, draw, read

from lumbar.age.crops import LEVELS, CropOptions, Frame, SliceSet
from lumbar.age.features.measure import NAMES, NETWORK, Contrast, contrast_of, measure_features
from lumbar.age.segments import SEGMENTS
from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.findings import DiscGrades
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.spine.spine_map import map_spine


@pytest.fixture(scope="module")
def spine():
    volume, _ = draw(Drawing())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumbar.spine.segment._frame", lambda seen, whole: whole)
        return map_spine(volume, Plane.SAGITTAL, Weighting.T2, read)


def row(features, name):
    return features.values[NAMES.index(name)]


def test_signals_and_shapes_are_those_of_the_drawing(spine):
    found = measure_features(spine, None, None)
    disc, body, canal = (GREY[kind] for kind in (SpineClass.DISC, SpineClass.BODY, SpineClass.CANAL))
    np.testing.assert_allclose(row(found, "disc_to_marrow"), math.log(disc / body), atol=0.03)
    np.testing.assert_allclose(row(found, "csf_to_marrow"), math.log(canal / body), atol=0.1)
    np.testing.assert_allclose(row(found, "disc_height_to_depth"), 9 / 34, rtol=0.15)  # the drawing has pixels of 0.8 mm
    np.testing.assert_allclose(row(found, "canal_to_depth")[:4], 14 / 34, rtol=0.1)  # the drawn canal ends behind L5/S1
    np.testing.assert_allclose(row(found, "body_flatness")[:4], 26 / 34, rtol=0.12)
    assert np.isnan(row(found, "dorsal_tissue")).all() and np.isnan(row(found, "pfirrmann")).all()


def test_the_scale_of_grey_values_does_not_matter():
    volume, _ = draw(Drawing())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumbar.spine.segment._frame", lambda seen, whole: whole)
        one, two = (map_spine(Volume(v, volume.grid), Plane.SAGITTAL, Weighting.T2, read) for v in (volume.array, volume.array / 5000))
    np.testing.assert_allclose(measure_features(one, None, None).values, measure_features(two, None, None).values, rtol=0.02, atol=0.02, equal_nan=True)


def test_tissue_behind_the_canal_is_read_near_the_midline(spine):
    options, down, back = CropOptions(), np.array([0, 0, -1.0]), np.array([0, 1.0, 0])
    images = np.zeros((5, 3, options.rows, options.columns), dtype=np.float32)
    behind = (np.arange(options.columns) - options.middle[1]) * options.pixel_mm > 33
    images[:, 1][..., behind] = 0.7
    images[:, [0, 2]] = 9.0  # 10 mm to the sides
    position = np.tile(np.array([-10.0, 0, 10.0], dtype=np.float32), (5, 1))
    frames = tuple(Frame(level, np.zeros(3), down, back, np.array([1.0, 0, 0])) for level in LEVELS)
    found = measure_features(spine, SliceSet(images, position, np.ones((5, 3), dtype=np.float32), frames, options), None)
    np.testing.assert_allclose(row(found, "dorsal_tissue"), 0.7, atol=1e-6)


def test_ages_of_segments_and_grades_stand_at_their_levels(spine):
    grades = (DiscGrades(Level.L4_L5, 4, {"1": 0.0, "2": 0.0, "3": 0.5, "4": 0.5, "5": 0.0}, narrowing=0.5, modic=1.0),)
    found = measure_features(spine, None, dict(zip(SEGMENTS, (50.0, 60.0, 70.0, 80.0, 65.0), strict=True)), grades)
    assert row(found, NETWORK[0]).tolist()[:2] == [50.0, 50.0] and np.isnan(row(found, NETWORK[0])[2:]).all()
    assert found.means[[NAMES.index(name) for name in NETWORK]].tolist() == [50.0, 60.0, 70.0, 80.0]
    assert row(found, "pfirrmann")[3] == 3.5 and row(found, "narrowing")[3] == 0 and row(found, "modic")[3] == pytest.approx(math.log(99))


@pytest.mark.parametrize(
    ("weighting", "gap_mm", "slices", "kind"),
    [
        (Weighting.T2, 4.4, 15, Contrast.T2),
        (Weighting.T2, 1.0, 60, Contrast.T2_3D),
        (Weighting.T2, 1.0, 1, Contrast.T2),
        (Weighting.T1, 1.0, 15, Contrast.T1),
        (Weighting.STIR, 4.4, 15, None),
        (Weighting.UNKNOWN, 4.4, 15, None),
    ],
)
def test_kinds_of_series(weighting, gap_mm, slices, kind):
    volume, _ = draw(Drawing(), slices=slices, gap_mm=gap_mm)
    assert contrast_of(weighting, volume) is kind
