"""Axial T2 crops at disc level, in the form of the public crops of RSNA 2024: a table and a folder of images with three neighbouring slices as R, G, B."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.datasets.rsna2024_labels import LEVELS, parse_grade
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.errors import UnreadableInput
from lumbar.io.tables import Row, read_table

# Conditions graded on an axial crop, in the order of a submission.
AXIAL_CONDITIONS = (Condition.SPINAL_CANAL_STENOSIS, Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS)


@dataclass(frozen=True)
class AxialCrop:
    """One row of the table. The patient's left is at the right edge of the image."""

    file: str
    study_id: str
    level: Level
    grades: Mapping[Condition, Severity | None]  # only conditions that the table has a column for; None where the cell is blank
    series_id: str = ""
    instance_number: int | None = None


def read_crop_table(table: Path) -> list[AxialCrop]:
    """The rows of `table`, which needs the columns crop, study_id and level; grades, series_id and instance_number are read where they are there.

    Raises:
        UnreadableInput: the file cannot be read, lacks a column, or has a cell that makes no sense.
    """
    return [_row(row) for row in read_table(table, ("crop", "study_id", "level"), "An axial crop table has crop, study_id and level").rows]


def _row(row: Row) -> AxialCrop:
    level = row.word("level")
    if level not in LEVELS:
        raise row.error("level", f"is {level!r}, not one of {', '.join(LEVELS)}")
    grades = {condition: _grade(row, condition.value) for condition in AXIAL_CONDITIONS if condition.value in row.table.names}
    series = row.identifier("series_id") if row.has("series_id") else ""
    number = row.whole("instance_number") if row.has("instance_number") else None
    return AxialCrop(row.file_name("crop"), row.identifier("study_id"), LEVELS[level], grades, series, number)


def _grade(row: Row, column: str) -> Severity | None:
    try:
        return parse_grade(row.optional(column) or "")
    except ValueError as error:
        raise row.error(column, str(error)) from None


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image (rows, columns, 3) in `path`; a grey one has the same values three times.

    Raises:
        UnreadableInput: the image is missing or cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableInput(f"{path} cannot be read as an image ({error})") from error
