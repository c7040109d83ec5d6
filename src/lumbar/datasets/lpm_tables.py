"""The tables of the published muscle data (LPM_Segmentator): manual and automatic volumes, and the slices of each subject."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import UnreadableInput
from lumbar.io.tables import Table, read_table


@dataclass(frozen=True, eq=False)
class VolumeTable:
    """One quantity of a volume table for every label, all columns in the order of `cases`."""

    cases: tuple[str, ...]
    pairs: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]  # label → (reference `_gd`, automatic `_ai`)


@dataclass(frozen=True)
class SliceRange:
    """The selected slices of one subject, both ends included, numbered from 0 in the order of the file."""

    pid: str
    slice_start: int
    slice_stop: int


def read_volume_table(path: Path, quantity: str = "volume") -> VolumeTable:
    """Columns `volume1_gd`, `volume1_ai`, … (cm³) of a table; `quantity` "fat" reads `fat1_gd`, … instead.

    Raises:
        UnreadableInput: no table, no such pair of columns, an unknown label, or a cell that is not a number.
    """
    table = read_table(path)
    pattern = re.compile(rf"{re.escape(quantity)}(\d+)_gd")
    labels = sorted(int(match[1]) for match in map(pattern.fullmatch, table.names) if match)
    labels = [label for label in labels if f"{quantity}{label}_ai" in table.names]
    if not labels:
        raise UnreadableInput(f"{path} has no columns {quantity}1_gd and {quantity}1_ai; found: {', '.join(table.columns)}")
    if not set(labels) <= {1, 2, 3, 4}:
        raise UnreadableInput(f"{path} has labels {labels}; muscles are labelled 1 to 4")
    pairs = {label: (_numbers(table, f"{quantity}{label}_gd"), _numbers(table, f"{quantity}{label}_ai")) for label in labels}
    names = [row.optional("CT_id") or row.optional("pid") or str(number) for number, row in enumerate(table.rows, start=1)]
    return VolumeTable(tuple(names), pairs)


def has_quantity(path: Path, quantity: str) -> bool:
    """Whether a volume table also has columns of `quantity`."""
    return any(name.startswith(quantity) and name.endswith("_gd") for name in read_table(path).names)


def read_slice_ranges(path: Path) -> tuple[SliceRange, ...]:
    """Rows `pid, slice_start, slice_stop` of a table of manually chosen slices.

    Raises:
        UnreadableInput: no table, a column is missing, or a range that is none.
    """
    ranges = []
    for row in read_table(path, ("pid", "slice_start", "slice_stop")).rows:
        found = SliceRange(row.identifier("pid"), row.whole("slice_start"), row.whole("slice_stop"))
        if not 0 <= found.slice_start <= found.slice_stop:
            raise UnreadableInput(f"{path}, line {row.line}: slices {found.slice_start} to {found.slice_stop} are not a range")
        ranges.append(found)
    return tuple(ranges)


def _numbers(table: Table, column: str) -> NDArray[np.float64]:
    return np.array([row.number(column) for row in table.rows])
