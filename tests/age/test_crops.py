"""Crops in patient space, compared with a volume with coordinates as voxel values."""

import numpy as np
import pytest

from lumbar.age.crops import LEVELS, CropOptions, crop_points, cut_slices, level_frames
from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import InputError

STRAIGHT = {level: np.array([2.0, -10.0, 60.0 - 36.0 * k]) for k, level in enumerate(Level)}


def _volume(value, pixel: float = 1.0, slices: int = 9, step: float = 4.0) -> Volume:  # type: ignore[no-untyped-def]
    """Sagittal, right to left; every voxel holds `value` of its LPS point."""
    rows, columns = int(260 / pixel), int(160 / pixel)
    origins = np.array([[2.0 + step * (k - (slices - 1) / 2), -80.0, 130.0] for k in range(slices)])
    grid = Grid(origins, np.array([0, 0, -pixel]), np.array([0, pixel, 0]), rows, columns)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return Volume(value(grid.points_mm(index)).astype(np.float32), grid)


def test_frames_follow_a_straight_spine() -> None:
    for level, frame in level_frames(STRAIGHT, np.array([1.0, 0, 0])).items():
        assert np.allclose(frame.center_mm, STRAIGHT[level])
        assert np.allclose([frame.down, frame.back, frame.left], [[0, 0, -1], [0, 1, 0], [1, 0, 0]])


def test_frames_follow_a_parabola_to_its_ends() -> None:
    """Discs on y = z²/200, at even steps of z: the direction must be the parabola's own at every disc, also at the first and last."""
    z = {level: 72.0 - 36.0 * k for k, level in enumerate(LEVELS)}
    frames = level_frames({level: np.array([0.0, value**2 / 200, value]) for level, value in z.items()}, np.array([-1.0, 0, 0]))
    for level, frame in frames.items():
        wanted = np.array([0.0, -z[level] / 100, -1.0])
        assert np.allclose(frame.down, wanted / np.linalg.norm(wanted))
        assert np.allclose(frame.left, [1, 0, 0])  # whatever way the slices are numbered


def test_crops_show_what_lies_at_their_points() -> None:
    """Brightness is height: a crop's rows must fall by the pixel size, whatever the source's pixels, and be alike over columns and slices."""
    for pixel in (0.6, 1.0, 2.0):
        slices = cut_slices(_volume(lambda p: p[..., 2], pixel), STRAIGHT)
        # Scaled to the study's own percentiles: undo it with two known places.
        top, bottom = slices.images[0, 4, 10, 30], slices.images[4, 4, 30, 30]
        points = [crop_points(frame, slices.options) for frame in slices.frames if frame is not None]
        high, low = points[0][10, 30, 2], points[4][30, 30, 2]
        height = low + (slices.images - bottom) / (top - bottom) * (high - low)
        for level in (1, 2, 3):
            assert np.allclose(height[level, 4], points[level][..., 2], atol=0.3)
    assert slices.levels == LEVELS


def test_positions_are_millimetres_to_the_patients_left() -> None:
    for order in (1, -1):
        volume = _volume(lambda p: p[..., 0])
        turned = Volume(
            volume.array[::order], Grid(volume.grid.origins_mm[::order], volume.grid.row_step_mm, volume.grid.column_step_mm, *volume.grid.shape[1:])
        )
        slices = cut_slices(turned, STRAIGHT)
        assert slices.position_mm[2].tolist() == pytest.approx([-16, -12, -8, -4, 0, 4, 8, 12, 16])
        brightness = slices.images[2].mean(axis=(1, 2))
        assert (np.diff(brightness) > 0).all()  # brighter to the left


def test_any_number_of_slices_and_a_mask_for_missing_levels() -> None:
    for count in (1, 3, 15):
        slices = cut_slices(_volume(lambda p: p[..., 1], slices=count), STRAIGHT)
        assert slices.present.sum(axis=1).tolist() == [min(count, 9)] * 5
    few = {level: STRAIGHT[level] for level in (Level.L3_L4, Level.L4_L5)}
    slices = cut_slices(_volume(lambda p: p[..., 1]), few)
    assert slices.present.any(axis=1).tolist() == [False, False, True, True, False]
    assert slices.images[0].max() == 0
    assert [frame is None for frame in slices.frames] == [True, True, False, False, True]


def test_levels_outside_the_image_are_left_out_and_too_few_are_rejected() -> None:
    far = {**STRAIGHT, Level.L5_S1: np.array([2.0, -10.0, -300.0])}
    assert Level.L5_S1 not in cut_slices(_volume(lambda p: p[..., 1]), far).levels
    with pytest.raises(InputError, match="at least 2"):
        cut_slices(_volume(lambda p: p[..., 1]), {Level.L3_L4: STRAIGHT[Level.L3_L4]})
    with pytest.raises(InputError, match="no sagittal slice"):
        cut_slices(_volume(lambda p: p[..., 1]), {level: point + 900 for level, point in STRAIGHT.items()})


def test_the_whole_study_has_one_grey_scale() -> None:
    slices = cut_slices(_volume(lambda p: 100 + 3 * p[..., 1]), STRAIGHT)
    seen = slices.images[slices.present > 0]
    assert np.percentile(seen, 2) == pytest.approx(0, abs=1e-3)
    assert np.percentile(seen, 98) == pytest.approx(1, abs=1e-3)
    doubled = cut_slices(_volume(lambda p: 7 + 2 * (100 + 3 * p[..., 1])), STRAIGHT)
    assert np.allclose(doubled.images, slices.images, atol=1e-4)


def test_options_place_the_middle() -> None:
    options = CropOptions(rows=21, columns=30, pixel_mm=2.0, ahead_mm=20.0)
    frame = level_frames(STRAIGHT, np.array([1.0, 0, 0]))[Level.L3_L4]
    points = crop_points(frame, options)
    assert points.shape == (21, 30, 3)
    assert np.allclose(points[10, 10], frame.center_mm)
