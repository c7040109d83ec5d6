"""Tables of grades: `train.csv` with one row per study and 25 columns."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lumbar.datasets.rsna2024_labels import COLUMNS, parse_grade
from lumbar.domain.anatomy import Severity
from lumbar.errors import UnreadableInput
from lumbar.io.tables import Row, read_table

Grades = Mapping[str, Mapping[str, Severity | None]]  # study → column (`{condition}_{level}`) → grade, None where blank
Report = Callable[[str, str], None]  # called with the study and its error


def read_grades(path: Path, report: Report | None = None) -> Grades:
    """The grades in `path`; columns that the table does not have are left out.

    With `report`, an invalid grade is reported and counts as blank, and a second row of a study is reported and left out.

    Raises:
        UnreadableInput: the file cannot be read, has no study_id or none of the 25 columns; or, without `report`, one of the faults above.
    """
    result: dict[str, dict[str, Severity | None]] = {}
    table = read_table(path, ("study_id",), f"A table of grades has study_id and columns like {COLUMNS[0]}")
    present = [column for column in COLUMNS if column in table.names]
    if not present:
        raise UnreadableInput(f"{path} has no column like {COLUMNS[0]}; it is not a table like train.csv")
    for row in table.rows:
        study = row.identifier("study_id")
        where = f"{path}, line {row.line}"
        if study in result:
            _tell(report, study, f"{where}: study {study} occurs a second time; each study has one row")
        else:
            result[study] = {column: _grade(row, column, study, f"{where}, column {column}", report) for column in present}
    return result


def _grade(row: Row, column: str, study: str, where: str, report: Report | None) -> Severity | None:
    try:
        if column not in row.cells:
            raise ValueError("the row ends before this column")
        return parse_grade(row.optional(column) or "")
    except ValueError as error:
        _tell(report, study, f"{where}: {error}")
        return None


def _tell(report: Report | None, study: str, text: str) -> None:
    if report is None:
        raise UnreadableInput(text)
    report(study, text)
