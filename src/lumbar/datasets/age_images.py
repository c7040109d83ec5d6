"""Images that belong to an age table: DICOM folders, NIfTI files or folders of PNG, and known positions of their discs."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from lumbar.datasets.age_table import AgeTable
from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Grid, Points
from lumbar.domain.study import Plane, Role, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import NoUsableSeries, UnreadableInput
from lumbar.io.read import read_study
from lumbar.io.tables import read_table

POINT_COLUMNS = ("image", "level", "x_mm", "y_mm", "z_mm")


def image_path(table: AgeTable, row: int, folder: Path) -> Path:
    """The image of a row, below `folder`.

    Raises:
        UnreadableInput: the table names no images, or this one is not there.
    """
    if table.image is None:
        raise UnreadableInput(f"{table.name} has no column image or study; name the image of each row there")
    path = folder / str(table.image[row])
    if not path.exists():
        raise UnreadableInput(f"{table.name}, line {table.lines[row]}: {path} does not exist; paths are relative to the table's folder")
    return path


def sagittal_volume(table: AgeTable, row: int, folder: Path) -> tuple[Volume, Weighting]:
    """The sagittal T2 or STIR volume of a row; a single file of unknown weighting is taken as it is.

    Raises:
        InputError: it cannot be read, or there is no such series in it.
    """
    path = image_path(table, row, folder)
    images = sorted(path.glob("*.png"), key=_number) if path.is_dir() else []
    if images:
        return _stack(table, row, images), Weighting.T2
    study = read_study(path)
    found = study.with_role(Role.SAGITTAL_T2)
    if not found and len(study.series) == 1 and study.series[0].plane is Plane.SAGITTAL and study.series[0].weighting is Weighting.UNKNOWN:
        found = study.series
    if not found:
        kinds = ", ".join(sorted({f"{s.plane.value} {s.weighting.value}" for s in study.series}))
        raise NoUsableSeries(f"{path} holds no sagittal T2 or STIR series (found: {kinds})")
    stack = found[0].largest_stack
    return stack.volume, found[0].weighting


def read_points(path: Path) -> dict[str, dict[Level, Points]]:
    """Image → level → (3,) LPS mm of the middle of the disc, from a CSV with the columns of `POINT_COLUMNS`.

    Raises:
        UnreadableInput: a column is missing, a level is none, or a place is not a number.
    """
    points: dict[str, dict[Level, Points]] = {}
    for row in read_table(path, POINT_COLUMNS).rows:
        try:
            level = Level(row.word("level"))
        except ValueError as error:
            raise row.error("level", f"is none such as L4/L5 ({error})") from None
        points.setdefault(row.file_name("image"), {})[level] = np.array([row.number(axis) for axis in POINT_COLUMNS[2:]])
    return points


def _stack(table: AgeTable, row: int, images: list[Path]) -> Volume:
    """PNG slices in the order of the numbers in their names: the first is the patient's right; rows head to foot, columns front to back."""
    if table.pixel_mm is None or table.slice_mm is None:
        raise UnreadableInput(f"{table.name}: {images[0].parent} holds PNG files, which have no pixel size; add the columns pixel_mm and slice_mm")
    pixel, step = float(table.pixel_mm[row]), float(table.slice_mm[row])
    arrays = [np.asarray(Image.open(image).convert("F"), dtype=np.float32) for image in images]
    if len({array.shape for array in arrays}) > 1:
        raise UnreadableInput(f"{images[0].parent} holds images of different sizes; a stack needs one size")
    origins = np.outer(np.arange(len(arrays)) - (len(arrays) - 1) / 2, [step, 0.0, 0.0])
    return Volume(np.stack(arrays), Grid(origins, np.array([0, 0, -pixel]), np.array([0, pixel, 0]), *arrays[0].shape))


def _number(path: Path) -> tuple[int, str]:
    found = re.findall(r"\d+", path.stem)
    return (int(found[-1]) if found else 0, path.stem)
