"""Every transfer syntax gives back the very numbers that were stored, with the decoders of the core install alone."""

from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from dicom_factory import sagittal_matrix, save, set_pixels, slice_dataset, stack_datasets
from PIL import Image
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from lumbar.io.read import read_study

PLACE = ((0, 0, 0), (0, 1, 0), (0, 0, -1))
JPEG = {
    "JPEG baseline": (gdcm.TransferSyntax.JPEGBaselineProcess1, "1.2.840.10008.1.2.4.50"),
    "JPEG lossless SV1": (gdcm.TransferSyntax.JPEGLosslessProcess14_1, "1.2.840.10008.1.2.4.70"),
    "JPEG lossless": (gdcm.TransferSyntax.JPEGLosslessProcess14, "1.2.840.10008.1.2.4.57"),
    "JPEG-LS": (gdcm.TransferSyntax.JPEGLSLossless, "1.2.840.10008.1.2.4.80"),
    "JPEG 2000": (gdcm.TransferSyntax.JPEG2000Lossless, "1.2.840.10008.1.2.4.90"),
}
CORE_DECODERS = {"gdcm", "pillow", "pydicom"}


def image(dtype: str, bits: int) -> np.ndarray:
    """Smooth and noisy halves that use the whole range of `bits`."""
    rng = np.random.default_rng(4)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dtype.startswith("i") else (0, 2**bits - 1)
    values = rng.integers(low, high, (32, 40), endpoint=True)
    values[:, :20] = np.linspace(low, high, 32 * 20).reshape(32, 20)
    values[0, :2] = low, high
    return values.astype(dtype)


def read_only_slice(path: Path) -> np.ndarray:
    return read_study(path).series[0].stacks[0].volume.array[0]


KINDS = [("uint8", 8), ("uint16", 12), ("uint16", 16), ("int16", 16), ("int16", 12)]


@pytest.mark.parametrize(("dtype", "bits"), KINDS)
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_uncompressed_and_rle_are_exact(tmp_path, syntax, dtype, bits):
    pixels = image(dtype, bits)
    dataset = slice_dataset(pixels, *PLACE)
    set_pixels(dataset, pixels, bits)
    if syntax is RLELossless:
        dataset.compress(RLELossless)
    elif syntax is ExplicitVRBigEndian:
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(read_only_slice(save(dataset, tmp_path / "one")), pixels)


def encoded(tmp_path: Path, pixels: np.ndarray, bits: int, name: str) -> Path:
    dataset = slice_dataset(pixels, *PLACE)
    set_pixels(dataset, pixels, bits)
    plain = save(dataset, tmp_path / "plain.dcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(JPEG[name][0]))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(tmp_path / "encoded.dcm"))
    assert writer.Write()
    plain.unlink()
    path = tmp_path / "encoded.dcm"
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEG[name][1]
    return path


@pytest.fixture
def core_decoders_only(monkeypatch):
    for _, uid in JPEG.values():
        decoder = get_decoder(pydicom.uid.UID(uid))
        monkeypatch.setattr(decoder, "_available", {name: call for name, call in decoder._available.items() if name in CORE_DECODERS})


@pytest.mark.usefixtures("core_decoders_only")
@pytest.mark.parametrize(("dtype", "bits"), KINDS)
@pytest.mark.parametrize("name", [name for name in JPEG if name != "JPEG baseline"])
def test_lossless_jpeg_is_exact(tmp_path, name, dtype, bits):
    pixels = image(dtype, bits)
    np.testing.assert_array_equal(read_only_slice(encoded(tmp_path, pixels, bits, name)), pixels)


@pytest.mark.usefixtures("core_decoders_only")
def test_baseline_jpeg_is_what_pillow_decodes(tmp_path):
    ramp = np.add.outer(np.arange(32) * 4, np.arange(40) * 2).astype(np.uint8)
    path = encoded(tmp_path, ramp, 8, "JPEG baseline")
    stream = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    (tmp_path / "frame.jpg").write_bytes(stream)
    theirs = np.asarray(Image.open(tmp_path / "frame.jpg"))
    (tmp_path / "frame.jpg").unlink()
    assert np.abs(read_only_slice(path) - theirs.astype(float)).max() <= 1  # two decoders may round differently
    assert np.abs(theirs.astype(float) - ramp).max() < 20


def test_slope_and_intercept_apply_slice_by_slice(tmp_path):
    pixels = image("uint16", 12)
    first = slice_dataset(pixels, (0, 0, 0), (0, 1, 0), (0, 0, -1), RescaleSlope="2", RescaleIntercept="-5")
    second = slice_dataset(pixels, (4, 0, 0), (0, 1, 0), (0, 0, -1), number=2, RescaleSlope="0.25", RescaleIntercept="0")
    save(first, tmp_path / "a")
    save(second, tmp_path / "b")
    stack = read_study(tmp_path).series[0].stacks[0]
    by_number = dict(zip(stack.instance_numbers, stack.volume.array, strict=True))
    np.testing.assert_allclose(by_number[1], pixels * 2.0 - 5)
    np.testing.assert_allclose(by_number[2], pixels * 0.25)


@pytest.mark.parametrize(("dtype", "bits"), [("uint16", 12), ("int16", 16), ("uint8", 8)])
def test_monochrome1_is_turned_so_that_bright_is_bright(tmp_path, dtype, bits):
    pixels = image(dtype, bits)
    dataset = slice_dataset(pixels, *PLACE)
    set_pixels(dataset, pixels, bits)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    got = read_only_slice(save(dataset, tmp_path / "one"))
    np.testing.assert_array_equal(got, float(pixels.max()) - pixels.astype(float))  # the darkest pixel is zero


def test_bits_above_the_stored_ones_are_no_part_of_the_image(tmp_path):
    pixels = image("uint16", 12)
    dataset = slice_dataset(pixels, *PLACE)
    set_pixels(dataset, pixels | 0x8000, 12)  # an overlay in the topmost bit, as old scanners wrote it
    np.testing.assert_array_equal(read_only_slice(save(dataset, tmp_path / "one")), pixels)


def test_pixels_that_are_not_square_keep_their_two_sizes(tmp_path):
    for dataset in stack_datasets(np.zeros((3, 6, 8), np.uint16), sagittal_matrix()):
        dataset.PixelSpacing = ["0.9", "0.45"]
        save(dataset, tmp_path / f"{dataset.InstanceNumber}")
    grid = read_study(tmp_path).series[0].stacks[0].volume.grid
    assert grid.spacing_mm == pytest.approx((4.0, 0.9, 0.45))
    np.testing.assert_allclose(grid.row_step_mm, [0, 0, -0.9])  # DICOM's first number is the distance between rows
    np.testing.assert_allclose(grid.column_step_mm, [0, 0.45, 0])
