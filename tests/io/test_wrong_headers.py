"""Pixels that contradict their header, and scales and directions that no scanner writes."""

import numpy as np
import pytest
from dicom_factory import axial_matrix, sagittal_matrix, save, set_pixels, stack_datasets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smooth_body import slices

from lumbar.domain.study import Series
from lumbar.errors import InputError
from lumbar.io.read import read_study

FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SHAPE = (12, 40, 40)
SAGITTAL = sagittal_matrix(slice_mm=4.4, pixel_mm=4.0, origin=(-24, -70, 80))
BODY = slices(SAGITTAL, SHAPE).astype(float) - 200  # 0 to about 1300


@pytest.fixture
def folder(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("study")


def read(folder, array: np.ndarray, bits: int, signed: bool) -> tuple[np.ndarray, Series]:
    """The values read of 16-bit numbers `array` under a header that declares `bits`, signed or not, in the order of `array`."""
    root = folder()
    for number, dataset in enumerate(stack_datasets(array, SAGITTAL)):
        set_pixels(dataset, array[number], bits)
        dataset.PixelRepresentation = int(signed)
        save(dataset, root / f"{number:03}.dcm")
    (series,) = read_study(root).series
    order = np.argsort(series.stacks[0].instance_numbers)
    return series.stacks[0].volume.array[order], series


@FEW
@given(st.floats(50_000, 65_000), st.booleans())
def test_unsigned_numbers_said_to_be_signed(folder, top, signed):
    values = (BODY / BODY.max() * top).astype(np.uint16)
    found, series = read(folder, values, 16, signed)
    np.testing.assert_array_equal(found, values)
    assert bool(series.warnings) == signed


@FEW
@given(st.integers(150, 400), st.booleans())
def test_signed_numbers_said_to_be_unsigned(folder, below, signed):
    values = (BODY - below).astype(np.int16)
    found, series = read(folder, values, 16, signed)
    np.testing.assert_array_equal(found, values)
    assert bool(series.warnings) == (not signed)


@FEW
@given(st.floats(6, 40))
def test_values_beyond_the_bits_of_the_header(folder, factor):
    values = np.clip(BODY * factor, 0, 65535).astype(np.uint16)
    found, series = read(folder, values, 12, signed=False)
    np.testing.assert_array_equal(found, values)
    assert any("12 unsigned bits" in text for text in series.warnings)


@FEW
@given(st.integers(0, 99), st.sampled_from(["rubbish", "overlay"]))
def test_what_lies_above_the_declared_bits_is_no_part_of_the_image(folder, seed, what):
    rng = np.random.default_rng(seed)
    values = np.clip(BODY * 3, 0, 4095).astype(np.uint16)
    above = np.zeros(SHAPE, np.uint16)
    if what == "rubbish":
        above = rng.integers(0, 16, SHAPE).astype(np.uint16) << 12
    else:
        above[:, 3:8, 3:20] = 0x8000
    found, series = read(folder, values | above, 12, signed=False)
    np.testing.assert_array_equal(found, values)
    assert not series.warnings


def test_bright_text_does_not_turn_unsigned_numbers_into_signed_ones(folder):
    values = BODY.astype(np.uint16)
    values[:, 2:6, 2:30:2] = 65535
    found, _ = read(folder, values, 16, signed=False)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("numbered", [False, True])
def test_text_is_named_whatever_its_brightness(folder, share, numbered):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 30, SHAPE).astype(np.uint16)
    values[:, 12:, :] += BODY[:, 12:, :].astype(np.uint16)
    for number in range(SHAPE[0]):
        values[number, 3:7, 2:34:3] = int(share * values[number].max())
        if numbered:
            values[number, 3:7, 34 + number % 4] = int(share * values[number].max())
    _, series = read(folder, values, 16, signed=False)
    assert any("burnt into" in text for text in series.warnings)
    clean = rng.integers(0, 30, SHAPE).astype(np.uint16)
    clean[:, 12:, :] += BODY[:, 12:, :].astype(np.uint16)
    _, series = read(folder, clean, 16, signed=False)
    assert not series.warnings


@pytest.mark.parametrize("slope", ["1e300", "1e-300", "-1e20"])
def test_a_scale_that_no_image_has_is_refused(tmp_path, slope):
    for number, dataset in enumerate(stack_datasets(slices(SAGITTAL, SHAPE), SAGITTAL, RescaleSlope=slope, RescaleIntercept="0")):
        save(dataset, tmp_path / f"{number}.dcm")
    with pytest.raises(InputError, match="rescaling"):
        read_study(tmp_path)


@FEW
@given(st.floats(0.4, 0.9), st.sampled_from([0, 1, 2]), st.booleans())
def test_slices_turned_in_any_direction_are_named(folder, degrees, axis, axial):
    matrix = axial_matrix(slice_mm=4.4, pixel_mm=4.0, origin=(-80, -70, -60)) if axial else SAGITTAL
    root = folder()
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.eye(4)
    i, j = [k for k in range(3) if k != axis]
    rotation[i, i], rotation[i, j], rotation[j, i], rotation[j, j] = c, -s, s, c
    for half, place in enumerate((matrix, rotation @ matrix)):
        for dataset in stack_datasets(slices(place, SHAPE), place)[half::2]:
            save(dataset, root / f"{dataset.InstanceNumber}.dcm")
    (series,) = read_study(root).series
    assert len(series.stacks) == 1
    assert any("turned against each other" in text for text in series.warnings)
