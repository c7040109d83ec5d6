"""Segmentation with a stand-in network that derives labels from grey values."""

import json
from pathlib import Path

import numpy as np
import pytest
from scene import axial_grid, axial_mask, boxes

from lumbar.domain.anatomy import Level, Muscle, Side
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError, NoUsableSeries
from lumbar.metrics.segmentation import score_labels
from lumbar.models.card import Card, TensorSpec
from lumbar.models.folder import Model
from lumbar.muscle.axial import restore, to_axial
from lumbar.muscle.engine import INPUT, OUTPUT
from lumbar.muscle.postprocess import clean
from lumbar.muscle.predict import Predictor, lumbar_slices
from lumbar.muscle.preview import sheet_png
from lumbar.muscle.segment import MuscleNetwork, segment


def reader(images):
    """Logits of labels that were painted as grey values 0, 1, 2, 3, 4 (in steps between the darkest and the brightest pixel).

    Sides follow the position, as for a network trained on mirrored images: in a mirror image right is left.
    """
    low, high = images.min(axis=(2, 3), keepdims=True), images.max(axis=(2, 3), keepdims=True)
    label = (images - low) / np.maximum(high - low, 1e-6) * 4
    for one in label:
        places = [np.argwhere(np.round(one[0]) == side)[:, 1] for side in (1, 4)]
        if min(map(len, places)) and places[0].mean() > places[1].mean():
            one[one > 0.5] = 5 - one[one > 0.5]
    return -10 * np.abs(label - np.arange(5)[None, :, None, None])


READER = MuscleNetwork(reader, 1.0)


def painted(mask):
    """An image with the labels as grey values; the stand-in needs the brightest label on every slice."""
    array = mask.array.astype(np.float32)
    array[:, -1, -30:] = 4
    return Volume(array, mask.grid)


@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (False, False, False)), ((2, 1, 0), (True, False, True)), ((1, 2, 0), (False, True, True))])
def test_the_mask_is_returned_on_the_grid_of_the_file(axes, flips):
    mask = boxes(axial_grid(slices=5, rows=100, columns=200))
    stored = painted(mask).rearranged(axes, flips)
    found = segment(stored, READER)
    assert found.mask.grid is stored.grid
    scores = score_labels(mask, found.mask, (1, 2, 3, 4))
    assert min(score.dice for score in scores) > 0.9  # pixels of 0.5 mm went through a grid of 1 mm


def test_a_wide_field_of_view_is_cropped_around_the_muscles():
    grid = Grid(np.arange(4)[:, None] * [0.0, 0, 4], [0, 1.0, 0], [1.0, 0, 0], 400, 400)
    small = boxes(Grid(np.zeros((1, 3)), [0, 1.0, 0], [1.0, 0, 0], 100, 180)).array[0]
    mask, image = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.float32)
    mask[:, 180:280, 110:290] = small
    image[:, 100:300, 90:310] = 0.4  # the body
    image = np.maximum(image, mask)
    sizes = []

    def watching(images):
        sizes.append(images.shape[2] * images.shape[3])
        return reader(images)

    found = segment(Volume(image, grid), MuscleNetwork(watching, 1.0))
    assert score_labels(Volume(mask, grid), found.mask, (1, 2, 3, 4))[0].dice > 0.95
    assert max(sizes[3:]) < 0.4 * 400 * 400


def test_unselected_slices_remain_empty():
    mask = boxes(axial_grid(slices=5, rows=100, columns=200))
    keep = np.array([False, True, True, False, False])
    found = segment(painted(mask), READER, keep=keep).mask
    assert found.array.any(axis=(1, 2)).tolist() == keep.tolist()


def test_restore_inverts_to_axial():
    grid = axial_grid()
    for axes, flips in (((2, 0, 1), (True, False, True)), ((1, 0, 2), (False, True, False))):
        stored = axial_mask(grid).rearranged(axes, flips)
        assert (restore(np.asarray(to_axial(stored).array), stored).array == stored.array).all()


def test_sagittal_volumes_are_rejected():
    grid = Grid(np.arange(12)[:, None] * [4.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0], 100, 100)
    with pytest.raises(InputError, match="axial"):
        segment(Volume(np.zeros(grid.shape, np.float32), grid), READER)


def test_cleaning_keeps_one_component_and_fills_holes():
    grid = axial_grid()
    labels = axial_mask(grid).array.copy()
    whole = labels.copy()
    labels[2, 25, 30] = 0  # a hole
    labels[1, 2:4, 2:4] = 1  # an island
    cleaned, warnings = clean(labels, grid)
    assert (cleaned == whole).all()
    assert warnings == ()


def test_labels_on_the_wrong_side_are_relabelled():
    grid = axial_grid()
    labels = axial_mask(grid).array.copy()
    whole = labels.copy()
    labels[2][whole[2] == 4] = 1  # the left erector is labelled right on one of four slices
    cleaned, warnings = clean(labels, grid)
    assert (cleaned == whole).all()
    assert "wrong side" in warnings[0]


def test_slices_between_the_levels():
    grid = axial_grid()  # z from -50 to -30 in steps of 4
    top, bottom = LevelFinding(Level.L1_L2, (0.0, 0.0, -38.0)), LevelFinding(Level.L5_S1, (0.0, 0.0, -46.0))
    assert lumbar_slices(grid, (top, bottom)).tolist() == [False, True, True, True, False, False]
    assert lumbar_slices(grid, (bottom,)).tolist() == [False, True, True, True, True, True]
    assert lumbar_slices(grid, ()).all()
    flipped = axial_mask(grid).rearranged((0, 1, 2), (True, False, False)).grid
    assert lumbar_slices(flipped, (top, bottom)).tolist() == [False, False, True, True, True, False]


