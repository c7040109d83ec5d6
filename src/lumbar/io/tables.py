"""Tables as spreadsheets and programs around the world write them: the one reader of every CSV that a person hands in.

Understood are UTF-8 with or without a byte-order mark, UTF-16 with one, commas, semicolons, tabs or bars between cells, `sep=;` in the first line,
points or commas for decimals, quoted cells with line breaks in them, and rows that end before their last blank cells. A cell that a spreadsheet has
damaged, such as an identifier rounded to 4.003E+06, is rejected by name: no value is guessed.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath

from lumbar.errors import UnreadableInput

BLANK = frozenset({"", "nan", "na", "n/a", "#n/a", "none", "null", "-", "–", "—"})  # representations of "unknown", in lower case
_SEPARATORS = ",;\t|"
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+)(?:[eE][+-]?\d+)?")  # cannot be a thousands separator
_DECIMAL_POINT = re.compile(r"[+-]?(?:\d+\.(?:\d{1,2}|\d{4,})|0\.\d+)(?:[eE][+-]?\d+)?")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}(?:[.,]\d{3})+")  # 1,234 or 1.234: thousands or decimals
_ROUNDED = re.compile(r"\d([.,]\d+)?[eE]\+?\d+")
_MINUS_SIGNS = str.maketrans({"−": "-", "‐": "-", "‑": "-", "\u00a0": "", "\u202f": "", " ": "", "'": ""})
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f"))


@dataclass(frozen=True)
class Row:
    """One row of a table; `cells` are stripped, by column name in lower case. A column that the row ends before is not in it."""

    table: "Table"
    line: int  # of the file, the first being 1
    cells: Mapping[str, str]

    def has(self, name: str) -> bool:
        """Whether the cell is there and not blank."""
        return self.cells.get(name.lower(), "").lower() not in BLANK

    def optional(self, name: str) -> str | None:
        """The text of a cell; None where it is blank or the table has no such column."""
        return self._text(name) if self.has(name) else None

    def word(self, name: str, remedy: str = "fill it or leave the row out") -> str:
        """The text of a cell.

        Raises:
            UnreadableInput: it is blank, missing, or no Unicode text.
        """
        if not self.has(name):
            if name.lower() in self.cells:
                raise self.error(name, f"is blank ({self.cells[name.lower()]!r}); {remedy}")
            raise UnreadableInput(
                f"{self.table.path}, line {self.line} has {len(self.cells)} cells, another number of cells than the header ({len(self.table.columns)}):"
                f" it ends before {name}"
            )
        return self._text(name)

    def identifier(self, name: str, remedy: str = "fill it or leave the row out") -> str:
        """A name or number used as identifier: `="007"` and `12.0` of spreadsheets come back as 007 and 12.

        Raises:
            UnreadableInput: it is blank, or a spreadsheet has rounded it.
        """
        text = self.word(name, remedy)
        if text.startswith('="') and text.endswith('"'):
            text = text[2:-1]
        if _ROUNDED.fullmatch(text):
            raise self.error(
                name, f"is {text!r}: a spreadsheet has rounded the number, and its last digits are lost; format the column as text and export it again"
            )
        return text[:-2] if text.endswith(".0") and name.lower() in self.table.float_columns else text

    def number(self, name: str, low: float = -1e12, high: float = 1e12, meaning: str = "a number") -> float:
        """A finite number from `low` to `high`, whichever decimal sign the table uses.

        Raises:
            UnreadableInput: the cell is blank, no number, out of range, or can be read in two ways.
        """
        text = self.word(name)
        value = self._parsed(name, text, meaning)
        if not low <= value <= high:
            raise self.error(name, f"is {text}, but {meaning} from {low:g} to {high:g} is needed")
        return value

    def optional_number(self, name: str, low: float = -1e12, high: float = 1e12, meaning: str = "a number") -> float | None:
        """As `number`; None where the cell is blank or the table has no such column."""
        return self.number(name, low, high, meaning) if self.has(name) else None

    def whole(self, name: str, low: int = -(10**12), high: int = 10**12) -> int:
        """A whole number from `low` to `high`; 3.0 is one."""
        value = self.number(name, low, high, "a whole number")
        if value != int(value):
            raise self.error(name, f"is {self.cells[name.lower()]}, but a whole number is needed")
        return int(value)

    def file_name(self, name: str) -> str:
        """A file below the folder that the table belongs to, with `/` between folders also where it was written on Windows.

        Raises:
            UnreadableInput: the cell is blank or leads outside of the folder.
        """
        text = self.word(name)
        path = PureWindowsPath(text)
        if path.anchor or ".." in path.parts or "\0" in text:
            raise self.error(name, f"is {text!r}, which is not the name of a file inside the folder; write paths relative to it")
        return path.as_posix()

    def error(self, name: str, what: str) -> UnreadableInput:
        """An error on one cell, to be raised."""
        return UnreadableInput(f"{self.table.path}, line {self.line}: {name} {what}")

    def _text(self, name: str) -> str:
        text = self.cells[name.lower()]
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise self.error(name, "is not UTF-8 text; save the table as CSV in UTF-8 (in Excel: 'CSV UTF-8')")
        return text

    def _parsed(self, name: str, text: str, meaning: str) -> float:
        plain = text.translate(_MINUS_SIGNS)
        if _EITHER.fullmatch(plain) and ("," in plain) != (self.table.decimal_sign == ","):
            raise self.error(name, f"is {text!r}, which can be read in two ways; write numbers without thousands separators")
        if self.table.decimal_sign == "," or _DECIMAL_COMMA.fullmatch(plain):
            plain = plain.replace(",", ".") if plain.count(",") == 1 and "." not in plain else plain
        try:
            value = float(plain) if "_" not in plain else float("nan")
        except ValueError:
            value = float("nan")
        if math.isnan(value):
            raise self.error(name, f"is {text!r}, but {meaning} is needed")
        return value


@dataclass(frozen=True)
class Table:
    """A table with a header."""

    path: Path
    separator: str
    columns: tuple[str, ...]  # as written, stripped
    lines: tuple[tuple[int, tuple[str, ...]], ...]  # (line number, cells) of the rows that are not empty

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in lower case."""
        return tuple(column.lower() for column in self.columns)

    @property
    def rows(self) -> Iterator[Row]:
        """The rows in order."""
        names = self.names
        for line, cells in self.lines:
            yield Row(self, line, {name: cell for name, cell in zip(names, cells, strict=False) if name})

    @cached_property
    def decimal_sign(self) -> str:
        """ "," where cells are separated by something else and numbers of the table can only be read with a decimal comma; otherwise "."."""
        if self.separator == ",":
            return "."
        cells = [cell.translate(_MINUS_SIGNS) for _, row in self.lines for cell in row]
        commas, points = (sum(bool(pattern.fullmatch(cell)) for cell in cells) for pattern in (_DECIMAL_COMMA, _DECIMAL_POINT))
        return "," if commas and not points else "."

    @cached_property
    def float_columns(self) -> frozenset[str]:
        """Columns that hold only whole numbers written as 12.0, as programs write identifiers of a column with blanks."""
        found = set()
        for place, name in enumerate(self.names):
            cells = [row[place] for _, row in self.lines if place < len(row) and row[place].lower() not in BLANK]
            if cells and all(re.fullmatch(r"\d+\.0", cell) for cell in cells):
                found.add(name)
        return frozenset(found)


