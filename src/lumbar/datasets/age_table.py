"""Tables of people and their ages: one CSV reader for evaluation, population curves and training.

Columns, in any order and case: `subject, site, sex, age` always; then, as the task needs, `predicted`, `low` and `high` (years), `level` and `index`
(a measure of degeneration), `image` or `study`, and, where a subject comes more than once, `visit`, `date` (YYYY-MM-DD) and `repeat` (a second scan of
the same visit). `healthy` is yes or no; `pixel_mm` and `slice_mm` belong to folders of PNG, which have no pixel size. Labels of the disc levels, such
as grades, are columns like `pfirrmann_l1_l2` … `pfirrmann_l5_s1`, read on request. Further columns are ignored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.errors import UnreadableInput
from lumbar.io.tables import Table, read_table

Numbers = NDArray[np.float64]
Words = NDArray[np.str_]

_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M", "u": "U", "unknown": "U", "o": "U", "other": "U"}
_FLAGS = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
_HIGHEST_AGE = 120.0

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class AgeTable:
    """Rows of a table as columns of equal length n; columns missing from the table are None."""

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
    pixel_mm: Numbers | None = None  # of images without a pixel size, such as PNG
    slice_mm: Numbers | None = None  # slice distance, likewise
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

    A blank cell is unknown: U for the sex, NaN for a number that is not in `needs`, not known to be healthy for `healthy`.

    Raises:
        UnreadableInput: no such file, not a CSV, a column is missing, or a cell of a row is not a number, out of range or contradicts another row.
    """
    by_level = [[f"{name.lower()}_{level.slug}" for name in labels] for level in Level]
    cells = _Cells(read_table(path, ("subject", "site", "sex", "age", *needs, *(name for level in by_level for name in level))), needs)
    table = AgeTable(
        name=path.name,
        lines=np.array([row.line for row in cells.rows]),
        subject=np.array([row.identifier("subject") for row in cells.rows], dtype=np.str_),
        site=cells.words("site", "write unknown where it is not known"),
        sex=cells.parsed("sex", _SEXES, "F, M or U (unknown)", "U").astype(np.str_),
        age_years=cells.numbers("age", 0, _HIGHEST_AGE, "an age in years"),
        predicted_years=cells.optional("predicted", cells.known_years),
        low_years=cells.optional("low", cells.known_years),
        high_years=cells.optional("high", cells.known_years),
        level=cells.optional("level", cells.words),
        index=cells.optional("index", lambda n: cells.known_numbers(n, -1e12, 1e12, "a number")),
        visit=cells.optional("visit", cells.words),
        date_days=cells.optional("date", cells.dates),
        repeat=cells.optional("repeat", cells.words),
        image=cells.optional("image" if cells.has("image") else "study", cells.images),
        pixel_mm=cells.optional("pixel_mm", lambda n: cells.known_numbers(n, 0.05, 10, "a pixel size in mm")),
        slice_mm=cells.optional("slice_mm", lambda n: cells.known_numbers(n, 0.05, 50, "a distance of slices in mm")),
        healthy=cells.optional("healthy", lambda n: cells.parsed(n, _FLAGS, "yes or no", False).astype(np.bool_)),
        labels=np.array([[cells.known_numbers(n, -1e12, 1e12, "a number") for n in level] for level in by_level]).transpose(2, 0, 1) if labels else None,
    )
    _check(path, table)
    return table


class _Cells:
    """Typed columns of a table."""

    def __init__(self, table: Table, needs: tuple[str, ...]) -> None:
        self.names, self.rows, self.needs = table.names, tuple(table.rows), needs

    def has(self, name: str) -> bool:
        return name in self.names

    def optional(self, name: str, read: Callable[[str], NDArray[T]]) -> NDArray[T] | None:
        return read(name) if self.has(name) else None

    def words(self, name: str, remedy: str = "fill it or leave the row out") -> Words:
        return np.array([row.word(name, remedy) for row in self.rows], dtype=np.str_)

    def images(self, name: str) -> Words:
        return np.array([row.word(name).replace("\\", "/") for row in self.rows], dtype=np.str_)

    def numbers(self, name: str, low: float, high: float, meaning: str) -> Numbers:
        return np.array([row.number(name, low, high, meaning) for row in self.rows])

    def known_numbers(self, name: str, low: float, high: float, meaning: str) -> Numbers:
        """Numbers of a column that may have blank cells, which become NaN."""
        known = [row.optional_number(name, low, high, meaning) for row in self.rows]
        return np.array([np.nan if value is None else value for value in known])

    def known_years(self, name: str) -> Numbers:
        read = self.numbers if name in self.needs else self.known_numbers
        return read(name, -1000, 1000, "a number of years")

    def parsed(self, name: str, meanings: Mapping[str, str | bool], wanted: str, unknown: str | bool) -> NDArray[np.object_]:
        """The meaning of each cell; `unknown` where it is blank."""
        found = []
        for row in self.rows:
            word = row.optional(name)
            if word is not None and word.lower() not in meanings:
                raise row.error(name, f"is {word!r}, but {wanted} is needed")
            found.append(unknown if word is None else meanings[word.lower()])
        return np.array(found, dtype=object)

    def dates(self, name: str) -> NDArray[np.int64]:
        days = []
        for row in self.rows:
            word = row.word(name)
            try:
                days.append(date.fromisoformat(word).toordinal())
            except ValueError:
                raise row.error(name, f"is {word!r}, but a date like 2024-05-31 is needed") from None
        return np.array(days)


def _check(path: Path, table: AgeTable) -> None:
    """Checks across rows: rows that occur twice or contradict each other."""
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
                "distinguish them by a column visit, date (YYYY-MM-DD) or repeat; if they are two people, give them different names"
            )
        seen[key] = int(line)


def _check_sex(path: Path, table: AgeTable) -> None:
    sex_of: dict[str, tuple[str, int]] = {}
    for subject, sex, line in zip(table.subject, table.sex, table.lines, strict=True):
        if sex == "U":
            continue
        known, earlier = sex_of.setdefault(str(subject), (str(sex), int(line)))
        if known != sex:
            raise UnreadableInput(f"{path}, line {line}: subject {str(subject)!r} is {sex}, but {known} in line {earlier}; two people of the same name?")
