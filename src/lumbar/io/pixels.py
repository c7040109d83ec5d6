"""Decoding of the stored values of slices to an array, independent of their encoding."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import UID, RLELossless

from lumbar.io.dicom_files import quiet_pydicom
from lumbar.io.header_values import integer, text
from lumbar.io.padding import without_padding
from lumbar.io.quantiles import quantiles
from lumbar.io.slices import Refused, SliceHeader

# What decoding needs; the other elements were read with the header.
_PIXEL_TAGS: list[str] = [
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "FloatPixelData", "DoubleFloatPixelData", "PixelData"),
]
_GIB = 2**30
_FAR_SMOOTHER = 0.6  # ratio of roughness
_HALF = 0.4  # of the range of the numbers, about half
_FEWEST_LEAPS = 20  # pairs of neighbours
_MENDED = 0.9  # share of them that the other reading must do away with
_FEWEST_STEPS = 8  # different values on each side of them
_LOOKED_AT = 8  # slices by which the reading of bits is judged
_LARGEST_FILE_BYTES = 2 * _GIB  # decoded; above that a header is more likely wrong than a scan that large


@dataclass(frozen=True, eq=False)
class _Stored:
    """Stored numbers of one frame or of all frames of a file, as wide as they are allocated."""

    values: NDArray[Any]
    bits: int  # that the header declares as used,
    high: int  # and the highest of them
    inverted: bool  # MONOCHROME1: high is dark
    padding: int | None = None  # value of pixels outside the image

    @property
    def layout(self) -> tuple[str, int, int]:
        """What the header declares of the numbers."""
        return self.values.dtype.str, self.bits, self.high


def decode(slices: Sequence[SliceHeader], refuse: Callable[[str, str], None]) -> list[tuple[SliceHeader, NDArray[Any]]]:
    """Stored pixels (rows, columns) of each slice, without those that cannot be decoded, which go to `refuse(file name, why)`.

    Which bits count is decided for all slices of a kind together, where their numbers contradict the header.
    """
    found: list[tuple[SliceHeader, _Stored]] = []
    read = lru_cache(maxsize=1)(_frames)  # the frames of one file follow each other
    with quiet_pydicom():
        for one in slices:
            try:
                frames = read(os.fspath(one.path))
                found.append((one, replace(frames, values=_frame(frames.values, one))))
            except Refused as refusal:
                refuse(one.name, str(refusal))
            except BaseException as error:  # decoders raise nearly anything on damaged data; the RLE one, written in Rust, panics outside of Exception
                if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                    raise
                refuse(one.name, f"its pixels cannot be decoded ({_cause(error)})")
    layouts = {layout: _reading([stored for _, stored in found if stored.layout == layout]) for layout in dict.fromkeys(one.layout for _, one in found)}
    decoded = []
    for one, stored in found:
        way, note = layouts[stored.layout]
        decoded.append((replace(one, pixel_note=note) if note else one, without_padding(way(stored), stored.padding)))
    tops = {layout: max(float(p.max()) for (_, p), (_, s) in zip(decoded, found, strict=True) if s.layout == layout) for layout in _layouts_inverted(found)}
    return [(one, _turned_over(pixels, tops[stored.layout]) if stored.inverted else pixels) for (one, pixels), (_, stored) in zip(decoded, found, strict=True)]


def _layouts_inverted(found: Sequence[tuple[SliceHeader, _Stored]]) -> set[tuple[str, int, int]]:
    return {stored.layout for _, stored in found if stored.inverted}


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


def _frames(path: str) -> _Stored:
    """All frames of a file."""
    dataset = pydicom.dcmread(path, force=True, specific_tags=_PIXEL_TAGS)
    _check(dataset)
    declared, high = integer(dataset.get("BitsStored")), integer(dataset.get("HighBit"))
    if _holds_all_bits(dataset):  # the decoder would cut off what lies beyond BitsStored
        dataset.BitsStored = dataset.BitsAllocated
        dataset.HighBit = dataset.BitsAllocated - 1
    pixels: NDArray[Any] = dataset.pixel_array
    allocated = 8 * pixels.dtype.itemsize
    if pixels.dtype.kind == "f":
        return _Stored(pixels, allocated, allocated - 1, _inverted(dataset))
    padding = integer(dataset.get("PixelPaddingValue"))
    stored = declared or allocated
    high = stored - 1 if high is None else high
    if not 1 <= stored <= high + 1 <= allocated:
        raise Refused(f"it claims {stored} bits of {allocated} with the highest at {high}, which cannot be")
    if stored < allocated and integer(dataset.get("BitsAllocated")) != allocated:
        stored, high = allocated, allocated - 1
    return _Stored(pixels, stored, high, _inverted(dataset), padding)


def _holds_all_bits(dataset: pydicom.Dataset) -> bool:
    """Whether values are uncompressed, so that bits beyond BitsStored can be checked."""
    stored, allocated = integer(dataset.get("BitsStored")), integer(dataset.get("BitsAllocated"))
    plain = not dataset.file_meta.TransferSyntaxUID.is_encapsulated or dataset.file_meta.TransferSyntaxUID == RLELossless
    return "PixelData" in dataset and plain and allocated in (8, 16, 32) and stored is not None and 1 <= stored < allocated


def _reading(frames: Sequence[_Stored]) -> tuple[Callable[[_Stored], NDArray[Any]], str]:
    """How to read the numbers of frames of one layout, and a warning if that is not as their header declares them.

    The header is wrong where another reading of the same bits gives far smoother images.
    """
    first = frames[0]
    if first.values.dtype.kind == "f":
        return lambda one: one.values, ""
    width, kind = first.values.dtype.itemsize, "signed" if first.values.dtype.kind == "i" else "unsigned"
    some = frames[:: max(1, len(frames) // _LOOKED_AT)]
    columns = some[0].values.shape[-1]
    declared = np.stack([_as_declared(one).ravel() for one in some])
    best = _roughness(declared, columns)
    found, note = _as_declared, ""
    for name, dtype in ((f"unsigned numbers of {8 * width} bits", f"u{width}"), (f"signed numbers of {8 * width} bits", f"i{width}")):
        values = np.stack([one.values.view(dtype).ravel() for one in some])
        if np.array_equal(values, declared) or _adds_leaps(declared, values, first.bits, columns):
            continue
        roughness = _roughness(values, columns)
        if (roughness < _FAR_SMOOTHER * best and first.bits < 8 * width) or (not note and _mends_leaps(declared, values, first.bits, columns)):
            best, found = roughness, partial(_viewed, dtype=dtype)
            note = f"its pixels fit {name}, not the {first.bits} {kind} bits of the header, and were read so"
    return found, note


def _steps(values: NDArray[Any], columns: int) -> NDArray[np.float32]:
    """(rows, columns − 1) size of the steps between neighbours in a row."""
    return np.abs(np.diff(values.reshape(-1, columns).astype(np.float32), axis=1))


def _adds_leaps(declared: NDArray[Any], values: NDArray[Any], bits: int, columns: int) -> bool:
    """Whether another reading has steps of about half its range where there are none as declared: overlays in unused bits have such edges."""
    leaps = _steps(declared, columns) > _HALF * 2**bits
    new = ~leaps & (_steps(values, columns) > _HALF * 2 ** (8 * values.dtype.itemsize))
    return int(new.sum()) > max(_FEWEST_LEAPS, (1 - _MENDED) * int(leaps.sum()))


def _mends_leaps(declared: NDArray[Any], values: NDArray[Any], bits: int, columns: int) -> bool:
    """Whether neighbours that lie almost the whole range apart as declared are neighbours in value, too, in another reading.

    Values must lie close on both sides of the border at which the declared numbers start again, in many steps: burnt-in text has one value.
    """
    leaps = _steps(declared, columns) > 0.75 * 2**bits
    if leaps.sum() < _FEWEST_LEAPS or (_steps(values, columns)[leaps] < 0.25 * 2**bits).mean() < _MENDED:
        return False
    rows = values.reshape(-1, columns)
    lower, upper = np.sort([rows[:, :-1][leaps], rows[:, 1:][leaps]], axis=0)
    return min(len(np.unique(lower)), len(np.unique(upper))) >= _FEWEST_STEPS


def _viewed(one: _Stored, dtype: str) -> NDArray[Any]:
    return one.values.view(dtype)


def _as_declared(one: _Stored) -> NDArray[Any]:
    """Numbers with unused bits cleared and the sign extended."""
    allocated = 8 * one.values.dtype.itemsize
    return (one.values << (allocated - 1 - one.high)) >> (allocated - one.bits) if one.bits < allocated else one.values


def _turned_over(pixels: NDArray[Any], top: float) -> NDArray[Any]:
    """Values turned over for MONOCHROME1, so that bright is bright and the darkest pixel of the series is zero: ratios of grey values need that zero."""
    return np.asarray(top - pixels.astype(np.float32), dtype=np.float32)


def _roughness(values: NDArray[Any], columns: int) -> float:
    """Mean step between neighbours, in widths of the middle nine tenths of the values: numbers that were cut off or have the wrong sign leap.

    Args:
        values: (images, pixels).
        columns: pixels of a row.
    """
    low, high = quantiles(values, (0.05, 0.95))
    spread = (high - low) or float(values.std(dtype=np.float64))
    steps = _steps(values, columns)
    return float(steps.mean()) / spread if spread > 0 and steps.size else 0.0


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
