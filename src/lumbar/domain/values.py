"""Findings as one row per value: the tidy table that `results.csv` and data frames hold. Read from findings.json, so that earlier runs work, too."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lumbar.domain.anatomy import Condition, Severity, Side

Document = Mapping[str, Any]


class ValueRow(NamedTuple):
    """One value of one study."""

    study: str
    level: str  # "L4/L5", a vertebra "L4", or "" for the whole
    side: str  # "left", "right" or ""
    structure: str
    finding: str
    value: float
    unit: str
    error: float | None  # ± of one standard deviation, or half an interval where the finding has one
    quality: str  # "passed", "doubtful", "failed" or "" where nothing was checked


COLUMNS = ValueRow._fields
GRADE_UNIT = "grade 0-2"  # 0 normal or mild, 1 moderate, 2 severe
_GRADES = [severity.value for severity in Severity]
_STRUCTURES = {
    Condition.SPINAL_CANAL_STENOSIS: "canal",
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: "foramen",
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: "foramen",
    Condition.LEFT_SUBARTICULAR_STENOSIS: "recess",
    Condition.RIGHT_SUBARTICULAR_STENOSIS: "recess",
}
_UNITS = (("_mm2", "mm²"), ("_mm", "mm"), ("_ml", "ml"), ("_degrees", "°"), ("_years", "years"), ("_percent", "%"))
_NO_VALUES = {"center_mm", "canal_center_mm", "level", "vertebra", "muscle", "side", "method", "condition"}


def value_rows(study: str, document: Document) -> list[ValueRow]:
    """All values of one findings.json, in its order; values that could not be measured have no row."""
    whole = (document.get("quality") or {}).get("status") or ""
    rows = [*_spine(document), *_severity(document), *_discs(document), *_muscles(document), *_age(document)]
    return [
        ValueRow(study, level, side, structure, finding, value, _unit(finding), error, entry.get("quality") or whole)
        for entry, (level, side, structure), (finding, value, error) in rows
    ]


_Value = tuple[str, float, float | None]  # finding, value, error
_Row = tuple[Document, tuple[str, str, str], _Value]  # the entry that it comes from, (level, side, structure), the value


def _unit(finding: str) -> str:
    if finding.endswith("_grade_0_2"):
        return GRADE_UNIT
    return next((unit for ending, unit in _UNITS if finding.endswith(ending)), "")


def _numbers(part: Document) -> Iterator[_Value]:
    """Numeric fields of one entry with their errors, which a field `<name>_error` beside them holds."""
    for name, value in part.items():
        if name in _NO_VALUES or name.endswith("_error") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        error = part.get(f"{name}_error")
        yield name, float(value), float(error) if isinstance(error, int | float) else None


def _spine(document: Document) -> Iterator[_Row]:
    spine = document.get("spine") or {}
    for value in _numbers(spine):
        yield spine, ("", "", "spine"), value
    for vertebra in spine.get("vertebrae") or ():
        for value in _numbers(vertebra):
            yield vertebra, (vertebra["vertebra"], "", "vertebra"), value
    for level in spine.get("levels") or ():
        for value in _numbers(level):
            structure = value[0].split("_")[0] if value[0].startswith(("disc_", "canal_")) else "segment"
            yield level, (level["level"], "", structure), value


def _severity(document: Document) -> Iterator[_Row]:
    for entry in document.get("severity") or ():
        condition = Condition(entry["condition"])
        side = next((side.value for side in Side if condition.value.startswith(side.value)), "")
        name = condition.value.removeprefix(f"{side}_")
        clinical = entry.get("clinical_probabilities") or entry["probabilities"]
        place = entry["level"], side, _STRUCTURES[condition]
        yield entry, place, (f"{name}_grade_0_2", float(_GRADES.index(entry["severity"])), None)
        yield entry, place, (f"{name}_score", float(entry["severity_score"]), None)
        yield entry, place, (f"{name}_p_severe", float(clinical["severe"]), None)


def _discs(document: Document) -> Iterator[_Row]:
    for entry in document.get("disc_grades") or ():
        for name, value, error in _numbers(entry):
            yield entry, (entry["level"], "", "disc"), (name if name.startswith("pfirrmann") else f"disc_{name}_p", value, error)


def _muscles(document: Document) -> Iterator[_Row]:
    for entry in document.get("muscles") or ():
        for value in _numbers(entry):
            yield entry, ("", entry["side"], entry["muscle"]), value
        for level in entry.get("per_level") or ():
            for value in _numbers(level):
                yield entry, (level["level"], entry["side"], entry["muscle"]), value


def _age(document: Document) -> Iterator[_Row]:
    age = document.get("age") or {}
    interval = age.get("interval_years")
    for name, value, error in _numbers(age):
        if name != "coverage":
            half = (interval[1] - interval[0]) / 2 if interval and name == "predicted_age_years" else error
            yield age, ("", "", "spine"), (name, value, half)
    for entry in age.get("features") or ():
        yield age, ("", "", "spine"), (f"age_feature_{entry['name']}", float(entry["value"]), None)
    for entry in age.get("level_ages") or ():
        yield age, (entry["level"], "", "segment"), ("predicted_age_years", float(entry["predicted_age_years"]), None)
    for entry in age.get("age_selta") or ():
        yield age, (entry["level"], "", "segment"), ("age_selta", float(entry["value"]), None)
