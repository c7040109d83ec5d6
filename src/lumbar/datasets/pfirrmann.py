"""Graded mid-sagittal T2 pictures: Pfirrmann 1 to 5 of L3/L4, L4/L5 and L5/S1 of 403 patients (YOLOspine; academic and research use)."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lumbar.domain.anatomy import Level
from lumbar.errors import UnreadableInput


@dataclass(frozen=True)
class GradedPicture:
    """One row of a table of pictures."""

    file: str
    patient: str  # splits are made by this; the file's name where the table does not say
    grades: Mapping[Level, int]  # 1 … 5 of the levels that are graded


def read_picture_table(table: Path) -> list[GradedPicture]:
    """The rows of `table`, which needs the column image; patient and grades (`l3_l4` and so on) are read where they are there.

    Raises:
        UnreadableInput: the file cannot be read, lacks a column, or has a cell that makes no sense.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if "image" not in (reader.fieldnames or ()):
                raise UnreadableInput(f"{table} has no column image; a table of mid-sagittal pictures names one file a row there")
            rows = [_row(row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput(f"{table} cannot be read as a CSV table ({error})") from error
    except (ValueError, TypeError) as error:
        raise UnreadableInput(f"{table}: {error}") from error
    if not rows:
        raise UnreadableInput(f"{table} has a header and no rows; there is nothing to grade")
    return rows


def _row(row: Mapping[str, str]) -> GradedPicture:
    name = row["image"]
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"the image {name!r} is not the name of a file inside the picture folder")
    grades = {level: int(row[level.slug]) for level in Level if row.get(level.slug)}
    wrong = [grade for grade in grades.values() if not 1 <= grade <= 5]
    if wrong:
        raise ValueError(f"{name} has the Pfirrmann grade {wrong[0]}, which is none of 1 to 5")
    return GradedPicture(name, row.get("patient") or name, grades)
