"""Tables of grades: `train.csv` with a row a study and 25 columns."""

import csv
from collections.abc import Mapping
from pathlib import Path

from lumbar.datasets.rsna2024_labels import COLUMNS, parse_grade
from lumbar.domain.anatomy import Severity
from lumbar.errors import UnreadableInput

Grades = Mapping[str, Mapping[str, Severity | None]]  # study → column (`{condition}_{level}`) → grade, None where blank


def read_grades(path: Path) -> Grades:
    """The grades in `path`; columns that the table does not have are left out.

    Raises:
        UnreadableInput: the file cannot be read, has no study_id or none of the 25 columns, names a study twice, or has a cell that is no grade.
    """
    result: dict[str, dict[str, Severity | None]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            present = [column for column in COLUMNS if column in (reader.fieldnames or ())]
            if "study_id" not in (reader.fieldnames or ()) or not present:
                raise UnreadableInput(f"{path} has no study_id or no column like {COLUMNS[0]}; it is not a table like train.csv")
            for row in reader:
                study = row["study_id"]
                if study in result:
                    raise UnreadableInput(f"{path}, line {reader.line_num}: study {study} comes a second time; each study has one row")
                result[study] = {column: _grade(row[column], path, reader.line_num, column) for column in present}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput(f"{path} cannot be read as a CSV table ({error})") from error
    if not result:
        raise UnreadableInput(f"{path} has a header and no studies")
    return result


def _grade(text: str | None, path: Path, line: int, column: str) -> Severity | None:
    if text is None:
        raise UnreadableInput(f"{path}, line {line}: the row ends before the column {column}")
    try:
        return parse_grade(text)
    except ValueError as error:
        raise UnreadableInput(f"{path}, line {line}, column {column}: {error}") from error
