"""The tables of the published muscle data (LPM_Segmentator): volumes by hand and by program, and the slices of each subject."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import UnreadableInput


@dataclass(frozen=True, eq=False)
class VolumeTable:
    """One quantity of a volume table for every label, all columns in the order of `cases`."""

    cases: tuple[str, ...]
    pairs: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]  # label → (reference `_gd`, automatic `_ai`)


@dataclass(frozen=True)
class SliceRange:
    """The slices of one subject that count, both ends included, numbered from 0 as the file stores them."""

    pid: str
    slice_start: int
    slice_stop: int


def read_volume_table(path: Path, quantity: str = "volume") -> VolumeTable:
    """Columns `volume1_gd`, `volume1_ai`, … (cm³) of a table; `quantity` "fat" reads `fat1_gd`, … instead.

    Raises:
        UnreadableInput: no table, no such pair of columns, an unknown label, or a cell that is not a number.
    """
    rows = _rows(path)
    pattern = re.compile(rf"{re.escape(quantity)}(\d+)_gd")
    labels = sorted(int(match[1]) for match in map(pattern.fullmatch, rows[0]) if match)
    labels = [label for label in labels if f"{quantity}{label}_ai" in rows[0]]
    if not labels:
        raise UnreadableInput(f"{path} has no columns {quantity}1_gd and {quantity}1_ai; found: {', '.join(rows[0])}")
    if not set(labels) <= {1, 2, 3, 4}:
        raise UnreadableInput(f"{path} has labels {labels}; muscles are labelled 1 to 4")
    pairs = {label: (_numbers(path, rows, f"{quantity}{label}_gd"), _numbers(path, rows, f"{quantity}{label}_ai")) for label in labels}
    names = [row.get("CT_id") or row.get("pid") or str(number) for number, row in enumerate(rows, start=1)]
    return VolumeTable(tuple(names), pairs)


def has_quantity(path: Path, quantity: str) -> bool:
    """Whether a volume table also has columns of `quantity`."""
    return any(name.startswith(quantity) and name.endswith("_gd") for name in _rows(path)[0])


def read_slice_ranges(path: Path) -> tuple[SliceRange, ...]:
    """Rows `pid, slice_start, slice_stop` of a table of slices chosen by hand.

    Raises:
        UnreadableInput: no table, a column is missing, or a range that is none.
    """
    ranges = []
    for number, row in enumerate(_rows(path), start=2):
        try:
            found = SliceRange(row["pid"], int(row["slice_start"]), int(row["slice_stop"]))
        except (KeyError, TypeError, ValueError):
            raise UnreadableInput(f"{path}, line {number}: needs pid, slice_start and slice_stop (whole numbers); found {row}") from None
        if not 0 <= found.slice_start <= found.slice_stop:
            raise UnreadableInput(f"{path}, line {number}: slices {found.slice_start} to {found.slice_stop} are no range")
        ranges.append(found)
    return tuple(ranges)


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput(f"{path} cannot be read as a CSV table ({error})") from None
    if not rows:
        raise UnreadableInput(f"{path} has no rows")
    return rows


def _numbers(path: Path, rows: list[dict[str, str]], column: str) -> NDArray[np.float64]:
    values = []
    for number, row in enumerate(rows, start=2):
        try:
            values.append(float(row[column]))
        except (TypeError, ValueError):
            raise UnreadableInput(f"{path}, line {number}: {column} is {row[column]!r}, not a number; drop the row or fill it in") from None
    return np.array(values)
