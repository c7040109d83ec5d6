"""Foraminal points on parasagittal T1 slices of RSNA 2024 studies: a table of points and a folder of cropped images.

The images were resized to 250 × 250 pixels from the whole field of view, whatever its shape, and then cropped around their points: each axis has its own
scale, and the size of a pixel is unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.rsna2024_labels import LEVELS, parse_grade
from lumbar.domain.anatomy import Level, Severity, Side
from lumbar.errors import UnreadableInput
from lumbar.io.tables import Row, read_table

GRID_PIXELS = 250  # rows and columns to which the field of view was resized
_SIDES = {side.value: side for side in (Side.LEFT, Side.RIGHT)}
_COLUMNS = ("picture", "study_id", "side", "level", "x", "y")


@dataclass(frozen=True)
class ForamenPoint:
    """One row of the table."""

    file: str
    study_id: str
    side: Side  # of the patient
    level: Level
    x: float  # column in the cut image, in pixels of the 250 × 250 grid
    y: float  # row, likewise
    left: float = 0.0  # column of the first pixel of the cut image in the whole one; 0 if missing in the table
    top: float = 0.0
    native_rows: float = 1.0  # of the DICOM slice; equal to `native_columns` if missing in the table: the shape of the field of view
    native_columns: float = 1.0
    severity: Severity | None = None  # None where blank
    series_id: str = ""
    instance_number: int | None = None

    @property
    def position(self) -> NDArray[np.float64]:
        """(row, column) in the whole field of view, in units that are equally long along both axes."""
        longer = max(self.native_rows, self.native_columns)
        return np.array([(self.top + self.y) * self.native_rows, (self.left + self.x) * self.native_columns]) / longer


def read_foramen_table(table: Path) -> list[ForamenPoint]:
    """The rows of `table`, which needs the columns picture (the image file), study_id, side, level, x and y; the others are read where they are there.

    Raises:
        UnreadableInput: the file cannot be read, lacks a column, has a cell that makes no sense, or two rows for one foramen.
    """
    read = read_table(table, _COLUMNS, f"A table of foraminal points has {', '.join(_COLUMNS)}")
    points = [_point(row) for row in read.rows]
    _check_unique(points, table)
    return points


def _point(row: Row) -> ForamenPoint:
    level, side = row.word("level"), row.word("side").lower()
    if level not in LEVELS:
        raise row.error("level", f"is {level!r}, not one of {', '.join(LEVELS)}")
    if side not in _SIDES:
        raise row.error("side", f"is {side!r}, not left or right")
    sizes = {name: row.number(column) if row.has(column) else 1.0 for name, column in (("rows", "native_height"), ("columns", "native_width"))}
    if min(sizes.values()) <= 0:
        raise row.error("native_height", "and native_width must be above 0")
    return ForamenPoint(
        file=row.file_name("picture"),
        study_id=row.identifier("study_id"),
        side=_SIDES[side],
        level=LEVELS[level],
        x=row.number("x"),
        y=row.number("y"),
        left=row.number("left") if row.has("left") else 0.0,
        top=row.number("top") if row.has("top") else 0.0,
        native_rows=sizes["rows"],
        native_columns=sizes["columns"],
        severity=_grade(row),
        series_id=row.identifier("series_id") if row.has("series_id") else "",
        instance_number=row.whole("instance_number") if row.has("instance_number") else None,
    )


def _grade(row: Row) -> Severity | None:
    if "severity" not in row.table.names:
        return None
    try:
        return parse_grade(row.optional("severity") or "")
    except ValueError as error:
        raise row.error("severity", str(error)) from None


def _check_unique(points: Sequence[ForamenPoint], table: Path) -> None:
    seen: set[tuple[str, Side, Level]] = set()
    for point in points:
        key = point.study_id, point.side, point.level
        if key in seen:
            raise UnreadableInput(f"{table} has two points for the {point.side.value} foramen {point.level.value} of study {point.study_id}; keep one")
        seen.add(key)
