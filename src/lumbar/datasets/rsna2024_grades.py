"""Tables of grades: `train.csv` with a row a study and 25 columns."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from lumbar.datasets.rsna2024_labels import COLUMNS, parse_grade
from lumbar.domain.anatomy import Severity
from lumbar.errors import UnreadableInput

Grades = Mapping[str, Mapping[str, Severity | None]]  # study → column (`{condition}_{level}`) → grade, None where blank
Report = Callable[[str, str], None]  # is told the study and what is wrong with it


def read_grades(path: Path, report: Report | None = None) -> Grades:
    """The grades in `path`; columns that the table does not have are left out.

    With `report`, a cell that is no grade is reported and counts as blank, and a study's second row is reported and left out.

    Raises:
        UnreadableInput: the file cannot be read, has no study_id or none of the 25 columns; or, without `report`, one of the faults above.
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
                where = f"{path}, line {reader.line_num}"
                if study in result:
                    _tell(report, study, f"{where}: study {study} comes a second time; each study has one row")
                else:
                    result[study] = {column: _grade(row[column], study, f"{where}, column {column}", report) for column in present}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInput(f"{path} cannot be read as a CSV table ({error})") from error
    if not result:
        raise UnreadableInput(f"{path} has a header and no studies")
    return result


def _grade(text: str | None, study: str, where: str, report: Report | None) -> Severity | None:
    try:
        if text is None:
            raise ValueError("the row ends before this column")
        return parse_grade(text)
    except ValueError as error:
        _tell(report, study, f"{where}: {error}")
        return None


def _tell(report: Report | None, study: str, text: str) -> None:
    if report is None:
        raise UnreadableInput(text)
    report(study, text)
