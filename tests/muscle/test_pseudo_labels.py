"""Pseudo-labels keep what the predictions for several views agree on. The networks here are rules that find bright squares; nothing is trained."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs lumbar[train]")

from slice_scene import example  # noqa: E402

from lumbar.datasets.muscle_slices import UnlabelledSlice  # noqa: E402
from lumbar.muscle.learn.batches import BatchOptions, random_batch  # noqa: E402
from lumbar.muscle.learn.grey_slices import PIXEL_MM, Source, from_pseudo  # noqa: E402
from lumbar.muscle.learn.partial_labels import UNSURE, marginal_loss  # noqa: E402
from lumbar.muscle.learn.pseudo_labels import PseudoLabelOptions, agreed_labels, predictions, pseudo_labelled  # noqa: E402

OPTIONS = PseudoLabelOptions(least_mm2=10)


def chances(labels, sure=0.95):
    """(8, rows, columns) probabilities whose largest are at `labels`."""
    one_hot = np.moveaxis(np.eye(8, dtype=np.float32)[labels], -1, 0)
    return one_hot * sure + (1 - one_hot) * (1 - sure) / 7


def muscles():
    labels = np.zeros((40, 80), np.uint8)
    for label, low in ((1, 10), (2, 25), (3, 42), (4, 58)):
        labels[12:26, low : low + 13] = label
    labels[2:8, 30:50] = 7
    return labels


def by_brightness(image):
    """Labels bright pixels by the quarter of the bright columns in which they lie, from the image's left."""
    bright = image > 0.5
    columns = np.flatnonzero(bright.any(axis=0))
    quarter = np.clip(4 * (np.arange(image.shape[1]) - columns[0]) // (columns[-1] - columns[0] + 1), 0, 3) + 1
    return chances(np.where(bright, quarter[None], 0))[None]


def unlabelled():
    image = np.full((150, 200), 10, np.float32)
    image[60:100, 40:160] = 200
    return UnlabelledSlice("0007_D3", "0007", image, 0.9)


def test_labels_lie_where_the_network_finds_muscle_at_every_scale_and_in_mirror_images():
    (found,) = pseudo_labelled([unlabelled()], [by_brightness], complete=False)
    assert found.source is Source.PSEUDO and found.patient == "0007" and not found.complete
    for label in (1, 2, 3, 4):
        area = (found.labels == label).sum() * PIXEL_MM**2
        assert area == pytest.approx(40 * 30 * 0.9**2, rel=0.12)
        assert (found.planes[0][found.labels == label] > 150).mean() > 0.95
    middles = [np.nonzero(found.labels == label)[1].mean() for label in (1, 2, 3, 4)]
    assert middles == sorted(middles)  # 1 is the patient's right, at the left edge


def test_a_network_that_confuses_sides_in_mirror_images_gets_no_labels():
    def fixed_sides(image):
        rows, columns = image.shape
        return chances(np.broadcast_to(1 + 4 * np.arange(columns) // columns, (rows, columns)).astype(int))[None]

    def sides_by_brightness(image):
        prediction = fixed_sides(image)
        return prediction if image[:, : image.shape[1] // 2].mean() > image[:, image.shape[1] // 2 :].mean() else prediction[:, [0, 2, 1, 3, 4, 5, 6, 7]]

    lopsided = unlabelled()
    lopsided.image[:, :90] += 40
    assert list(pseudo_labelled([lopsided], [sides_by_brightness], complete=False)) == []


def test_slices_whose_predictions_differ_are_left_out():
    same, other = muscles(), muscles()
    other[12:26, 25:30] = 1  # one prediction gives a third of the right multifidus to the erector spinae
    kept = agreed_labels(np.stack([chances(same)] * 6), complete=True, options=OPTIONS)
    assert np.array_equal(kept, same)
    assert agreed_labels(np.stack([*[chances(same)] * 5, chances(other)]), complete=True, options=OPTIONS) is None


def test_unsure_pixels_have_no_label():
    sure = chances(muscles())
    half = sure.copy()
    half[:, 15:17, 10:23] = 0
    half[[0, 1], 15:17, 10:23] = [[[0.45]], [[0.55]]]
    labels = agreed_labels(np.stack([half] * 2), complete=True, options=OPTIONS)
    assert (labels[15:17, 10:23] == UNSURE).all() and (labels == UNSURE).sum() == 2 * 13


def test_psoas_and_vertebra_are_left_to_the_background_of_an_incomplete_network():
    labels = agreed_labels(np.stack([chances(muscles())] * 2), complete=False, options=OPTIONS)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4} and (labels[2:8, 30:50] == 0).all()


def test_a_slice_without_one_of_the_muscles_is_left_out():
    labels = muscles()
    labels[labels == 3] = 0
    assert agreed_labels(np.stack([chances(labels)] * 2), complete=True, options=OPTIONS) is None


def test_every_network_scale_and_side_gives_one_prediction():
    image = unlabelled().image
    found = predictions(image, [by_brightness] * 2, (0.9, 1.0, 1.1))
    assert found.shape == (12, 8, *image.shape)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-4)


def test_unsure_pixels_do_not_count_in_the_loss():
    target = torch.from_numpy(muscles()).long()[None]
    logits = torch.from_numpy(np.log(chances(muscles())))[None].contiguous()
    unsure = target.clone()
    unsure[:, 12:20] = UNSURE
    wrong = logits.clone()
    wrong[:, :, 12:20] = wrong[:, :, 12:20].roll(1, dims=1)
    complete = torch.tensor([True])
    assert float(marginal_loss(wrong, unsure, complete)) == pytest.approx(float(marginal_loss(logits, unsure, complete)), abs=1e-6)
    assert float(marginal_loss(wrong, target, complete)) > float(marginal_loss(logits, target, complete)) + 0.5


def test_unsure_pixels_stay_unsure_in_views():
    labels = example().labels.copy()
    labels[100:110, 100:130] = UNSURE
    one = from_pseudo("a", example().water * 200, labels, complete=False)
    _, seen, _ = random_batch([one] * 8, BatchOptions(frame_probability=0.0), np.random.default_rng(2))
    assert (seen == UNSURE).sum(dim=(1, 2)).min() > 20 and int(seen.max()) == UNSURE
