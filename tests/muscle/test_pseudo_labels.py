"""Strips of sagittal images: position, orientation, and pseudo-labels."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="random views need lumbar[train]")

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.muscle.learn.pseudo_labels import PIXEL_MM, pseudo_labelled_slices, strips
from lumbar.muscle.learn.synthesis import retreat
from lumbar.muscle.learn.views import UNKNOWN, ViewOptions, random_view

RIGHT, LEFT = slice(2, 9), slice(11, 18)  # columns of 4 mm, the patient's right first


def sagittal(turned_round: bool = False):
    """(image, vertebrae): 20 sagittal slices of 4 mm, pixels of 1 mm, rows head to foot; a right muscle of grey value 700, a left one of 600.

    Vertebra 1 has its middle 30 mm below the top, vertebra 5 170 mm below it; z of the top is 200.
    """
    slices, rows, columns = 20, 200, 120
    origins = np.array([-38.0, 0, 200]) + np.arange(slices)[:, None] * [4.0, 0, 0]
    image = np.full((slices, rows, columns), 30.0, np.float32)
    image[:, :, :110] = 200
    image[RIGHT, :, 60:100], image[LEFT, :, 60:100] = 700, 600
    image[:, :, 100:108] = 20  # fat below the skin
    image[:, :, 115:] = 0  # air
    mask = np.zeros(image.shape, np.uint8)
    mask[8:12, 20:41, 20:50], mask[8:12, 160:181, 20:50] = 1, 5
    grid = Grid(origins, [0, 0, -1.0], [0, 1.0, 0], rows, columns)
    if turned_round:  # the same voxels, stored from left to right and foot to head
        grid = Grid(origins[::-1] - np.array([0, 0, rows - 1.0]), [0, 0, 1.0], [0, 1.0, 0], rows, columns)
        image, mask = image[::-1, ::-1], mask[::-1, ::-1]
    return Volume(np.ascontiguousarray(image), grid), Volume(np.ascontiguousarray(mask), grid)


def by_brightness(unsure=()):
    """Logits of a stand-in network: muscle where it is bright, right of the image's middle column or left of it; uniform on the rows of `unsure`."""

    def network(image):
        seen = image[0, 0]
        logits = np.zeros((1, 5, *seen.shape), np.float32)
        bright = seen > np.quantile(seen[seen > seen.min()], 0.5)
        half = np.arange(seen.shape[1]) < seen.shape[1] / 2
        logits[0, 0] = np.where(bright, 0, 8)
        logits[0, 2] = np.where(bright & half, 8, 0)
        logits[0, 3] = np.where(bright & ~half, 8, 0)
        for rows in unsure:
            logits[0, :, rows] = 0
        return logits

    return network


@pytest.mark.parametrize("turned_round", [False, True])
def test_strips_run_between_the_vertebrae_foot_first_and_right_first(turned_round):
    found = strips(*sagittal(turned_round), (1, 5), every_mm=5.0)
    # Vertebra 5 has its middle 170 mm below the top row, which is number 199 from the foot: 29; vertebra 1 is 140 mm higher.
    assert found.height_mm[0] == pytest.approx(29, abs=1)
    assert found.height_mm[-1] == pytest.approx(29 + 135, abs=1)
    assert np.diff(found.height_mm) == pytest.approx(5.0)
    for image in found.images:
        assert image.shape[1] == round(80 / PIXEL_MM)
        middle = image[2 * len(image) // 3]
        assert middle[round(22 / PIXEL_MM)] == pytest.approx(700, rel=0.02)
        assert middle[round(58 / PIXEL_MM)] == pytest.approx(600, rel=0.02)


def test_the_skin_is_found_where_air_is_grey():
    image, mask = sagittal()
    grey = Volume(np.asarray(image.array) + np.float32(150), image.grid)
    black = [axial.shape for axial in strips(image, mask, (1, 5)).images]
    assert [axial.shape for axial in strips(grey, mask, (1, 5)).images] == black


def test_strips_may_begin_below_the_lower_vertebra():
    assert strips(*sagittal(), (1, 5), every_mm=5.0, beyond_mm=20.0).height_mm[0] == pytest.approx(9, abs=1)


def test_confident_predictions_become_pseudo_labels_on_the_correct_side():
    slices = pseudo_labelled_slices("a", strips(*sagittal(), (1, 5), every_mm=20.0), by_brightness())
    assert len(slices) == 7
    for one in slices:
        row = one.labels[round(70 / 1.25) - (round(120 / 1.25) - len(one.labels))]
        assert (row[round(14 / PIXEL_MM) : round(30 / PIXEL_MM)] == 2).all()
        assert (row[round(50 / PIXEL_MM) : round(66 / PIXEL_MM)] == 3).all()
        inside = np.isin(one.labels, (2, 3))
        assert np.median(one.water[inside]) == pytest.approx(0.7, rel=0.01)
        assert np.median(one.fat[inside]) < 0.05
        assert one.fat.max() > 0.7  # below the skin


def test_uncertain_predictions_do_not_become_pseudo_labels():
    (one, *_) = pseudo_labelled_slices("a", strips(*sagittal(), (1, 5), every_mm=20.0), by_brightness(unsure=[slice(70, 74)]))
    assert (one.labels == UNKNOWN).any()
    assert (one.labels == 2).any()
    assert not pseudo_labelled_slices("a", strips(*sagittal(), (1, 5), every_mm=20.0), by_brightness(unsure=[slice(0, 128)]))


def test_a_slice_far_darker_than_the_others_is_left_out():
    image, mask = sagittal()
    dark = np.array(image.array)
    dark[:, 165:] *= 0.3  # the lowest of seven slices
    slices = pseudo_labelled_slices("a", strips(Volume(dark, image.grid), mask, (1, 5), every_mm=20.0), by_brightness())
    assert len(slices) == 6


@pytest.mark.parametrize("seed", range(6))
def test_unknown_pixels_stay_unknown_in_views(seed):
    (one, *_) = pseudo_labelled_slices("a", strips(*sagittal(), (1, 5), every_mm=20.0), by_brightness(unsure=[slice(70, 80)]))
    share = (one.labels == UNKNOWN).sum() / np.isin(one.labels, (2, 3)).sum()
    _, _, labels = random_view(one, (128, 192), PIXEL_MM, ViewOptions(), np.random.default_rng(seed))
    assert set(np.unique(labels)) <= {0, 2, 3, UNKNOWN}
    assert 0.4 * share < (labels == UNKNOWN).sum() / max(np.isin(labels, (2, 3)).sum(), 1) < 2.5 * share


def test_muscle_that_shrinks_leaves_unknown_pixels_alone():
    labels = np.zeros((128, 192), np.uint8)
    labels[40:80, 40:90], labels[40:80, 90:100] = 1, UNKNOWN
    water = np.full(labels.shape, 0.7, np.float32)
    for seed in range(5):
        _, _, after = retreat(water, np.zeros_like(water), labels, PIXEL_MM, np.random.default_rng(seed))
        assert ((after == UNKNOWN) == (labels == UNKNOWN)).all()
