"""DICOM files for tests, built with pydicom and numpy only, so that their content is independent of the code under test."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

STUDY = "1.2.3.4"
SERIES = "1.2.3.4.5"


def slice_dataset(pixels: np.ndarray, position, along_row, down_column, spacing=(0.7, 0.7), number: int = 1, **tags: Any) -> Dataset:
    """One MR slice; `tags` replace or (with None) remove attributes set here."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = STUDY
    dataset.SeriesInstanceUID = SERIES
    dataset.Modality = "MR"
    dataset.PatientName = "Secret^Name"
    dataset.PatientID = "SECRET-ID"
    dataset.AccessionNumber = "SECRET-ACC"
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "T2"
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [_ds(v) for v in position]
    dataset.ImageOrientationPatient = [_ds(v) for v in (*along_row, *down_column)]
    dataset.PixelSpacing = [_ds(v) for v in spacing]
    dataset.SliceThickness = "4"
    set_pixels(dataset, pixels)
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", MRImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    return dataset


def set_pixels(dataset: Dataset, pixels: np.ndarray, bits_stored: int | None = None) -> None:
    """Uncompressed pixels (rows, columns) or (frames, rows, columns) of an integer type."""
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = bits_stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"


def save(dataset: Dataset, path: Path) -> Path:
    """Write with the transfer syntax that the file meta names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def stack_datasets(array: np.ndarray, matrix: np.ndarray, **tags: Any) -> list[Dataset]:
    """Slices of `array` (slices, rows, columns), placed by `matrix` (4, 4): (slice, row, column, 1) to LPS mm."""
    row_step, column_step = matrix[:3, 1], matrix[:3, 2]
    spacing = np.linalg.norm(row_step), np.linalg.norm(column_step)
    tags.setdefault("SeriesInstanceUID", SERIES)
    return [
        slice_dataset(pixels, (matrix @ [k, 0, 0, 1])[:3], column_step / spacing[1], row_step / spacing[0], spacing, k + 1, **tags)
        for k, pixels in enumerate(array)
    ]


def write_stack(folder: Path, array: np.ndarray, matrix: np.ndarray, names=None, **tags: Any) -> list[Path]:
    """`stack_datasets` as files, named `names` or 000.dcm, 001.dcm, …"""
    datasets = stack_datasets(array, matrix, **tags)
    names = names or [f"{k:03}.dcm" for k in range(len(datasets))]
    return [save(dataset, folder / name) for dataset, name in zip(datasets, names, strict=True)]


def sagittal_matrix(slice_mm: float = 4.0, pixel_mm: float = 0.7, origin=(-20.0, -60.0, 90.0)) -> np.ndarray:
    """Slices from the patient's right to left, rows to the feet, columns to the back."""
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([[slice_mm, 0, 0], [0, 0, -pixel_mm], [0, pixel_mm, 0], origin])
    return matrix


def axial_matrix(slice_mm: float = 4.0, pixel_mm: float = 0.6, origin=(-60.0, -60.0, 0.0), tilt_degrees: float = 0.0) -> np.ndarray:
    """Slices from feet to head, tilted about the left-right axis; rows to the back, columns to the patient's left."""
    c, s = np.cos(np.radians(tilt_degrees)), np.sin(np.radians(tilt_degrees))
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([slice_mm * np.array([0, -s, c]), pixel_mm * np.array([0, c, s]), [pixel_mm, 0, 0], origin])
    return matrix


def enhanced_dataset(array: np.ndarray, matrix: np.ndarray, order=None, **timing: float) -> Dataset:
    """One enhanced multi-frame MR object whose frames are the slices of `array` in `order`."""
    order = list(range(len(array))) if order is None else list(order)
    row_step, column_step = matrix[:3, 1], matrix[:3, 2]
    spacing = np.linalg.norm(row_step), np.linalg.norm(column_step)
    dataset = slice_dataset(array[0], (0, 0, 0), (1, 0, 0), (0, 1, 0))
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, name)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    set_pixels(dataset, array[order])
    dataset.NumberOfFrames = len(array)
    shared = Dataset()
    shared.PixelMeasuresSequence = _item(PixelSpacing=[_ds(v) for v in spacing], SliceThickness="4")
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[_ds(v) for v in (*(column_step / spacing[1]), *(row_step / spacing[0]))])
    shared.MRTimingAndRelatedParametersSequence = _item(RepetitionTime=timing.get("repetition_ms", 3500.0))
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for k in order:
        frame = Dataset()
        frame.PlanePositionSequence = _item(ImagePositionPatient=[_ds(v) for v in (matrix @ [k, 0, 0, 1])[:3]])
        frame.MREchoSequence = _item(EffectiveEchoTime=timing.get("echo_ms", 100.0))
        frame.PixelValueTransformationSequence = _item(RescaleSlope=_ds(0.5), RescaleIntercept=_ds(float(k)), RescaleType="US")
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def _item(**tags: Any) -> Sequence:
    item = Dataset()
    for name, value in tags.items():
        setattr(item, name, value)
    return Sequence([item])


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters."""
    for digits in range(15, 5, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(value)
