"""S1, S2 and foramina: from constructed network output to the mask on the grid of the image. Truth is drawn at positions in the patient."""

from dataclasses import replace
from functools import cache

import cartoon
import numpy as np
import pytest
from cartoon import GREY, STEP, Drawing, draw

from lumbar.domain.anatomy import AddedClass, Level, SpineClass
from lumbar.domain.findings import SpineFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.spine.network import SpineNetwork
from lumbar.spine.reader_mask import redrawn
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.spine_map import SpineMap, map_spine, structure_mask, tissue_mask

ADDED = tuple(AddedClass)
S1_BELOW, S2, FORAMEN = (len(SpineClass) + k for k in range(3))
LEFT_VALUES, RIGHT_VALUES = range(21, 26), range(31, 36)  # L1/L2 to L5/S1
LEFT_ONLY = {0, 3}  # numbers of discs, from L5/S1 upwards, without a foramen on the right
SCALE_ROWS, SCALE_COLUMNS = 240, slice(152, 172)
DRAWING = Drawing(tilts=(32.0, 18.0, 6.0, -2.0, -8.0))


@pytest.fixture(autouse=True)
def pixels_of_the_network(monkeypatch):
    """With pixels of this size nothing is resampled before the network, so that its output can be given voxel by voxel."""
    monkeypatch.setattr(cartoon, "PIXEL", PIXEL_MM)


