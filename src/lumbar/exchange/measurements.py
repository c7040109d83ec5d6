"""Findings as groups of coded measurements and qualitative findings: the content of the structured report and of the FHIR observations."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.sr.coding import Code

from lumbar.domain.anatomy import Condition, Level, Vertebra
from lumbar.domain.findings import DiscGrades, Evidence, Findings, MuscleFinding, SeverityFinding
from lumbar.domain.rounding import decimals
from lumbar.exchange.codes import (
    DISCS,
    GRADES,
    LEVELS,
    LUMBAR_SPINE,
    MUSCLES,
    SIDES,
    VERTEBRAE,
    VERTEBRAL_CANAL,
    condition_code,
    measurement_code,
    private,
    side_of,
    site_of,
    unit_code,
)

_NOT_MEASURED = {"uncertain", "meyerding_grade", "pfirrmann_grade"}  # grades are qualitative


@dataclass(frozen=True)
class Value:
    """One number."""

    name: Code
    value: float
    unit: Code
    error: float | None = None  # ± of one standard deviation


@dataclass(frozen=True)
class Grade:
    """One coded qualitative finding."""

    name: Code
    value: Code


@dataclass(frozen=True)
class Group:
    """All findings at one anatomical site."""

    key: str  # unique in a report
    label: str  # for people
    finding: Code
    site: Code
    side: Code | None = None
    level: Code | None = None
    segment: str | None = None  # key of the segment that was measured
    values: tuple[Value, ...] = ()
    grades: tuple[Grade, ...] = ()
    evidence: Evidence | None = None  # the image that it rests on
    task: str = "spine"


def groups(findings: Findings) -> tuple[Group, ...]:
    """All groups of an analysis, in the order of findings.json; groups without a value are left out."""
    made = (*_spine(findings), *map(_severity, findings.severity), *map(_disc_grades, findings.disc_grades), *_muscles(findings), *_age(findings))
    return tuple(group for group in made if group.values or group.grades)


def _values(part: Any) -> tuple[Value, ...]:
    """The numeric fields of a finding with the errors that fields `<name>_error` hold."""
    fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return tuple(
        Value(measurement_code(name), round(float(value), decimals(name)), unit_code(name), _rounded(fields.get(f"{name}_error"), f"{name}_error"))
        for name, value in fields.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and name not in _NOT_MEASURED and not name.endswith("_error")
    )


def _rounded(value: Any, name: str) -> float | None:
    return round(float(value), decimals(name)) if isinstance(value, int | float) and math.isfinite(value) else None


def _spine(findings: Findings) -> Iterator[Group]:
    spine = findings.spine
    if spine is None:
        return
    certain = Grade(private("level_names"), private("certain" if spine.numbering.confident else "uncertain"))
    yield Group("spine", "Lumbar spine", private("alignment"), LUMBAR_SPINE, values=_values(spine), grades=(certain,))
    for vertebra in spine.vertebrae:
        if vertebra.vertebra in VERTEBRAE and vertebra.vertebra is not Vertebra.S1:
            name = vertebra.vertebra.value
            yield Group(name, f"{name} vertebral body", private("vertebral_body"), VERTEBRAE[vertebra.vertebra], segment=name, values=_values(vertebra))
    for level in spine.levels:
        name, code = level.level.value, LEVELS[level.level]
        values = {value.name.value: value for value in _values(level)}
        canal = tuple(value for slug, value in values.items() if slug.startswith("canal_"))
        slip = tuple(value for slug, value in values.items() if slug.startswith(("slip_", "segmental_")))
        disc = tuple(value for value in values.values() if value not in canal and value not in slip)
        meyerding = level.meyerding_grade
        grades = () if meyerding is None else (Grade(private("meyerding_grade"), private(f"meyerding_{meyerding}")),)
        yield Group(f"disc {name}", f"{name} disc", private("disc"), DISCS[level.level], segment=name, values=disc)
        yield Group(f"canal {name}", f"Canal at {name}", private("canal"), VERTEBRAL_CANAL, level=code, values=canal)
        yield Group(f"segment {name}", f"Segment {name}", private("motion_segment"), LUMBAR_SPINE, level=code, values=slip, grades=grades)


def _severity(found: SeverityFinding) -> Group:
    condition, level = found.condition, found.level
    side, code = side_of(condition), condition_code(condition)
    probabilities = found.clinical_probabilities
    values = tuple(
        Value(private(f"probability_{name}"), round(getattr(probabilities, name), decimals("")), unit_code(""))
        for name in ("normal_mild", "moderate", "severe")
    )
    score = Value(private("severity_score"), round(found.severity_score, decimals("")), unit_code(""))
    sure = Grade(private("certainty"), private("uncertain" if found.uncertain else "certain"))
    label = f"{condition.value.replace('_', ' ').capitalize()} {level.value}"
    return Group(
        f"{condition.value} {level.value}", label, code, site_of(condition), SIDES[side] if side else None, LEVELS[level],
        "canal" if condition is Condition.SPINAL_CANAL_STENOSIS else None, (*values, score), (Grade(code, GRADES[found.severity]), sure),
        found.evidence, "severity",
    )  # fmt: skip


def _disc_grades(found: DiscGrades) -> Group:
    name = found.level.value
    values = [Value(private(f"probability_pfirrmann_{grade}"), round(p, decimals("")), unit_code("")) for grade, p in found.probabilities.items()]
    values += [Value(private(f"probability_{value.name.value}"), value.value, value.unit, value.error) for value in _values(found)]
    grade = found.pfirrmann_grade
    grades = () if grade is None else (Grade(private("pfirrmann_grade"), private(f"pfirrmann_{grade}")),)
    return Group(f"degeneration {name}", f"{name} disc degeneration", private("disc_degeneration"), DISCS[found.level], segment=name, values=tuple(values),
                 grades=grades, task="discs")  # fmt: skip


def _muscles(findings: Findings) -> Iterator[Group]:
    for found in findings.muscles:
        yield _muscle(found)
        for place in found.per_level:
            group = _muscle(found)
            label = f"{group.label} at {place.level.value}"
            yield dataclasses.replace(group, key=f"{group.key} {place.level.value}", label=label, level=LEVELS[place.level], values=_values(place), grades=())


def _muscle(found: MuscleFinding) -> Group:
    name = f"{found.side.value} {found.muscle.value.replace('_', ' ')}"
    method = (Grade(private("fat_method"), private(found.method)),) if found.method else ()
    return Group(name, name.capitalize(), private("muscle"), MUSCLES[found.muscle], SIDES[found.side], segment=name, values=_values(found), grades=method,
                 task="muscle")  # fmt: skip


def _age(findings: Findings) -> Iterator[Group]:
    age = findings.age
    if age is None or age.predicted_age_years is None:
        return
    half = (age.interval_years[1] - age.interval_years[0]) / 2 if age.interval_years else 0.0
    values = [value for value in _values(age) if value.name.value != "coverage"]
    values = [dataclasses.replace(value, error=round(half, decimals("_years"))) if value.name.value == "predicted_age_years" else value for value in values]
    yield Group("age", "Age of the spine", private("spine_age"), LUMBAR_SPINE, values=tuple(values), task="age")
    for one in age.level_ages:
        value = Value(private("predicted_age_years"), round(one.predicted_age_years, decimals("_years")), unit_code("_years"))
        yield Group(f"age {one.level}", f"Age of {one.level}", private("spine_age"), LUMBAR_SPINE, level=LEVELS[Level(one.level)], values=(value,), task="age")
