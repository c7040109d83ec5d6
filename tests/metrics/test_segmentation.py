"""Scores of label volumes: hand-worked counts, and grids that differ only in how they are stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.metrics.segmentation import brought_onto, dice, score_labels


def volume(array, spacing=(4.0, 0.5, 0.8), origin=(10.0, -20.0, 30.0)):
    array = np.asarray(array, np.uint8)
    origins = np.array(origin) + np.arange(array.shape[0])[:, None] * [0, 0, spacing[0]]
    return Volume(array, Grid(origins, [0, spacing[1], 0], [spacing[2], 0, 0], array.shape[1], array.shape[2]))


def labels(seed=0):
    return np.random.default_rng(seed).integers(0, 3, (4, 9, 7))


def test_dice_and_volumes_by_hand():
    reference, prediction = np.zeros((2, 10, 10)), np.zeros((2, 10, 10))
    reference[0, 0:4, 0:5] = 1  # 20 voxels
    prediction[0, 2:6, 0:5] = 1  # 20 voxels, 10 shared
    prediction[1, 0, 0] = 3
    one, two, three = score_labels(volume(reference), volume(prediction), (1, 2, 3))
    assert one.dice == 0.5
    assert one.reference_volume_ml == pytest.approx(20 * 4 * 0.5 * 0.8 / 1000)
    assert one.volume_error_ml == 0
    assert (two.dice, two.hd95_mm, two.reference_volume_ml) == (None, None, 0)
    assert (three.dice, three.surface_dice_1mm, three.hd95_mm) == (0, 0, None)
    assert three.volume_error_ml == pytest.approx(0.0016)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(3)), st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_how_a_mask_is_stored_does_not_matter(axes, flips):
    reference = volume(labels())
    stored = volume(labels()).rearranged(tuple(axes), flips)
    assert (brought_onto(reference.grid, stored).array == reference.array).all()
    assert all(score.dice == 1 for score in score_labels(reference, stored, (1, 2)))


def test_a_mirrored_mask_is_another_mask():
    mirrored = volume(labels()[:, :, ::-1])
    assert score_labels(volume(labels()), mirrored, (1,))[0].dice < 0.6


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (volume(np.zeros((4, 9, 8))), "shapes"),
        (volume(np.zeros((4, 9, 7)), spacing=(4.0, 0.5, 0.9)), "spacings"),
        (volume(np.zeros((4, 9, 7)), origin=(13.0, -20.0, 30.0)), "3.0 mm apart"),
    ],
)
def test_other_grids_are_rejected_with_the_difference(other, said):
    with pytest.raises(GeometryError, match=said):
        score_labels(volume(labels()), other, (1,))


def test_dice_of_nothing():
    empty = np.zeros((2, 2, 2), bool)
    assert dice(empty, empty) is None
    assert dice(empty, ~empty) == 0.0
