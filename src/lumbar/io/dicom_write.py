"""Writing single-frame MR images: complete ones that any viewer and checker accepts, and stripped ones like those of public challenge data."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

IMPLEMENTATION_UID = "2.25.147312563107418651028304012648203467265"


@dataclass(frozen=True, eq=False)
class SliceImage:
    """One image and where it lies."""

    pixels: NDArray[np.uint16]  # (rows, columns)
    origin_mm: NDArray[np.float64]  # (3,) LPS centre of pixel (0, 0)
    row_step_mm: NDArray[np.float64]  # (3,) from one row to the next
    column_step_mm: NDArray[np.float64]  # (3,) from one column to the next
    instance_number: int


@dataclass(frozen=True)
class StudyHeader:
    """What all instances of a study share."""

    study_uid: str
    frame_uid: str
    patient_id: str
    sex: str  # "F", "M" or ""
    age_years: float | None
    date: str  # YYYYMMDD
    manufacturer: str
    model: str
    tesla: float


@dataclass(frozen=True)
class SeriesHeader:
    """What all instances of a series share."""

    series_uid: str
    number: int
    description: str
    scanning_sequence: str  # SE, IR or GR
    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None
    flip_degrees: float
    echo_train: int
    thickness_mm: float
    spacing_mm: float
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "OTHER")


def derived_uid(*parts: str | int) -> str:
    """A UID (2.25.…) that follows from its parts alone, so that the same input gives the same bytes."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def write_slice(path: Path, image: SliceImage, study: StudyHeader, series: SeriesHeader) -> None:
    """Write one MR Image Storage instance with the attributes required by the standard."""
    instance = derived_uid(series.series_uid, image.instance_number)
    data = FileDataset(str(path), {}, file_meta=_meta(MRImageStorage, instance), preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 192"
    data.ImageType = list(series.image_type)
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, instance
    for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(data, name, study.date)
    for name in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(data, name, "120000")
    data.AccessionNumber = ""
    data.Modality = "MR"
    data.Manufacturer, data.ManufacturerModelName = study.manufacturer, study.model
    data.ReferringPhysicianName = ""
    data.StudyDescription, data.SeriesDescription = "MR lumbar spine, synthetic", series.description
    data.PatientName, data.PatientID = f"Phantom^{study.patient_id}", study.patient_id
    data.PatientBirthDate, data.PatientSex = "", study.sex
    if study.age_years is not None:
        data.PatientAge = f"{int(study.age_years):03d}Y"
    data.BodyPartExamined = "LSPINE"
    _acquisition(data, study, series)
    data.PatientPosition = "HFS"
    data.StudyInstanceUID, data.SeriesInstanceUID = study.study_uid, series.series_uid
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "1", series.number, image.instance_number
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = study.frame_uid, ""
    _place(data, image, series)
    _pixels(data, image.pixels)
    data.save_as(path, enforce_file_format=True)


def write_stripped_slice(path: Path, image: SliceImage, series: SeriesHeader, study_id: int, series_id: int) -> None:
    """Write one instance with only the attributes of the RSNA 2024 files: no modality, no maker, no patient but a number, description T1 or T2."""
    instance = f"{study_id}.{series.number}.{image.instance_number}"
    data = FileDataset(str(path), {}, file_meta=_meta(MRImageStorage, instance), preamble=b"\0" * 128)
    data.SOPInstanceUID = instance
    data.ContentDate, data.ContentTime = "20240503", "120000"
    data.SeriesDescription = series.description
    data.PatientID = str(study_id)
    data.PatientPosition = "HFS"
    data.StudyInstanceUID, data.SeriesInstanceUID = str(study_id), f"{study_id}.{series_id}"
    data.InstanceNumber = image.instance_number
    data.FrameOfReferenceUID = derived_uid("frame", study_id)
    _place(data, image, series)
    data.SliceThickness, data.SpacingBetweenSlices = _number(series.thickness_mm), _number(series.spacing_mm)
    _pixels(data, image.pixels)
    data.save_as(path, enforce_file_format=True)


def _meta(sop_class: str, instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID(instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = UID(IMPLEMENTATION_UID), "LUMBAR"
    return meta


def _acquisition(data: Dataset, study: StudyHeader, series: SeriesHeader) -> None:
    data.ScanningSequence = series.scanning_sequence
    data.SequenceVariant = "SK"
    data.ScanOptions = ""
    data.MRAcquisitionType = "2D"
    data.SliceThickness, data.SpacingBetweenSlices = _number(series.thickness_mm), _number(series.spacing_mm)
    data.RepetitionTime, data.EchoTime = _number(series.repetition_ms), _number(series.echo_ms)
    if series.inversion_ms is not None:
        data.InversionTime = _number(series.inversion_ms)
    data.MagneticFieldStrength = _number(study.tesla)
    data.EchoTrainLength = series.echo_train
    data.FlipAngle = _number(series.flip_degrees)


def _place(data: Dataset, image: SliceImage, series: SeriesHeader) -> None:
    rows, columns = np.linalg.norm(image.row_step_mm), np.linalg.norm(image.column_step_mm)
    along_row, down_column = image.column_step_mm / columns, image.row_step_mm / rows
    data.ImagePositionPatient = [_number(value) for value in image.origin_mm]
    data.ImageOrientationPatient = [_number(value) for value in (*along_row, *down_column)]
    data.SliceLocation = _number(float(image.origin_mm @ np.cross(along_row, down_column)))
    data.PixelSpacing = [_number(float(rows)), _number(float(columns))]


def _pixels(data: Dataset, pixels: NDArray[np.uint16]) -> None:
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    center = float(np.percentile(pixels[::4, ::4], 99)) / 2
    data.WindowCenter, data.WindowWidth = _number(round(max(center, 1.0))), _number(round(max(2 * center, 2.0)))
    data.PixelData = np.ascontiguousarray(pixels, dtype="<u2").tobytes()


def _number(value: float) -> str:
    """A decimal string of at most 16 characters."""
    for digits in range(12, 3, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{float(value):.3g}"
