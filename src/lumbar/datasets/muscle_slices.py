"""Folders of single axial slices with muscle masks: `muscle_t1` (310 people, L4/L5) and `muscle_t2` (136 slices, no pixel size).

    images/<name>.webp   masks/<name>.png   table.csv   (muscle_t1 only) unlabelled/<name>.webp

The left edge of the image is the patient's right. Masks hold 1 and 4 erector spinae, 2 and 3 multifidus (1 and 2 right), and in `muscle_t2` 5 and 6
psoas (5 right) and 7 vertebral body or disc.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import UnreadableInput

PIXEL_MM_T1 = 0.6875
PIXEL_MM_T2 = 0.45  # not in the source; the value at which muscles and vertebrae have the size of those of muscle_t1


@dataclass(frozen=True, eq=False)
class ReaderSlice:
    """One axial slice, rows from front to back, columns from the patient's right to the left."""

    name: str
    patient: str  # splits are made by this
    image: NDArray[np.float32]  # (rows, columns)
    labels: NDArray[np.uint8]  # (rows, columns)
    pixel_mm: float  # square pixels
    pixel_known: bool  # False: `pixel_mm` is an estimate

    @property
    def volume(self) -> Volume:
        """The image as a volume of one axial slice."""
        rows, columns = self.image.shape
        return Volume(self.image[None], Grid(np.zeros((1, 3)), np.array([0, self.pixel_mm, 0]), np.array([self.pixel_mm, 0, 0]), rows, columns))


@dataclass(frozen=True, eq=False)
class UnlabelledSlice:
    """One axial slice that no reader outlined, rows from front to back, columns from the patient's right to the left."""

    name: str
    patient: str  # as in `ReaderSlice`
    image: NDArray[np.float32]  # (rows, columns)
    pixel_mm: float  # square pixels


def read_muscle_t1(folder: Path) -> Iterator[ReaderSlice]:
    """The labelled slices of `muscle_t1`, all at L4/L5, in order of their names.

    Raises:
        UnreadableInput: the folder holds no such slices, or an image and its mask differ in size.
    """
    for path in _images(folder / "images"):
        yield _slice(path, folder, path.stem[:4], PIXEL_MM_T1, known=True)


def read_unlabelled_t1(folder: Path) -> Iterator[UnlabelledSlice]:
    """The slices of `muscle_t1` without masks (L3/L4 and L5/S1 of people who are among the labelled ones), in order of their names.

    Raises:
        UnreadableInput: the folder holds no such slices, or one cannot be read.
    """
    for path in _images(folder / "unlabelled"):
        yield UnlabelledSlice(path.stem, path.stem[:4], _grey(path), PIXEL_MM_T1)


def read_muscle_t2(folder: Path) -> Iterator[ReaderSlice]:
    """The slices of `muscle_t2` in order of their names; each counts as a person of its own.

    Raises:
        UnreadableInput: the folder holds no such slices, or an image and its mask differ in size.
    """
    for path in _images(folder / "images"):
        yield _slice(path, folder, path.stem, PIXEL_MM_T2, known=False)


def has_reader_slices(folder: Path) -> bool:
    """Whether `folder` is laid out as these data sets are."""
    return (folder / "images").is_dir() and (folder / "masks").is_dir()


def read_reader_slices(folder: Path) -> Iterator[ReaderSlice]:
    """The slices of either data set; only the T1 set lists pixel sizes in `table.csv`.

    Raises:
        UnreadableInput: the folder holds no such slices, or an image and its mask differ in size.
    """
    table = folder / "table.csv"
    known = table.is_file() and "pixel_mm" in table.read_text(encoding="utf-8").splitlines()[0].split(",")
    return read_muscle_t1(folder) if known else read_muscle_t2(folder)


def half_of(patients: Iterable[str], half: int, seed: int = 0) -> set[str]:
    """The patients of one of two random halves."""
    names = sorted(set(patients))
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[place] for rank, place in enumerate(order) if rank % 2 == half}


def _images(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.webp")) if folder.is_dir() else []
    if not found:
        raise UnreadableInput(f"{folder} holds no axial slices (*.webp); give the folder that has images/ and masks/ in it")
    return found


def _slice(path: Path, folder: Path, patient: str, pixel_mm: float, *, known: bool) -> ReaderSlice:
    image = _grey(path)
    try:
        labels = np.asarray(Image.open(folder / "masks" / f"{path.stem}.png"), np.uint8)
    except OSError as error:
        raise UnreadableInput(f"the mask of {path} cannot be read ({error}); get the data set again") from None
    if labels.shape != image.shape:
        raise UnreadableInput(f"{path} has {image.shape} pixels and its mask {labels.shape}; they must agree")
    return ReaderSlice(path.stem, patient, image, labels, pixel_mm, known)


def _grey(path: Path) -> NDArray[np.float32]:
    try:
        return np.asarray(Image.open(path).convert("L"), np.float32)
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read ({error}); get the data set again") from None
