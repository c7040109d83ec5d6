"""Spelling of grades, conditions and levels in the RSNA 2024 tables, and their forms here."""

from lumbar.domain.anatomy import Condition, Level, Severity

GRADES = {"Normal/Mild": Severity.NORMAL_MILD, "Moderate": Severity.MODERATE, "Severe": Severity.SEVERE}
CONDITIONS = {condition.value.replace("_", " ").title(): condition for condition in Condition}  # "Spinal Canal Stenosis" in the coordinates
LEVELS = {level.value: level for level in Level}
COLUMNS = tuple(f"{condition.value}_{level.slug}" for condition in Condition for level in Level)  # the 25 columns of train.csv
SUBMISSION_COLUMNS = ("row_id", *(severity.value for severity in Severity))


def parse_grade(text: str) -> Severity | None:
    """The grade that a cell names, None for a blank cell.

    Raises:
        ValueError: the cell holds something else.
    """
    if not text.strip():
        return None
    if text.strip() not in GRADES:
        raise ValueError(f"{text!r} is none of {', '.join(GRADES)} or blank")
    return GRADES[text.strip()]


def row_id(study_id: str, condition: Condition, level: Level) -> str:
    """The name of a row of a submission."""
    return f"{study_id}_{condition.value}_{level.slug}"