def scene(drawing: Drawing = DRAWING, turn_degrees: float = 0.0, slices: int = cartoon.SLICES) -> tuple[Volume, np.ndarray]:
    """A volume whose values are classes of a network with nine, and the position of the foramina (discs, 2, 3), left and right; NaN: there is none."""
    volume, truth = draw(drawing, slices, turn_degrees=turn_degrees)
    grey = np.rint(volume.array / STEP).astype(int)
    grey[:, : cartoon.MARK, : cartoon.MARK] = GREY[SpineClass.BACKGROUND]
    code = np.zeros(volume.array.shape, dtype=np.uint8)
    for kind, value in GREY.items():
        code[grey == value] = kind
    points = volume.grid.points_mm(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
    middles = np.full((len(truth.discs), 2, 3), np.nan)
    for number, disc in enumerate(truth.discs):
        for side, x in enumerate((18.0, -18.0)):
            if side == 0 or number not in LEFT_ONLY:
                middles[number, side] = disc + np.array([x, 25.0, 6.0])
                fill(code, points, middles[number, side], (5.0, 4.0, 6.0), FORAMEN)
    angle = np.deg2rad(drawing.tilts[0])
    down = np.array([0.0, np.sin(angle), -np.cos(angle)])
    lowest = truth.discs[0]
    fill(code, points, lowest + 30 * down, (20, 13, 13), S1_BELOW)
    fill(code, points, lowest + 58 * down, (18, 10, 10), S2)
    for place in ([0, 25, 6], [44, 25, 6], [-44, 25, 6], [20, -40, 0]):  # in the canal, beyond the transverse processes, in front
        fill(code, points, truth.discs[2] + np.array(place), (5.0, 3.0, 4.0), FORAMEN)
    fill(code, points, truth.discs[3] + np.array([0, -45, 0]), (10, 6, 6), S2)
    return Volume(code, volume.grid), middles


@cache
def plain_scene() -> tuple[Volume, np.ndarray]:
    """The scene that most tests use; they must not change it."""
    return scene()


def fill(code: np.ndarray, points: np.ndarray, middle: np.ndarray, half: tuple[float, float, float], kind: int) -> None:
    """A box of background becomes `kind`."""
    code[(np.abs(points - middle) <= half).all(axis=-1) & (code == SpineClass.BACKGROUND)] = kind


class GivenOutput:
    """A network that answers with the classes of the image it is shown, which a scale in the image tells: see `shown`."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __call__(self, images: np.ndarray) -> np.ndarray:
        out = np.full((len(images), self.classes, *images.shape[2:]), -9.0, dtype=np.float32)
        for image, logits in zip(images[:, 0], out, strict=True):
            scale, values = np.unique(image, return_inverse=True)
            assert len(scale) <= 11  # as drawn, nothing was resampled or clipped; the border that is added can be darker
            kinds = np.maximum(values.reshape(image.shape) - (len(scale) - 10), 0)
            end = int(np.flatnonzero((kinds[:SCALE_ROWS] == 9).all(axis=0)).max())
            kinds[:SCALE_ROWS, end - 19 : end + 1] = SpineClass.BACKGROUND
            kinds[kinds >= self.classes] = SpineClass.BACKGROUND
            np.put_along_axis(logits, kinds[None], 9.0, axis=0)
        return out


def shown(volume: Volume) -> Volume:
    """The image of a scene: classes as grey values, and a scale of the values 0 to 9 behind the canal, which every part of a slice that is cut out shows."""
    array = volume.array.astype(np.float32)
    array[:, :SCALE_ROWS, SCALE_COLUMNS] = np.repeat(np.arange(10), 2)
    return Volume(array, volume.grid)


def found(image: Volume, plane: Plane = Plane.SAGITTAL, network: SpineNetwork | None = None) -> SpineMap:
    return map_spine(image, plane, Weighting.T2, network or SpineNetwork(GivenOutput(9), added=ADDED))


def flipped(volume: Volume, axis: int) -> Volume:
    """The same patient with one axis stored the other way round."""
    grid, last = volume.grid, volume.grid.shape[axis] - 1
    origins, row, column = grid.origins_mm, grid.row_step_mm, grid.column_step_mm
    if axis == 0:
        origins = origins[::-1]
    elif axis == 1:
        origins, row = origins + last * row, -row
    else:
        origins, column = origins + last * column, -column
    return Volume(np.flip(volume.array, axis).copy(), Grid(origins, row, column, grid.rows, grid.columns))


def axial(volume: Volume) -> Volume:
    """The same patient as axial slices from head to foot, rows from the patient's right to the left, columns from front to back."""
    grid = volume.grid
    origins = grid.origins_mm[0] + np.arange(grid.rows)[:, None] * grid.row_step_mm
    return Volume(np.swapaxes(volume.array, 0, 1).copy(), Grid(origins, grid.slice_step_mm, grid.column_step_mm, grid.shape[0], grid.columns))


def middle_of(mask: Volume, value: int) -> np.ndarray:
    """LPS centre of the voxels with a value."""
    return mask.grid.points_mm(np.argwhere(mask.array == value)).mean(axis=0)


def check_foramina(mask: Volume, middles: np.ndarray) -> None:
    """Each foramen has the value of its level and side, where it was drawn; there are no others."""
    drawn = set()
    for number, pair in enumerate(middles):
        for values, middle in zip((LEFT_VALUES, RIGHT_VALUES), pair, strict=True):
            value = values[4 - number]
            if not np.isnan(middle).any():
                drawn.add(value)
                assert np.linalg.norm(middle_of(mask, value) - middle) < 3.0, value
    assert {int(v) for v in np.unique(mask.array) if v > 20} == drawn


VIEWS = {"as drawn": lambda v: v, "slices": lambda v: flipped(v, 0), "rows": lambda v: flipped(v, 1), "columns": lambda v: flipped(v, 2),
         "all": lambda v: flipped(flipped(flipped(v, 0), 1), 2)}  # fmt: skip


@pytest.mark.parametrize("view", VIEWS)
def test_foramina_lie_on_the_side_of_the_patient_however_the_volume_is_stored(view):
    volume, middles = plain_scene()
    mask = structure_mask(found(VIEWS[view](shown(volume))))
    check_foramina(mask, middles)
    truth = VIEWS[view](volume)
    assert np.array_equal(mask.grid.origins_mm, truth.grid.origins_mm)
    for value, kinds in ((1, (SpineClass.BODY,)), (3, (SpineClass.DISC,)), (4, (SpineClass.CANAL,)), (5, (SpineClass.SACRUM, S1_BELOW))):
        assert overlap(mask.array == value, np.isin(truth.array, kinds)) > 0.97, value


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_axial_volumes_and_turned_slices():
    volume, middles = plain_scene()
    check_foramina(structure_mask(found(axial(shown(volume)), Plane.AXIAL)), middles)
    volume, middles = scene(turn_degrees=12.0)
    check_foramina(structure_mask(found(shown(volume))), middles)


def test_sides_follow_a_spine_that_leans_to_the_left():
    volume, middles = scene(replace(DRAWING, sideways_mm=25.0), slices=21)
    assert middles[-1, 1, 0] > 0  # the uppermost foramen on the right lies to the left of the middle of the stack
    check_foramina(structure_mask(found(shown(volume))), middles)


def test_s2_is_the_part_below_s1_and_not_one_elsewhere():
    volume, _ = plain_scene()
    mask = structure_mask(found(shown(volume)))
    points = mask.grid.points_mm(np.argwhere(mask.array == 6))
    assert np.count_nonzero(mask.array == 6) > 2000
    assert points[:, 2].max() < middle_of(mask, 5)[2]  # the other part lies in front of L2/L3
    without = volume.array.copy()
    without[volume.array == S1_BELOW] = SpineClass.BACKGROUND
    far = structure_mask(found(shown(Volume(without, volume.grid))))
    assert (far.array == 5).any() and not (far.array == 6).any()  # 20 mm below the strip, S2 is not S2


def test_s1_is_withheld_where_the_strip_has_another_name():
    volume, _ = plain_scene()
    spine = map_spine(shown(volume), Plane.SAGITTAL, Weighting.T2, SpineNetwork(GivenOutput(9), added=ADDED), Level.L4_L5)
    values = set(np.unique(structure_mask(spine).array).tolist())
    assert not {5, 6} & values and {21 + k for k in range(4)} <= values and 25 not in values


def test_classes_are_known_by_their_names():
    volume, _ = plain_scene()
    other = found(shown(volume), network=SpineNetwork(GivenOutput(9), added=(None, None, None)))
    assert other.segmentation.added is None and other.added is None
    assert set(np.unique(structure_mask(other).array).tolist()) == {0, 1, 3, 4}
    turned = found(shown(volume), network=SpineNetwork(GivenOutput(9), added=(None, AddedClass.S2, None)))
    assert set(np.unique(structure_mask(turned).array).tolist()) == {0, 1, 3, 4, 5}  # without the lower part of S1, S2 is too far from the strip


def without_lumbosacral_slip(finding: SpineFinding) -> SpineFinding:
    """Only the whole of S1 shows the back wall that the slip of L5 is measured against."""
    lowest = replace(finding.levels[-1], slip_mm=None, slip_mm_error=None, slip_percent=None, meyerding_grade=None)
    return replace(finding, levels=(*finding.levels[:-1], lowest))


def test_a_network_with_six_classes_gives_the_same_spine_but_for_the_slip_of_l5():
    volume, _ = plain_scene()
    nine, six = found(shown(volume)), found(shown(volume), network=SpineNetwork(GivenOutput(6)))
    assert six.added is None
    assert six.finding.levels[-1].slip_mm is None and nine.finding.levels[-1].slip_mm is not None
    assert six.finding == without_lumbosacral_slip(nine.finding)
    assert np.array_equal(tissue_mask(six).array, tissue_mask(nine).array)
    assert set(np.unique(structure_mask(six).array).tolist()) == {0, 1, 3, 4}


def test_what_a_reader_changes_is_no_longer_of_the_network():
    volume, _ = plain_scene()
    spine = found(shown(volume))
    given = tissue_mask(spine)
    array = given.array.copy()
    array[structure_mask(spine).array == 23] = 1  # the left foramen L3/L4 becomes bone
    again, changed = redrawn(spine, Volume(array, given.grid), Weighting.T2)
    values = set(np.unique(structure_mask(again).array).tolist())
    assert changed > 100 and 23 not in values and {22, 24, 5, 6} <= values
