"""Tables of people and their ages: one CSV reader for evaluation, population curves and training.

Columns, in any order and case: `subject, site, sex, age` always; then, as the task needs, `predicted`, `low` and `high` (years), `level` and `index`
(a measure of degeneration), `image` or `study`, and, where a subject comes more than once, `visit`, `date` (YYYY-MM-DD) and `repeat` (a second scan of
the same visit). `healthy` is yes or no; `pixel_mm` and `slice_mm` belong to folders of PNG, which do not tell their size. Labels of the disc levels, such
as grades, are columns like `pfirrmann_l1_l2` … `pfirrmann_l5_s1`, read if they are asked for. Further columns are ignored.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.errors import UnreadableInput

Numbers = NDArray[np.float64]
Words = NDArray[np.str_]

_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M", "u": "U", "unknown": "U", "o": "U", "other": "U"}
_FLAGS = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
_BLANK = {"", "nan", "na", "none", "null"}
_HIGHEST_AGE = 120.0

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class AgeTable:
    """Rows of a table as columns of equal length n; what the table does not have is None."""

    name: str  # of the file, for messages
    lines: NDArray[np.int64]  # line of the file of each row, the header being line 1
    subject: Words
    site: Words
    sex: Words  # "F", "M" or "U" (unknown)
    age_years: Numbers
    predicted_years: Numbers | None = None
    low_years: Numbers | None = None  # interval of the prediction
    high_years: Numbers | None = None
    level: Words | None = None
    index: Numbers | None = None  # degeneration index, any unit
    visit: Words | None = None
    date_days: NDArray[np.int64] | None = None  # proleptic ordinal
    repeat: Words | None = None
    image: Words | None = None  # or study
    pixel_mm: Numbers | None = None  # of pictures that do not tell, as PNG
    slice_mm: Numbers | None = None  # from one picture to the next, likewise
    healthy: NDArray[np.bool_] | None = None
    labels: Numbers | None = None  # (n, 5, labels) of each disc level; NaN where the cell is blank

    def __len__(self) -> int:
        return len(self.subject)

    def rows(self, keep: NDArray[np.bool_]) -> "AgeTable":
        """The rows for which `keep` (n,) holds."""
        columns: dict[str, Any] = {name: value[keep] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **columns)


def read_age_table(path: Path, needs: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> AgeTable:
    """Read and check a CSV; `needs` names columns beyond `subject, site, sex, age` that must be there, `labels` labels with a column a level.

    Raises:
        UnreadableInput: no such file, not a CSV, a column is missing, or a cell of a row is blank, not a number, out of range or contradicts another row.
    """
    header, records = _records(path)
    by_level = [[f"{name.lower()}_{level.slug}" for name in labels] for level in Level]
    missing = [name for name in ("subject", "site", "sex", "age", *needs, *(name for level in by_level for name in level)) if name not in header]
    if missing:
        raise UnreadableInput(f"{path} has no column {', '.join(missing)}; found {', '.join(header)}. Name the columns like this in the first line")
    if not records:
        raise UnreadableInput(f"{path} has a header but no rows")
    cells = _Cells(path, header, records)
    years = {name: cells.optional(name, lambda n: cells.numbers(n, -1000, 1000, "a number of years")) for name in ("predicted", "low", "high")}
    table = AgeTable(
        name=path.name,
        lines=np.array([line for line, _ in records]),
        subject=cells.words("subject"),
        site=cells.words("site", "write unknown where it is not known"),
        sex=cells.parsed("sex", _SEXES, "F, M or U (unknown)").astype(np.str_),
        age_years=cells.numbers("age", 0, _HIGHEST_AGE, "an age in years"),
        predicted_years=years["predicted"],
        low_years=years["low"],
        high_years=years["high"],
        level=cells.optional("level", cells.words),
        index=cells.optional("index", lambda n: cells.numbers(n, -1e12, 1e12, "a number")),
        visit=cells.optional("visit", cells.words),
        date_days=cells.optional("date", cells.dates),
        repeat=cells.optional("repeat", cells.words),
        image=cells.optional("image" if "image" in header else "study", cells.words),
        pixel_mm=cells.optional("pixel_mm", lambda n: cells.numbers(n, 0.05, 10, "a pixel size in mm")),
        slice_mm=cells.optional("slice_mm", lambda n: cells.numbers(n, 0.05, 50, "a distance of slices in mm")),
        healthy=cells.optional("healthy", lambda n: cells.parsed(n, _FLAGS, "yes or no").astype(np.bool_)),
        labels=np.array([[cells.known_numbers(name) for name in level] for level in by_level]).transpose(2, 0, 1) if labels else None,
    )
    _check(path, table)
    return table


class _Cells:
    """Typed columns of a table, with errors that name the line."""

    def __init__(self, path: Path, header: list[str], records: list[tuple[int, list[str]]]) -> None:
        self.path, self.header, self.records = path, header, records

    def optional(self, name: str, read: Callable[[str], NDArray[T]]) -> NDArray[T] | None:
        return read(name) if name in self.header else None

    def known_numbers(self, name: str) -> list[float]:
        """Numbers of a column that may have blank cells, which become NaN."""
        column = self.header.index(name)
        known = [(line, row) for line, row in self.records if row[column].strip().lower() not in _BLANK]
        found = dict(zip([line for line, _ in known], _Cells(self.path, self.header, known).numbers(name, -1e12, 1e12, "a number"), strict=True))
        return [float(found.get(line, np.nan)) for line, _ in self.records]

    def words(self, name: str, remedy: str = "fill it or leave the row out") -> Words:
        column = self.header.index(name)
        for line, row in self.records:
            if row[column].strip().lower() in _BLANK:
                raise UnreadableInput(f"{self.path}, line {line}: {name} is blank ({row[column]!r}); {remedy}")
        return np.array([row[column].strip() for _, row in self.records], dtype=np.str_)

    def numbers(self, name: str, low: float, high: float, meaning: str) -> Numbers:
        values = []
        for (line, _), word in zip(self.records, self.words(name), strict=True):
            try:
                value = float(word)
            except ValueError as error:
                raise UnreadableInput(f"{self.path}, line {line}: {name} is {str(word)!r}, but {meaning} is needed, with a point for decimals") from error
            if not np.isfinite(value) or not low <= value <= high:
                raise UnreadableInput(f"{self.path}, line {line}: {name} is {word}, but {meaning} from {low:g} to {high:g} is needed")
            values.append(value)
        return np.array(values)

    def parsed(self, name: str, meanings: dict[str, str] | dict[str, bool], wanted: str) -> NDArray[np.object_]:
        words = self.words(name, f"write {wanted}")
        for (line, _), word in zip(self.records, words, strict=True):
            if word.lower() not in meanings:
                raise UnreadableInput(f"{self.path}, line {line}: {name} is {str(word)!r}, but {wanted} is needed")
        return np.array([meanings[word.lower()] for word in words], dtype=object)

    def dates(self, name: str) -> NDArray[np.int64]:
        days = []
        for (line, _), word in zip(self.records, self.words(name), strict=True):
            try:
                days.append(date.fromisoformat(str(word)).toordinal())
            except ValueError as error:
                raise UnreadableInput(f"{self.path}, line {line}: {name} is {str(word)!r}, but a date like 2024-05-31 is needed") from error
        return np.array(days)


def _records(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Column names in lower case, and the rows that are not empty with their line numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UnreadableInput(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"{path} cannot be read as a UTF-8 text ({error}); save the table as CSV in UTF-8") from error
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)  # the comma where none is in the header
    try:
        reader = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UnreadableInput(f"{path} is not a proper CSV ({error}); save it again from the program that made it") from error
    if not rows:
        raise UnreadableInput(f"{path} is empty; a header line and rows are needed")
    header = [name.strip().lower() for name in rows[0][1]]
    double = sorted({name for name in header if name and header.count(name) > 1})
    if double:
        raise UnreadableInput(f"{path} has the column {double[0]!r} more than once; leave one")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UnreadableInput(f"{path}, line {line} has {len(row)} cells, but the header has {len(header)}; a stray separator or a missing quote?")
    return header, rows[1:]


def _check(path: Path, table: AgeTable) -> None:
    """What no single cell can tell: rows that come twice or contradict each other."""
    if (table.age_years == 0).any():
        line = table.lines[int(np.argmin(table.age_years))]
        raise UnreadableInput(f"{path}, line {line}: age is 0; ages are in years")
    if table.low_years is not None and table.high_years is not None and (table.low_years > table.high_years).any():
        line = table.lines[int(np.argmax(table.low_years > table.high_years))]
        raise UnreadableInput(f"{path}, line {line}: low is above high")
    if (table.low_years is None) != (table.high_years is None):
        raise UnreadableInput(f"{path} has only one of the columns low and high; an interval needs both")
    _check_twice(path, table)
    _check_sex(path, table)


def _check_twice(path: Path, table: AgeTable) -> None:
    keys = [column for column in (table.level, table.visit, table.date_days, table.repeat) if column is not None]
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(table.lines):
        key = (str(table.subject[number]), *(str(column[number]) for column in keys))
        if key in seen:
            raise UnreadableInput(
                f"{path}, line {line}: subject {key[0]!r} was in line {seen[key]} already; if these are visits or repeated scans of one person, "
                "tell them apart by a column visit, date (YYYY-MM-DD) or repeat; if they are two people, give them different names"
            )
        seen[key] = int(line)


def _check_sex(path: Path, table: AgeTable) -> None:
    sex_of: dict[str, tuple[str, int]] = {}
    for subject, sex, line in zip(table.subject, table.sex, table.lines, strict=True):
        known, earlier = sex_of.setdefault(str(subject), (str(sex), int(line)))
        if known != sex:
            raise UnreadableInput(f"{path}, line {line}: subject {str(subject)!r} is {sex}, but {known} in line {earlier}; two people of one name?")