def read_table(path: Path, needs: Sequence[str] = (), example: str = "") -> Table:
    """The table at `path`.

    Args:
        path: a CSV file.
        needs: columns that must be there, in any case and order.
        example: added to the message on a missing column, to describe the expected table.

    Raises:
        UnreadableInput: no file, no CSV, no rows, a column is missing or comes twice, or a row has more cells than the header.
    """
    text = _text(path)
    separator, skip = _separator(text, needs)
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
        rows = [(reader.line_num, tuple(cell.translate(_INVISIBLE).strip() for cell in row)) for row in reader]
    except csv.Error as error:
        raise UnreadableInput(f"{path} is not a proper CSV table ({error}); save it again from the program that made it") from None
    rows = [(line, row) for line, row in rows[skip:] if any(row)]
    if not rows:
        raise UnreadableInput(f"{path} is empty; a header line and rows are needed")
    header = rows[0][1]
    table = Table(path, separator, header, tuple(_fitting(path, header, line, row) for line, row in rows[1:]))
    missing = [name for name in needs if name.lower() not in table.names]
    if missing:
        raise UnreadableInput(f"{path} has no column {', '.join(missing)}; found {', '.join(filter(None, header))}. {example or 'Name the columns like this'}")
    double = sorted({name for name in table.names if name and table.names.count(name) > 1})
    if double:
        raise UnreadableInput(f"{path} has the column {double[0]!r} more than once; leave one")
    if not table.lines:
        raise UnreadableInput(f"{path} has a header but no rows")
    return table


def _text(path: Path) -> str:
    """The file as text with \\n for line breaks; bytes that are not UTF-8 become lone surrogates, which `Row` rejects where they are used."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableInput(f"{path} does not exist") from None
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be read as a CSV table ({error.strerror})") from None
    if content[:2] == b"PK" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise UnreadableInput(f"{path} is a workbook, not a CSV table; save it as 'CSV UTF-8' from the spreadsheet")
    wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = content.decode("utf-16", errors="replace") if wide else content.decode("utf-8-sig", errors="surrogateescape")
    if "\0" in text:
        raise UnreadableInput(f"{path} cannot be read as a CSV table (it holds zero bytes); save it as CSV in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(text: str, needs: Sequence[str]) -> tuple[str, int]:
    """The separator, and the number of lines before the header."""
    lines = text.split("\n")
    declared = re.fullmatch(r'"?sep=(.)"?', lines[0].strip("\r\n ") if lines else "", flags=re.IGNORECASE)
    if declared:
        return declared[1], 1
    first = next((line for line in lines if line.strip()), "")
    found: dict[str, list[str]] = {}
    for separator in _SEPARATORS:
        try:
            header = next(csv.reader([first], delimiter=separator), [])
        except csv.Error:
            continue
        found[separator] = [cell.translate(_INVISIBLE).strip().lower() for cell in header]
    wanted = {name.lower() for name in needs}
    return max(found, key=lambda separator: (len(wanted & set(found[separator])), len(found[separator])), default=","), 0


def _fitting(path: Path, header: tuple[str, ...], line: int, row: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """The row without blank cells beyond the header."""
    if any(row[len(header) :]):
        raise UnreadableInput(
            f"{path}, line {line} has {len(row)} cells, but the header has {len(header)}; a stray separator, a missing quote, or decimal commas?"
        )
    return line, row[: len(header)]
