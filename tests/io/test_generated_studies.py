"""Studies as hospitals send them, generated: a right result, or a refusal or warning that gives the true reason; never something silently wrong."""

import numpy as np
import pytest
from dicom_factory import axial_matrix, sagittal_matrix, save, stack_datasets, write_stack
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from smooth_body import brightness, slices

from lumbar.domain.stack_choice import choose_stacks
from lumbar.domain.study import Plane, Role
from lumbar.errors import InputError
from lumbar.io.read import read_study

FEW = settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
SHAPE = (12, 40, 40)
SAGITTAL = sagittal_matrix(slice_mm=4.4, pixel_mm=4.0, origin=(-24, -70, 80))
AXIAL = axial_matrix(slice_mm=4.4, pixel_mm=4.0, origin=(-80, -70, -60))


@pytest.fixture
def folder(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("study")


def turned(matrix: np.ndarray, degrees: float, axis: int) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.eye(4)
    i, j = [k for k in range(3) if k != axis]
    rotation[i, i], rotation[i, j], rotation[j, i], rotation[j, j] = c, -s, s, c
    return rotation @ matrix


# Kind 1: blocks as series of their own, some of them repeated.
@FEW
@given(st.integers(1, 4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_every_block_is_used_and_no_place_twice(folder, blocks, repeated):
    root, copies = folder(), 0
    for block in range(blocks):
        matrix = axial_matrix(slice_mm=4.0, pixel_mm=4.0, origin=(-80, -70, 36.0 * block))
        write_stack(root / f"{block}", slices(matrix, (6, 40, 40)), matrix, SeriesInstanceUID=f"1.1.{block}")
        if repeated[block]:
            copies += 1
            write_stack(root / f"{block}r", slices(matrix, (6, 40, 40), contrast=3), matrix, SeriesInstanceUID=f"1.2.{block}")
    choice = choose_stacks(read_study(root).with_role(Role.AXIAL_T2))
    assert (len(choice.used), len(choice.left_out)) == (blocks, copies)
    assert bool(choice.note) == bool(copies)


@FEW
@given(st.integers(2, 4), st.integers(0, 99))
def test_indistinguishable_images_at_one_position_are_rejected_unless_they_are_repeats(folder, count, seed):
    rng = np.random.default_rng(seed)
    unknown, repeated = folder(), folder()
    for k in range(count):
        other = np.rint(slices(AXIAL, SHAPE, contrast=k * (k + 3) + 1)).astype(np.uint16)
        same = (slices(AXIAL, SHAPE) + rng.integers(0, 12, SHAPE)).astype(np.uint16)
        for root, array in ((unknown, other), (repeated, same)):
            for n, dataset in enumerate(stack_datasets(array, AXIAL)):
                dataset.InstanceNumber = k * 100 + n
                save(dataset, root / f"{k}-{n}.dcm")
    (series,) = read_study(unknown).series
    assert not series.usable
    assert f"{count} images at every position" in series.reason
    (series,) = read_study(repeated).series
    assert series.usable
    assert series.instances == len(slices(AXIAL, SHAPE))
    assert any("repeats" in text for text in series.warnings)


@FEW
@given(st.floats(0.3, 0.85), st.integers(4, 9))
def test_parallel_blocks_that_meet_are_two_stacks(folder, step, count):
    root = folder()
    for block in range(2):
        matrix = axial_matrix(slice_mm=4.0, pixel_mm=4.0, origin=(-80, -70, 4.0 * block * (count - 1 + step)))
        for dataset in stack_datasets(slices(matrix, (count, 40, 40)), matrix):
            dataset.InstanceNumber += block * count
            save(dataset, root / f"{dataset.InstanceNumber:03}.dcm")
    (series,) = read_study(root).series
    assert [stack.volume.grid.shape[0] for stack in series.stacks] == [count, count]
    assert all(stack.volume.grid.even for stack in series.stacks)
    assert not series.warnings


# Kind 5: slices turned a little against each other.
@FEW
@given(st.sampled_from(["alternating", "drifting", "thirds", "random"]), st.floats(0.02, 0.45), st.integers(0, 99))
def test_slices_turned_by_little_stay_one_stack(folder, how, degrees, seed):
    rng = np.random.default_rng(seed)
    root = folder()
    angles = {
        "alternating": [degrees * (k % 2) for k in range(SHAPE[0])],
        "drifting": [degrees * k for k in range(SHAPE[0])],
        "thirds": [degrees * (k // 4) for k in range(SHAPE[0])],
        "random": rng.uniform(0, degrees, SHAPE[0]).tolist(),
    }[how]
    for k, (dataset, angle) in enumerate(zip(stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL), angles, strict=True)):
        middle = SAGITTAL[:3, :3] @ [k, 19.5, 19.5] + SAGITTAL[:3, 3]
        own = turned(SAGITTAL, angle, axis=2)
        row, column = own[:3, 1], own[:3, 2]
        dataset.ImageOrientationPatient = [f"{v:.8f}" for v in (*(column / 4), *(row / 4))]
        dataset.ImagePositionPatient = [f"{v:.6f}" for v in middle - 19.5 * (row + column)]
        save(dataset, root / f"{k}.dcm")
    (series,) = read_study(root).series
    assert [len(stack.instance_numbers) for stack in series.stacks] == [SHAPE[0]]
    spread = max(abs(a - np.mean(angles)) for a in angles)
    assert any("turned against each other" in text for text in series.warnings) == (spread > 0.15) or 0.13 < spread < 0.17
    grid = series.stacks[0].volume.grid
    expected = [SAGITTAL[:3, :3] @ [k, 19.5, 19.5] + SAGITTAL[:3, 3] for k in range(SHAPE[0])]
    for point in grid.points_mm([[k, 19.5, 19.5] for k in range(SHAPE[0])]):
        assert min(np.linalg.norm(point - other) for other in expected) < 0.01


# Kind 7: blocks on both sides of 45 degrees, and few of them.
@FEW
@given(st.lists(st.floats(0, 55), min_size=3, max_size=5), st.integers(3, 6))
def test_axial_blocks_stay_axial_however_steep_the_last_one_is(folder, tilts, count):
    root = folder()
    tilts = [*sorted(tilts)[:-1], max(*tilts, 20.0)]
    tilts[0] = min(tilts[0], 30.0)
    tilts[1] = min(tilts[1], 40.0)  # most slices lie on this side
    number = 0
    for k, drawn in enumerate(tilts):
        tilt = min(drawn, 44.0) if 1 < k < len(tilts) - 1 else drawn
        matrix = axial_matrix(slice_mm=4.0, pixel_mm=4.0, origin=(-80, -70, -60.0 * k), tilt_degrees=tilt)
        for dataset in stack_datasets(slices(matrix, (count, 40, 40)), matrix):
            number += 1
            dataset.InstanceNumber = number
            save(dataset, root / f"{number:03}.dcm")
    study = read_study(root)
    assert [(s.plane, s.role, s.instances) for s in study.series] == [(Plane.AXIAL, Role.AXIAL_T2, number)]


# Kind 8: broken positions.
@FEW
@given(st.sampled_from(["same", "zero", "metres", "centimetres", "micrometres", "shuffled", "as text", "missing"]), st.integers(0, 99))
def test_broken_positions_give_one_clear_reason(folder, how, seed):
    root = folder()
    datasets = stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL)
    positions = [np.array([float(v) for v in one.ImagePositionPatient]) for one in datasets]
    order = np.random.default_rng(seed).permutation(len(datasets))
    while np.abs(np.diff(order)).min() == 1 and how == "shuffled" and (np.abs(np.diff(order)) == 1).mean() > 0.2:
        order = np.roll(order[::-1], 3)[np.random.default_rng(seed + 100).permutation(len(order))]
    for k, dataset in enumerate(datasets):
        new = {"same": positions[0], "zero": 0 * positions[0], "metres": positions[k] / 1000, "centimetres": positions[k] / 10,
               "micrometres": positions[k] * 1000, "shuffled": positions[order[k]],
               "as text": positions[sorted(range(len(datasets)), key=lambda n: str(n + 1))[k]], "missing": None}[how]  # fmt: skip
        if new is None:
            del dataset.ImagePositionPatient
        else:
            dataset.ImagePositionPatient = [f"{v:.6f}" for v in new]
        save(dataset, root / f"{k}.dcm")
    if how == "missing":
        with pytest.raises(InputError, match="no image position"):
            read_study(root)
        return
    if how == "micrometres":  # rejected slice by slice, or as a series
        try:
            (series,) = read_study(root).series
        except InputError as error:
            assert "image position" in str(error)
            return
    (series,) = read_study(root).series
    assert not series.usable
    assert series.role is Role.OTHER
    assert "image position" in series.reason
    assert sum("was not used" in text for text in series.warnings) == 1


@FEW
@given(st.booleans(), st.booleans(), st.integers(0, 99))
def test_sound_series_are_read_without_a_word(folder, reverse, axial, seed):
    root = folder()
    matrix = turned(AXIAL if axial else SAGITTAL, float(np.random.default_rng(seed).uniform(-12, 12)), axis=seed % 3)
    datasets = stack_datasets(slices(matrix, SHAPE), matrix)
    for k, dataset in enumerate(datasets):
        dataset.InstanceNumber = SHAPE[0] - k if reverse else k + 1
        save(dataset, root / f"{k * 7 % 12}.dcm")
    study = read_study(root)
    assert [(s.usable, s.instances, s.warnings) for s in study.series] == [(True, SHAPE[0], ())]
    assert study.warnings == ()


def test_slices_that_are_alike_on_both_sides_are_in_order(folder):
    """A body that is its own mirror image: the slice that resembles one most may lie on the other side. With noise as strong as here, 1 in 100 is refused."""
    rng = np.random.default_rng(0)
    cases = [(int(rng.integers(13, 22)), float(rng.choice([3.0, 4.4, 6.0])), int(rng.integers(100))) for _ in range(30)]
    read = [mirrored_study(folder(), *case) for case in cases]
    assert sum(found != (True, count, ()) for found, (count, _, _) in zip(read, cases, strict=True)) <= 1


def mirrored_study(root, count, apart_mm, seed):
    """Whether a mirror-symmetric body was read from its slices, the number of its instances, and warnings."""
    half = np.array([(count - 1) / 2 * apart_mm, 0, 0])
    matrix = sagittal_matrix(slice_mm=apart_mm, pixel_mm=4.0, origin=(-half[0], -70, 80))
    grid = np.moveaxis(np.indices((count, 40, 40)), 0, -1) @ matrix[:3, :3].T + matrix[:3, 3]
    both = brightness(grid, seed) + brightness(grid * [-1, 1, 1], seed)
    noise = np.random.default_rng(seed).normal(0, 20, both.shape)
    for k, dataset in enumerate(stack_datasets(np.rint(both / 2 + noise).astype(np.uint16), matrix)):
        save(dataset, root / f"{k}.dcm")
    (series,) = read_study(root).series
    return series.usable, series.instances, series.warnings
