"""Decoding of the stored values of slices to an array, independent of their encoding."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import UID, RLELossless

from lumbar.io.dicom_files import quiet_pydicom
from lumbar.io.header_values import integer, text
from lumbar.io.slices import Refused, SliceHeader

_GIB = 2**30
_FAR_SMOOTHER = 0.6  # ratio of roughness
_LARGEST_FILE_BYTES = 2 * _GIB  # decoded; above that a header is more likely wrong than a scan that large


def decode(slices: Sequence[SliceHeader], refuse: Callable[[str, str], None]) -> list[tuple[SliceHeader, NDArray[Any]]]:
    """Stored pixels (rows, columns) of each slice, without those that cannot be decoded, which go to `refuse(file name, why)`."""
    decoded: list[tuple[SliceHeader, NDArray[Any]]] = []
    read = lru_cache(maxsize=1)(_frames)  # the frames of one file follow each other
    with quiet_pydicom():
        for one in slices:
            try:
                frames, note = read(os.fspath(one.path))
                decoded.append((replace(one, pixel_note=note) if note else one, _frame(frames, one)))
            except Refused as refusal:
                refuse(one.name, str(refusal))
            except BaseException as error:  # decoders raise nearly anything on damaged data; the RLE one, written in Rust, panics outside of Exception
                if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                    raise
                refuse(one.name, f"its pixels cannot be decoded ({_cause(error)})")
    return decoded


def scaled(stored: NDArray[Any], one: SliceHeader) -> NDArray[np.float32]:
    """Real values of stored pixels: slope and intercept applied."""
    values = stored.astype(np.float32)
    if (one.slope, one.intercept) != (1.0, 0.0):
        values = values * np.float32(one.slope) + np.float32(one.intercept)
    return values


def _frame(frames: NDArray[Any], one: SliceHeader) -> NDArray[Any]:
    image = frames if one.frame is None and frames.ndim == 2 else frames.reshape(-1, one.rows, one.columns)[one.frame or 0]
    if image.shape != (one.rows, one.columns):
        raise Refused("its pixels do not fit the rows and columns of its header")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise Refused("some of its pixels are not numbers")
    return image


def _frames(path: str) -> tuple[NDArray[Any], str]:
    """Result of `_stored` for a file, and a warning about it."""
    dataset = pydicom.dcmread(path, force=True)
    _check(dataset)
    return _stored(dataset)


def _stored(dataset: pydicom.Dataset) -> tuple[NDArray[Any], str]:
    """All frames of a file as stored numbers: bits that are not used cleared, sign extended, MONOCHROME1 turned so that bright is bright."""
    declared, high = integer(dataset.get("BitsStored")), integer(dataset.get("HighBit"))
    if _holds_all_bits(dataset):  # the decoder would cut off what lies beyond BitsStored
        dataset.BitsStored = dataset.BitsAllocated
        dataset.HighBit = dataset.BitsAllocated - 1
    pixels: NDArray[Any] = dataset.pixel_array
    if pixels.dtype.kind == "f":
        return (-pixels if _inverted(dataset) else pixels), ""
    allocated, stored = 8 * pixels.dtype.itemsize, declared or 8 * pixels.dtype.itemsize
    high = stored - 1 if high is None else high
    if not 1 <= stored <= high + 1 <= allocated:
        raise Refused(f"it claims {stored} bits of {allocated} with the highest at {high}, which cannot be")
    if stored < allocated and integer(dataset.get("BitsAllocated")) != allocated:
        stored, high = allocated, allocated - 1
    pixels, note = _interpreted(pixels, stored, high)
    if _inverted(dataset):
        top = (2**stored - 1) if not note else int(pixels.max())
        pixels = -1 - pixels if pixels.dtype.kind == "i" else top - pixels
    return pixels, note


def _holds_all_bits(dataset: pydicom.Dataset) -> bool:
    """Whether values are uncompressed, so that bits beyond BitsStored can be checked."""
    stored, allocated = integer(dataset.get("BitsStored")), integer(dataset.get("BitsAllocated"))
    plain = not dataset.file_meta.TransferSyntaxUID.is_encapsulated or dataset.file_meta.TransferSyntaxUID == RLELossless
    return "PixelData" in dataset and plain and allocated in (8, 16, 32) and stored is not None and 1 <= stored < allocated


def _interpreted(pixels: NDArray[Any], stored: int, high: int) -> tuple[NDArray[Any], str]:
    """Stored numbers as the header declares them, unless another way to read the same bits gives far smoother images: then the header is wrong."""
    allocated = 8 * pixels.dtype.itemsize
    declared = (pixels << (allocated - 1 - high)) >> (allocated - stored) if stored < allocated else pixels
    width = pixels.dtype.itemsize
    others = {f"unsigned numbers of {allocated} bits": pixels.view(f"u{width}"), f"signed numbers of {allocated} bits": pixels.view(f"i{width}")}
    own = _roughness(declared)
    best, note = declared, ""
    for name, values in others.items():
        if not np.array_equal(values, declared) and _roughness(values) < _FAR_SMOOTHER * min(own, _roughness(best)):
            best = values
            note = f"its pixels fit {name}, not the {stored} {'signed' if pixels.dtype.kind == 'i' else 'unsigned'} bits of the header, and were read so"
    return best, note


def _roughness(values: NDArray[Any]) -> float:
    """Mean step between neighbours, in spreads of the values: numbers that were cut off or have the wrong sign leap."""
    wide = values.astype(np.float32)
    spread = float(wide.std())
    return float(np.abs(np.diff(wide, axis=-1)).mean()) / spread if spread > 0 else 0.0


def _check(dataset: pydicom.Dataset) -> None:
    if "PixelData" not in dataset and "FloatPixelData" not in dataset and "DoubleFloatPixelData" not in dataset:
        raise Refused("it holds no pixels")
    if "PixelData" in dataset and not dataset.PixelData:
        raise Refused("its pixels are missing")
    size = (integer(dataset.get("Rows")) or 0) * (integer(dataset.get("Columns")) or 0) * (integer(dataset.get("NumberOfFrames")) or 1)
    if size * (integer(dataset.get("BitsAllocated")) or 16) // 8 > _LARGEST_FILE_BYTES:
        raise Refused("its header announces more than 2 GiB of pixels")
    if "TransferSyntaxUID" not in dataset.file_meta:
        dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2" if dataset.is_implicit_VR else "1.2.840.10008.1.2.1")


def _inverted(dataset: pydicom.Dataset) -> bool:
    return text(dataset.get("PhotometricInterpretation")) == "MONOCHROME1"


def _cause(error: BaseException) -> str:
    # Messages of decoders contain lengths and codecs, never header values; the first line suffices.
    if not isinstance(error, Exception):
        return "the compressed data are damaged"
    words = str(error).splitlines()
    return f"{type(error).__name__}: {words[0][:160]}" if words and words[0] else type(error).__name__
