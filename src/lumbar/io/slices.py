"""One slice as its header describes it, whatever kind of file it came from, and the rules that a header must keep."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumbar.domain.geometry import Points
from lumbar.io.header_values import Lookup, integer, number_or_none, text, words
from lumbar.io.scaling import scale_of

# Enhanced objects write these words in full.
_SEQUENCES = {"SPIN": "SE", "GRADIENT": "GR"}
_PIXELS = (2, 8192)  # along an edge
_NARROW, _LONGEST = 8, 4  # pixels on one edge, and how many times as many on the other make a strip
_EDGE_MM = 2000.0  # a whole body; longer images are pixel sizes or numbers of pixels that are wrong
_UNIT_TOLERANCE = 0.01  # direction cosines are written with few digits; more than this is not rounding


class Refused(Exception):
    """One file is not a slice; the text gives the violated rule, without values that could identify a person."""


@dataclass(frozen=True)
class Acquisition:
    """Contrast information of the header. Times are None, and texts empty, where missing."""

    repetition_ms: float | None = None
    echo_ms: float | None = None
    echo_number: int | None = None
    inversion_ms: float | None = None
    flip_degrees: float | None = None
    b_value: float | None = None
    image_type: tuple[str, ...] = ()  # upper case
    scanning_sequence: tuple[str, ...] = ()  # SE, IR, GR, EP
    options: tuple[str, ...] = ()  # ScanOptions and SequenceVariant: FS, SP, …
    sequence_name: str = ""
    description: str = ""  # SeriesDescription, or ProtocolName where there is none
    contrast_agent: bool = False


@dataclass(frozen=True, eq=False)
class SliceHeader:
    """One slice: where its pixels are stored, where it lies, and how it was taken."""

    path: Path
    name: str  # the path as shown to the user: relative to the input
    frame: int | None  # number from 0 in a multi-frame file
    study_uid: str
    series_uid: str
    sop_uid: str
    series_number: int | None
    instance_number: int | None
    position_mm: Points  # (3,) LPS, centre of the first pixel
    along_row: Points  # (3,) unit, towards higher columns
    down_column: Points  # (3,) unit, towards higher rows
    spacing_mm: tuple[float, float]  # between rows, between columns
    rows: int
    columns: int
    acquisition: Acquisition
    modality: str
    slope: float
    intercept: float
    series_description: str
    age_years: float | None
    sex: str | None  # "F" or "M"
    scale_doubt: str = ""  # why grey values may not be compared with those of another series, or ""
    thickness_mm: float | None = None  # of the slice, where the header has it
    pixel_note: str = ""  # warning about its pixels, known after decoding
    burnt_in: bool = False  # text is part of the image, according to the header

    @property
    def center_mm(self) -> Points:
        """(3,) LPS, the middle of the image."""
        down, along = (self.rows - 1) / 2 * self.spacing_mm[0], (self.columns - 1) / 2 * self.spacing_mm[1]
        return np.asarray(self.position_mm + down * self.down_column + along * self.along_row)

    @property
    def normal(self) -> Points:
        """(3,) unit normal."""
        normal = np.cross(self.along_row, self.down_column)
        return np.asarray(normal / np.linalg.norm(normal))


def read_slice(lookup: Lookup, path: Path, name: str, frame: int | None) -> SliceHeader:
    """The slice that the header behind `lookup` describes.

    Raises:
        Refused: the header breaks a rule that a slice must keep.
    """
    along_row, down_column = _directions(lookup)
    spacing = _spacing(lookup)
    rows, columns = _size(lookup("Rows"), "rows"), _size(lookup("Columns"), "columns")
    if min(rows, columns) < _NARROW and max(rows, columns) >= _LONGEST * min(rows, columns):
        raise Refused(f"it has {rows} × {columns} pixels, a strip that shows no spine; check its rows and columns")
    if max(rows * spacing[0], columns * spacing[1]) > _EDGE_MM:
        raise Refused(f"rows, columns and pixel spacing (0028,0030) make it longer than {_EDGE_MM / 1000:.0f} m")
    number = integer(lookup("InstanceNumber")) if frame is None else frame + 1
    scale = scale_of(lookup)
    if not scale.possible:
        raise Refused("its rescaling (0028,1052 and 0028,1053, or real-world values) gives values that no image has")
    return SliceHeader(
        path=path,
        name=name,
        frame=frame,
        study_uid=text(lookup("StudyInstanceUID")),
        series_uid=text(lookup("SeriesInstanceUID")),
        sop_uid=text(lookup("SOPInstanceUID")),
        series_number=integer(lookup("SeriesNumber")),
        instance_number=number,
        position_mm=_vector(lookup("ImagePositionPatient"), 3, "image position (0020,0032)"),
        along_row=along_row,
        down_column=down_column,
        spacing_mm=spacing,
        rows=rows,
        columns=columns,
        acquisition=_acquisition(lookup),
        modality=text(lookup("Modality")).upper(),
        slope=scale.slope,
        intercept=scale.intercept,
        series_description=text(lookup("SeriesDescription")),
        age_years=_age_years(text(lookup("PatientAge"))),
        sex=_sex(text(lookup("PatientSex"))),
        scale_doubt=scale.doubt,
        thickness_mm=_positive(lookup("SliceThickness")),
        burnt_in=text(lookup("BurnedInAnnotation")).upper() == "YES",
    )


def _acquisition(lookup: Lookup) -> Acquisition:
    return Acquisition(
        repetition_ms=_positive(lookup("RepetitionTime")),
        echo_ms=_positive(lookup("EchoTime")),
        echo_number=integer(lookup("EchoNumbers")),
        inversion_ms=_positive(lookup("InversionTime")),
        flip_degrees=_positive(lookup("FlipAngle")),
        b_value=_positive(lookup("DiffusionBValue")) or _positive(lookup("(0019,100C)")),
        image_type=words(lookup("ImageType")),
        scanning_sequence=tuple(_SEQUENCES.get(word, word) for word in words(lookup("ScanningSequence"))),
        options=words(lookup("ScanOptions")) + words(lookup("SequenceVariant")),
        sequence_name=text(lookup("SequenceName")) or text(lookup("PulseSequenceName")),
        description=text(lookup("SeriesDescription")) or text(lookup("ProtocolName")),
        contrast_agent=bool(text(lookup("ContrastBolusAgent"))),
    )


def _directions(lookup: Lookup) -> tuple[Points, Points]:
    cosines = _vector(lookup("ImageOrientationPatient"), 6, "image orientation (0020,0037)")
    along_row, down_column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm([along_row, down_column], axis=1)
    if np.abs(lengths - 1).max() > _UNIT_TOLERANCE:
        raise Refused("the directions of its image orientation (0020,0037) do not have length 1")
    if abs(along_row @ down_column) > _UNIT_TOLERANCE:
        raise Refused("rows and columns of its image orientation (0020,0037) are not at right angles")
    return along_row / lengths[0], down_column / lengths[1]


def _spacing(lookup: Lookup) -> tuple[float, float]:
    spacing = _vector(lookup("PixelSpacing"), 2, "pixel spacing (0028,0030)")
    if not (spacing > 0.01).all() or not (spacing < 20).all():
        raise Refused("its pixel spacing (0028,0030) is not between 0.01 and 20 mm")
    return float(spacing[0]), float(spacing[1])


def _vector(value: Any, length: int, what: str) -> Points:
    if value is None or value == "":
        raise Refused(f"it has no {what}")
    try:
        vector = np.array([float(part) for part in value], dtype=np.float64)
    except (TypeError, ValueError):
        raise Refused(f"its {what} is not made of numbers") from None
    if len(vector) != length:
        raise Refused(f"its {what} has {len(vector)} numbers instead of {length}")
    if not np.isfinite(vector).all() or np.abs(vector).max() > 1e5:
        raise Refused(f"its {what} is not a possible position in a scanner")
    return vector


def _size(value: Any, what: str) -> int:
    size = integer(value)
    if size is None or not _PIXELS[0] <= size <= _PIXELS[1]:
        raise Refused(f"its number of {what} is missing or not between {_PIXELS[0]} and {_PIXELS[1]}")
    return size


def _positive(value: Any) -> float | None:
    number = number_or_none(value)
    return number if number is not None and number > 0 else None


def _age_years(value: str) -> float | None:
    """Years of a DICOM age such as 045Y, 018M, 006W, 003D."""
    share = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
    if not value:
        return None
    unit = value[-1].upper()
    number = number_or_none(value[:-1] if unit in share else value)
    return None if number is None or not 0 < number * share.get(unit, 1.0) < 130 else number * share.get(unit, 1.0)


def _sex(value: str) -> str | None:
    return value.upper() if value.upper() in ("F", "M") else None
