"""Tools for studies with one fault each: phantoms as DICOM datasets, changed and written again."""

import copy
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from lumbar.domain.volume import Volume
from lumbar.imaging.resample import sample

PHANTOMS = {
    "_base": ["--seed", "11", "--site", "A"],
    "_dixon": ["--seed", "12", "--site", "H", "--dixon"],
    "_lumbarised": ["--seed", "13", "--site", "D", "--variant", "lumbarised"],
    "_sacralised": ["--seed", "14", "--site", "E", "--variant", "sacralised"],
    "_metal": ["--seed", "15", "--site", "F", "--metal"],
}


@dataclass(frozen=True)
class Case:
    """How one study is made, and what is true of it."""

    make: Callable[[Path], None]  # writes the study to a path that does not exist
    kind: int  # number of the kind of fault
    phantom: str = "_base"
    turned_degrees: float = 0.0  # of the whole study about the axis from right to left
    must_say: bool = False  # something must be said of it even if the values that are compared are right


CASES: dict[str, Case] = {}
_root = Path()


def case(kind: int, phantom: str = "_base", turned_degrees: float = 0.0, must_say: bool = False) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register a function that writes a study."""

    def register(make: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES[make.__name__] = Case(make, kind, phantom, turned_degrees, must_say)
        return make

    return register


def make_phantoms(folder: Path) -> None:
    """Make the phantoms that are not there yet; `slices` finds them in `folder` from then on."""
    global _root  # noqa: PLW0603
    _root = folder
    for name, words in PHANTOMS.items():
        if not (folder / name).exists():
            code = "import sys; from lumbar.cli.main import main; main(sys.argv[1:])"
            command = [sys.executable, "-c", code, "phantom", "study", str(folder / name), "--matrix-scale", "0.5", *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


def slices(series: str, phantom: str = "_base") -> list[Dataset]:
    """The slices of one series of a phantom, in order along their normal."""
    found = [pydicom.dcmread(path) for path in sorted((_root / phantom / "dicom" / series).iterdir())]
    return sorted(found, key=lambda one: float(position(one) @ normal(one)))


def folder_of(series: str, phantom: str = "_base") -> Path:
    """The folder of one series of a phantom."""
    return _root / phantom / "dicom" / series


def copied(series: str, out: Path, phantom: str = "_base") -> None:
    """Copy a series of a phantom as it is."""
    shutil.copytree(folder_of(series, phantom), out / series)


def saved(datasets: list[Dataset], folder: Path) -> None:
    """Write datasets as 000.dcm, 001.dcm, …"""
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(datasets):
        one.save_as(folder / f"{number:03}.dcm")


def position(one: Dataset) -> NDArray[np.float64]:
    return np.array([float(value) for value in one.ImagePositionPatient])


def directions(one: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.array([float(value) for value in one.ImageOrientationPatient])
    return values[:3], values[3:]


def normal(one: Dataset) -> NDArray[np.float64]:
    return np.cross(*directions(one))


def place(one: Dataset, position_mm: NDArray[np.float64], along: NDArray[np.float64] | None = None, down: NDArray[np.float64] | None = None) -> None:
    """Set position, and directions if given."""
    one.ImagePositionPatient = [f"{value:.9g}"[:16] for value in position_mm]
    if along is not None and down is not None:
        one.ImageOrientationPatient = [f"{value:.9g}"[:16] for value in (*along, *down)]


def reordered(datasets: list[Dataset], order: Sequence[int]) -> list[Dataset]:
    """The slices at each other's positions: slice k at that of slice `order[k]`."""
    places = [position(one) for one in datasets]
    for one, k in zip(datasets, order, strict=True):
        place(one, places[k])
    return datasets


def moved(datasets: list[Dataset], by_mm: tuple[float, float, float]) -> list[Dataset]:
    """The slices at other positions."""
    for one in datasets:
        place(one, position(one) + np.array(by_mm))
    return datasets


def turned(datasets: list[Dataset], degrees: float, axis: int, about: NDArray[np.float64] | None = None) -> list[Dataset]:
    """The slices turned about an axis through `about` (the origin of patient space if not given): headers only."""
    matrix = rotation(degrees, axis)
    middle = np.zeros(3) if about is None else about
    for one in datasets:
        along, down = directions(one)
        place(one, matrix @ (position(one) - middle) + middle, matrix @ along, matrix @ down)
    return datasets


def rotation(degrees: float, axis: int) -> NDArray[np.float64]:
    """(3, 3) rotation about the axis 0, 1 or 2."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    i, j = (k for k in range(3) if k != axis)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


def with_pixels(one: Dataset, values: NDArray[np.generic]) -> Dataset:
    """The slice with other pixels, stored as 16 bits."""
    array = np.ascontiguousarray(np.clip(np.rint(np.asarray(values, np.float64)), 0, 65535).astype("<u2"))
    one.Rows, one.Columns = array.shape
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.PixelData = array.tobytes()
    return one


def cropped(one: Dataset, rows: slice, columns: slice = slice(None)) -> Dataset:
    """A part of the slice, at its place."""
    along, down = directions(one)
    r, c = rows.indices(one.Rows)[0], columns.indices(one.Columns)[0]
    step = [float(value) for value in one.PixelSpacing]
    pixels = one.pixel_array[rows, columns]
    place(one, position(one) + down * r * step[0] + along * c * step[1])
    return with_pixels(one, pixels)


def another(datasets: list[Dataset], tag: str, number: int | None = None) -> list[Dataset]:
    """Copies as a series of its own."""
    made = copy.deepcopy(datasets)
    for one in made:
        one.SeriesInstanceUID = generate_uid(entropy_srcs=[one.SeriesInstanceUID, tag])
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[one.SOPInstanceUID, tag])
        if number is not None:
            one.SeriesNumber = number
    return made


def resliced(datasets: list[Dataset], like: list[Dataset], matrix: NDArray[np.float64], about: NDArray[np.float64]) -> list[Dataset]:
    """Images of the same anatomy on slices that are turned by `matrix` about `about`: pixels and headers."""
    volume = volume_of(datasets)
    made = copy.deepcopy(like)
    for one in made:
        along, down = (matrix @ direction for direction in directions(one))
        corner = matrix @ (position(one) - about) + about
        step = [float(value) for value in one.PixelSpacing]
        rows, columns = np.mgrid[: one.Rows, : one.Columns]
        points = corner + rows[..., None] * step[0] * down + columns[..., None] * step[1] * along
        with_pixels(one, np.nan_to_num(sample(volume, points)))
        place(one, corner, along, down)
    return made


def volume_of(datasets: list[Dataset]) -> Volume:
    """The slices as one volume."""
    from lumbar.domain.geometry import Grid  # noqa: PLC0415

    along, down = directions(datasets[0])
    step = [float(value) for value in datasets[0].PixelSpacing]
    grid = Grid(np.array([position(one) for one in datasets]), down * step[0], along * step[1], datasets[0].Rows, datasets[0].Columns)
    return Volume(np.stack([one.pixel_array for one in datasets]).astype(np.float32), grid)


def center(datasets: list[Dataset]) -> NDArray[np.float64]:
    """The middle of a stack."""
    return np.asarray(volume_of(datasets).grid.center_mm)
