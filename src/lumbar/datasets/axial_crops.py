"""Axial T2 crops at disc level, as the public ones of RSNA 2024 studies: a table and a folder of pictures, three neighbouring slices as R, G, B."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.datasets.rsna2024_labels import LEVELS, parse_grade
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.errors import UnreadableInput

# What an axial crop is graded for, in the order of a submission.
AXIAL_CONDITIONS = (Condition.SPINAL_CANAL_STENOSIS, Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS)


@dataclass(frozen=True)
class AxialCrop:
    """One row of the table. The patient's left is at the right edge of the picture."""

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
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"crop", "study_id", "level"} - set(reader.fieldnames or ())
            if missing:
                raise UnreadableInput(f"{table} has no column {', '.join(sorted(missing))}; an axial crop table has crop, study_id and level")
            rows = [_row(row) for row in _checked(reader, table)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput(f"{table} cannot be read as a CSV table ({error})") from error
    except ValueError as error:
        raise UnreadableInput(f"{table}: {error}") from error
    if not rows:
        raise UnreadableInput(f"{table} has a header and no rows; there is nothing to grade")
    return rows


def _checked(reader: "csv.DictReader[str]", table: Path):  # type: ignore[no-untyped-def]
    for row in reader:
        if None in row or None in row.values():
            raise UnreadableInput(f"{table}, line {reader.line_num}: the row has another number of cells than the header")
        yield row


def _row(row: Mapping[str, str]) -> AxialCrop:
    if row["level"] not in LEVELS:
        raise ValueError(f"the level of {row['crop']} is {row['level']!r}, not one of {', '.join(LEVELS)}")
    if Path(row["crop"]).is_absolute() or ".." in Path(row["crop"]).parts or not row["crop"]:
        raise ValueError(f"the crop {row['crop']!r} is not the name of a file inside the picture folder")
    grades = {condition: parse_grade(row[condition.value]) for condition in AXIAL_CONDITIONS if condition.value in row}
    number = row.get("instance_number", "")
    return AxialCrop(row["crop"], row["study_id"], LEVELS[row["level"]], grades, row.get("series_id", ""), int(number) if number else None)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture (rows, columns, 3) in `path`; a grey one has the same values three times.

    Raises:
        UnreadableInput: there is no such picture, or it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableInput(f"{path} cannot be read as a picture ({error})") from error