def study(*roles, stacks=1):
    series = []
    for role in roles:
        made = []
        for n in range(stacks):
            mask = boxes(axial_grid(slices=5, rows=100, columns=200))
            grid = Grid(mask.grid.origins_mm + np.array([0, 0, 30.0 * n]), mask.grid.row_step_mm, mask.grid.column_step_mm, 100, 200)
            made.append(Stack(Volume(painted(mask).array, grid), tuple(range(5))))
        series.append(Series(f"1.{role.value}", tuple(made), Plane.AXIAL, Weighting.T2, role, ""))
    return Study("1", tuple(series))


def stand_in():
    """A predictor with the stand-in network."""
    spec = (TensorSpec("x", (1,), ""),)
    card = Card("stand-in", "0", "muscle", "", "", spec, spec, (), (), (), parameters={"pixel_mm": 1.0})
    model = Model(Path(), card, (), "")
    object.__setattr__(model, "run", lambda inputs: {OUTPUT: reader(inputs[INPUT])})
    return Predictor(model)


def test_stacks_are_measured_together():
    levels = (LevelFinding(Level.L4_L5, (0.0, 0.0, -42.0)), LevelFinding(Level.L3_L4, (0.0, 0.0, -12.0)))
    one, two = (stand_in().predict(study(Role.AXIAL_T2, stacks=n), levels) for n in (1, 2))
    assert [(f.muscle, f.side) for f in two.findings] == [
        (Muscle.ERECTOR_SPINAE, Side.RIGHT),
        (Muscle.MULTIFIDUS, Side.RIGHT),
        (Muscle.MULTIFIDUS, Side.LEFT),
        (Muscle.ERECTOR_SPINAE, Side.LEFT),
    ]
    assert two.findings[0].volume_ml == pytest.approx(2 * one.findings[0].volume_ml, rel=1e-6)
    assert [at.level for at in two.findings[0].per_level] == [Level.L3_L4, Level.L4_L5]
    assert [at.level for at in one.findings[0].per_level] == [Level.L4_L5]
    assert len(two.masks) == 2


def test_a_study_without_axial_images_is_rejected():
    with pytest.raises(NoUsableSeries):
        stand_in().predict(Study("1", ()), ())


def test_the_sheet_is_an_image():
    mask = boxes(axial_grid(slices=5, rows=100, columns=200))
    assert sheet_png(painted(mask), mask)[:4] == b"\x89PNG"


def test_the_records_are_json(tmp_path):
    from lumbar.muscle.measure import measure  # noqa: PLC0415
    from lumbar.muscle.records import muscle_records  # noqa: PLC0415

    mask = boxes(axial_grid(slices=5, rows=100, columns=200))
    text = json.dumps(muscle_records(measure(painted(mask), mask).findings), allow_nan=False)
    assert '"muscle": "erector_spinae", "side": "right"' in text


def test_mirror_averaging_removes_a_side_bias_of_the_network():
    """The stand-in shifts its predictions to one side and prefers the left; averaging with the mirror image removes both."""

    def leaning(images):
        shifted = reader(images)
        shifted[:, :, :, 3:] = shifted[:, :, :, :-3].copy()
        return shifted + np.linspace(0, 1, 5)[None, :, None, None]

    volume = painted(boxes(Grid(np.arange(3)[:, None] * [0.0, 0, 4], [0, 1.0, 0], [1.0, 0, 0], 96, 192)))
    mirrored = Volume(np.ascontiguousarray(volume.array[:, :, ::-1]), volume.grid)
    found, other = (np.asarray(segment(one, MuscleNetwork(leaning, 1.0)).mask.array) for one in (volume, mirrored))
    assert found.any()
    differing = np.array([0, 4, 3, 2, 1])[other[:, :, ::-1]] != found
    assert differing.mean() < 0.002  # ties at borders


def test_an_organ_mislabelled_erector_spinae_is_removed():
    grid = axial_grid(rows=90)
    labels = np.array(axial_mask(grid).array)
    labels = np.roll(labels, 45, axis=1)
    organ = np.zeros(labels.shape, bool)
    organ[:, 2:30, 5:60] = True  # four times as large as the muscle, 40 mm in front of it
    muscle = labels == 1
    cleaned, _ = clean(np.where(organ, 1, labels).astype(np.uint8), grid)
    assert organ.sum() > 3 * muscle.sum()
    assert np.array_equal(cleaned == 1, muscle)


def test_labels_that_a_network_does_not_know_well_are_withheld():
    mask = boxes(axial_grid(slices=3, rows=100, columns=200))
    found = np.asarray(segment(painted(mask), MuscleNetwork(reader, 1.0, withheld=(2, 3))).mask.array)
    assert set(np.unique(found)) == {0, 1, 4}
    assert (found[np.isin(mask.array, (2, 3))] == 0).mean() > 0.95


def test_two_networks_are_compared_label_by_label():
    mask = boxes(axial_grid(slices=3, rows=100, columns=200))

    def pair(images):
        one = reader(images)
        other = one.copy()
        other[:, 0][one.argmax(axis=1) == 4] = 100.0  # the second network finds no left erector spinae
        return np.stack([one, other], axis=1)

    agreement = segment(painted(mask), MuscleNetwork(pair, 1.0, both_ways=False)).agreement
    assert agreement.of(4) == 0
    assert [agreement.of(label) for label in (1, 2, 3)] == pytest.approx([1, 1, 1])
    assert min(agreement.certainty(label) for label in (1, 2, 3)) > 0.95
    assert agreement.certainty(4, 1) is None or agreement.certainty(4, 1) < 0.8  # the two give it and the background one half each
