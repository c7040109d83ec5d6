"""Decoding: the stored numbers of slices as an array, with what the header says about how they are stored undone."""

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import UID

from lumbar.io.dicom_files import quiet_pydicom
from lumbar.io.header_values import integer, text
from lumbar.io.slices import Refused, SliceHeader

_GIB = 2**30
_LARGEST_FILE_BYTES = 2 * _GIB  # decoded; above that a header is more likely wrong than a scan that large


def decode(slices: Sequence[SliceHeader], refuse: Callable[[str, str], None]) -> list[tuple[SliceHeader, NDArray[Any]]]:
    """Stored pixels (rows, columns) of each slice, without those that cannot be decoded, which go to `refuse(file name, why)`."""
    decoded: list[tuple[SliceHeader, NDArray[Any]]] = []
    read = lru_cache(maxsize=1)(_frames)  # the frames of one file follow each other
    with quiet_pydicom():
        for one in slices:
            try:
                frames = read(os.fspath(one.path))
                decoded.append((one, _frame(frames, one)))
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
    picture = frames if one.frame is None and frames.ndim == 2 else frames.reshape(-1, one.rows, one.columns)[one.frame or 0]
    if picture.shape != (one.rows, one.columns):
        raise Refused("its pixels do not fit the rows and columns of its header")
    if picture.dtype.kind == "f" and not np.isfinite(picture).all():
        raise Refused("some of its pixels are not numbers")
    return picture


def _frames(path: str) -> NDArray[Any]:
    """All frames of a file as stored numbers: bits that are not used cleared, sign extended, MONOCHROME1 turned so that bright is bright."""
    dataset = pydicom.dcmread(path, force=True)
    _check(dataset)
    pixels: NDArray[Any] = dataset.pixel_array
    if pixels.dtype.kind == "f":
        return -pixels if _inverted(dataset) else pixels
    allocated, stored = 8 * pixels.dtype.itemsize, integer(dataset.get("BitsStored")) or 8 * pixels.dtype.itemsize
    high = integer(dataset.get("HighBit"))
    high = stored - 1 if high is None else high
    if not 1 <= stored <= high + 1 <= allocated:
        raise Refused(f"it claims {stored} bits of {allocated} with the highest at {high}, which cannot be")
    if stored < allocated and integer(dataset.get("BitsAllocated")) == allocated:
        pixels = (pixels << (allocated - 1 - high)) >> (allocated - stored)
    if _inverted(dataset):
        pixels = -1 - pixels if pixels.dtype.kind == "i" else (2**stored - 1) - pixels
    return pixels


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
    # Messages of decoders speak of lengths and codecs, never of header values; the first line says enough.
    if not isinstance(error, Exception):
        return "the compressed data are damaged"
    words = str(error).splitlines()
    return f"{type(error).__name__}: {words[0][:160]}" if words and words[0] else type(error).__name__
