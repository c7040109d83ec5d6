"""Findings as one row per value: the tidy table that `results.csv` and data frames hold. It is read off findings.json, so results of any run will do."""

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
    quality = _Quality(document)
    rows = [*_spine(document), *_severity(document), *_discs(document), *_muscles(document), *_age(document)]
    return [ValueRow(study, *row[:5], _unit(row[3]), row[5], quality.of(row[0])) for row in rows]


_Row = tuple[str, str, str, str, float, float | None]  # level, side, structure, finding, value, error


class _Quality:
    """The verdict of the quality checks on a level, or on the whole study."""

    def __init__(self, document: Document) -> None:
        part = document.get("quality") or {}
        self._study = part.get("status") or ""
        self._levels: dict[str, str] = {}
        order = ("passed", "doubtful", "failed")
        for check in part.get("checks") or ():
            level, status = check.get("level"), check.get("status")
            if level and status in order:
                self._levels[level] = max(self._levels.get(level, "passed"), status, key=order.index)

    def of(self, level: str) -> str:
        return self._levels.get(level, self._study)


def _unit(finding: str) -> str:
    if finding.endswith("_grade_0_2"):
        return GRADE_UNIT
    return next((unit for ending, unit in _UNITS if finding.endswith(ending)), "")


def _numbers(part: Document) -> Iterator[tuple[str, float, float | None]]:
    """Numeric fields of one entry with their errors, which a field `<name>_error` beside them holds."""
    for name, value in part.items():
        if name in _NO_VALUES or name.endswith("_error") or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        error = part.get(f"{name}_error")
        yield name, float(value), float(error) if isinstance(error, int | float) else None


def _spine(document: Document) -> Iterator[_Row]:
    spine = document.get("spine") or {}
    for name, value, error in _numbers(spine):
        yield "", "", "spine", name, value, error
    for vertebra in spine.get("vertebrae") or ():
        for name, value, error in _numbers(vertebra):
            yield vertebra["vertebra"], "", "vertebra", name, value, error
    for level in spine.get("levels") or ():
        for name, value, error in _numbers(level):
            structure = name.split("_")[0] if name.startswith(("disc_", "canal_")) else "segment"
            yield level["level"], "", structure, name, value, error


def _severity(document: Document) -> Iterator[_Row]:
    for entry in document.get("severity") or ():
        condition, level = Condition(entry["condition"]), entry["level"]
        side = next((side.value for side in Side if condition.value.startswith(side.value)), "")
        name = condition.value.removeprefix(f"{side}_")
        clinical = entry.get("clinical_probabilities") or entry["probabilities"]
        structure = _STRUCTURES[condition]
        yield level, side, structure, f"{name}_grade_0_2", float(_GRADES.index(entry["severity"])), None
        yield level, side, structure, f"{name}_score", float(entry["severity_score"]), None
        yield level, side, structure, f"{name}_p_severe", float(clinical["severe"]), None


def _discs(document: Document) -> Iterator[_Row]:
    for entry in document.get("disc_grades") or ():
        for name, value, error in _numbers(entry):
            yield entry["level"], "", "disc", name if name.startswith("pfirrmann") else f"disc_{name}_p", value, error


def _muscles(document: Document) -> Iterator[_Row]:
    for entry in document.get("muscles") or ():
        for name, value, error in _numbers(entry):
            yield "", entry["side"], entry["muscle"], name, value, error
        for level in entry.get("per_level") or ():
            for name, value, error in _numbers(level):
                yield level["level"], entry["side"], entry["muscle"], name, value, error


def _age(document: Document) -> Iterator[_Row]:
    age = document.get("age") or {}
    interval = age.get("interval_years")
    for name, value, error in _numbers(age):
        if name == "coverage":
            continue
        half = (interval[1] - interval[0]) / 2 if interval and name == "predicted_age_years" else error
        yield "", "", "spine", name, value, half
    for entry in age.get("level_ages") or ():
        yield entry["level"], "", "segment", "predicted_age_years", float(entry["predicted_age_years"]), None
    for entry in age.get("age_selta") or ():
        yield entry["level"], "", "segment", "age_selta", float(entry["value"]), None
