"""A segmentation read back, by highdicom and by plain pydicom and numpy, is the mask: voxel by voxel and point by point, however the slices lie."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import axial_matrix, enhanced_dataset, sagittal_matrix, save, slice_dataset, write_stack

pytest.importorskip("highdicom", reason="lumbar[dicom] is not installed")

import highdicom
import pydicom

from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import grid_from_matrix
from lumbar.domain.volume import Volume
from lumbar.exchange.codes import DISCS, VERTEBRAL_CANAL
from lumbar.exchange.identity import identity
from lumbar.exchange.segmentation import segmentation_object
from lumbar.exchange.segments import Segment, SegmentedStack, check_same_slices
from lumbar.exchange.source import read_source
from lumbar.io.read import read_study

SHAPE = (5, 20, 26)


def rotation(x_degrees: float, z_degrees: float) -> np.ndarray:
    a, b = np.radians([x_degrees, z_degrees])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return about_z @ about_x


def turned(matrix: np.ndarray, flips: tuple[int, int, int], x_degrees: float = 0.0, z_degrees: float = 0.0) -> np.ndarray:
    """The matrix with axes reversed and the whole turned about the patient's axes."""
    out = matrix.copy()
    for axis, flip in enumerate(flips):
        if flip:
            out[:3, 3] += out[:3, axis] * (SHAPE[axis] - 1)
            out[:3, axis] *= -1
    out[:3] = rotation(x_degrees, z_degrees) @ out[:3]
    return out


def swapped(matrix: np.ndarray) -> np.ndarray:
    """Rows and columns change places."""
    return matrix[:, [0, 2, 1, 3]]


def written(folder: Path, out: Path) -> tuple[list[Segment], SegmentedStack, Path]:
    """A segmentation of two random structures, one of them missing on most slices, of the study in `folder`."""
    study = read_study(folder)
    (series,) = study.series
    (stack,) = series.stacks
    random = np.random.default_rng(7)
    canal = random.random(stack.volume.array.shape) < 0.3
    disc = np.zeros_like(canal)
    disc[1, 3:6, 4:11] = True
    segments = [
        Segment("canal", "Spinal canal", VERTEBRAL_CANAL, None, (1, 2, 3), canal),
        Segment("L4/L5", "L4/L5 disc", DISCS[Level.L4_L5], None, (200, 100, 50), disc),
    ]
    found = SegmentedStack(series.series_uid, stack, tuple(segments))
    source = read_source(study, folder)
    made = segmentation_object(found, source.of_stack(series.series_uid, stack), identity(source, "test", 0, b"x"), "test 1", "test")
    made.save_as(out, enforce_file_format=True)
    return segments, found, out


def points_of(mask: np.ndarray, volume: Volume) -> set[tuple[float, ...]]:
    return {tuple(np.round(point, 3) + 0.0) for point in volume.grid.points_mm(np.argwhere(mask))}


def points_read(path: Path, number: int) -> set[tuple[float, ...]]:
    """LPS points of a segment by pydicom and numpy alone."""
    data = pydicom.dcmread(path)
    bits = np.unpackbits(np.frombuffer(data.PixelData, np.uint8), bitorder="little")
    frames = bits[: data.NumberOfFrames * data.Rows * data.Columns].reshape(-1, data.Rows, data.Columns)
    shared = data.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    row_mm, column_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    found = set()
    for frame, group in zip(frames, data.PerFrameFunctionalGroupsSequence, strict=True):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(frame):
            found.add(tuple(np.round(origin + cosines[3:] * row_mm * row + cosines[:3] * column_mm * column, 3) + 0.0))
    return found


ORIENTATIONS = [
    *(("sagittal", flips, 0.0, 0.0, False) for flips in itertools.product((0, 1), repeat=3)),
    *(("axial", flips, 0.0, 0.0, False) for flips in itertools.product((0, 1), repeat=3)),
    ("sagittal", (0, 0, 0), 14.0, 9.0, False),
    ("axial", (1, 0, 1), -21.0, 11.0, False),
    ("sagittal", (0, 1, 0), 5.0, -17.0, True),
    ("axial", (0, 0, 1), 12.0, 3.0, True),
]


