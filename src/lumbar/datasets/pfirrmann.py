"""Graded mid-sagittal T2 images: Pfirrmann 1 to 5 of L3/L4, L4/L5 and L5/S1 of 403 patients (YOLOspine; academic and research use)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lumbar.domain.anatomy import Level
from lumbar.io.tables import Row, read_table


@dataclass(frozen=True)
class GradedImage:
    """One row of a table of images."""

    file: str
    patient: str  # data sets are split by patient; the file's name where the table has no patient
    grades: Mapping[Level, int]  # 1 … 5 of the levels that are graded


def read_image_table(table: Path) -> list[GradedImage]:
    """The rows of `table`, which needs the column image; patient and grades (`l3_l4` and so on) are read where they are there.

    Raises:
        UnreadableInput: the file cannot be read, lacks a column, or has a cell that makes no sense.
    """
    rows = read_table(table, ("image",), "A table of mid-sagittal images names one file in each row there").rows
    return [_row(row) for row in rows]


def _row(row: Row) -> GradedImage:
    name = row.file_name("image")
    grades = {level: row.whole(level.slug, 1, 5) for level in Level if row.has(level.slug)}
    return GradedImage(name, row.identifier("patient") if row.has("patient") else name, grades)