@pytest.mark.parametrize(("plane", "flips", "x_degrees", "z_degrees", "permuted"), ORIENTATIONS)
def test_read_back_is_the_mask(tmp_path: Path, plane: str, flips, x_degrees: float, z_degrees: float, permuted: bool) -> None:
    matrix = turned(sagittal_matrix() if plane == "sagittal" else axial_matrix(), flips, x_degrees, z_degrees)
    array = np.random.default_rng(1).integers(0, 900, SHAPE).astype(np.uint16)
    write_stack(tmp_path / "in", array, swapped(matrix) if permuted else matrix, FrameOfReferenceUID="1.2.3.9")
    segments, found, path = written(tmp_path / "in", tmp_path / "seg.dcm")
    for number, segment in enumerate(segments, start=1):
        assert points_read(path, number) == points_of(segment.mask, found.stack.volume)
    read = highdicom.seg.segread(path)
    uids = [highdicom.UID(uid) for uid in found.stack.sop_uids]
    pixels = read.get_pixels_by_source_instance(uids, combine_segments=False)
    for number, segment in enumerate(segments):
        np.testing.assert_array_equal(pixels[..., number].astype(bool), segment.mask)


def test_every_frame_is_there_and_shares_one_frame_of_reference(tmp_path: Path) -> None:
    write_stack(tmp_path / "in", np.ones(SHAPE, np.uint16), sagittal_matrix(), FrameOfReferenceUID="1.2.3.9")
    segments, _, path = written(tmp_path / "in", tmp_path / "seg.dcm")
    data = pydicom.dcmread(path)
    assert data.NumberOfFrames == len(segments) * SHAPE[0]  # empty frames are kept: viewers derive the geometry from them
    assert data.FrameOfReferenceUID == "1.2.3.9"
    assert "PlaneOrientationSequence" in data.SharedFunctionalGroupsSequence[0]
    order = [(g.SegmentIdentificationSequence[0].ReferencedSegmentNumber, g.PlanePositionSequence[0].ImagePositionPatient[0]) for g in
             data.PerFrameFunctionalGroupsSequence]  # fmt: skip
    assert [number for number, _ in order] == sorted(number for number, _ in order)
    assert data.Modality == "SEG" and data.SegmentationType == "BINARY"


def test_uneven_slices_keep_their_positions(tmp_path: Path) -> None:
    matrix = axial_matrix()
    for k, place in enumerate((0, 1, 2, 4, 5)):
        row, column = matrix[:3, 1], matrix[:3, 2]
        spacing = np.linalg.norm(row), np.linalg.norm(column)
        one = slice_dataset(np.full((20, 26), k, np.uint16), (matrix @ [place, 0, 0, 1])[:3], column / spacing[1], row / spacing[0], spacing, k + 1)
        one.FrameOfReferenceUID = "1.2.3.9"
        save(one, tmp_path / "in" / f"{k}.dcm")
    segments, found, path = written(tmp_path / "in", tmp_path / "seg.dcm")
    assert not found.stack.volume.grid.even
    assert points_read(path, 1) == points_of(segments[0].mask, found.stack.volume)


def test_frames_of_an_enhanced_object(tmp_path: Path) -> None:
    array = np.random.default_rng(1).integers(0, 900, SHAPE).astype(np.uint16)
    source = enhanced_dataset(array, sagittal_matrix(), order=[3, 1, 4, 0, 2])
    source.FrameOfReferenceUID = "1.2.3.9"
    save(source, tmp_path / "in" / "one.dcm")
    segments, found, path = written(tmp_path / "in", tmp_path / "seg.dcm")
    for number, segment in enumerate(segments, start=1):
        assert points_read(path, number) == points_of(segment.mask, found.stack.volume)


def test_a_mask_on_other_slices_is_rejected() -> None:
    a, b = grid_from_matrix(sagittal_matrix(), SHAPE), grid_from_matrix(turned(sagittal_matrix(), (1, 0, 0)), SHAPE)
    with pytest.raises(ValueError, match="slices"):
        check_same_slices(a, b)
