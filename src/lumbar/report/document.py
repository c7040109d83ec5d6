"""Findings as the document `findings.json`: the names of `domain/findings.py`, rounded here and nowhere else."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from importlib import resources
from typing import Any

from lumbar import __version__
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings, ModelResult, ModelUse
from lumbar.domain.quality import Quality
from lumbar.domain.rounding import decimals, rounded
from lumbar.quality.assess import status_of

SCHEMA_VERSION = "1.0"
_LINE = 2000  # characters; with short lines a tenth of the file is indentation
_SEPARATORS = (",", ":")
RESEARCH_USE = "Research use only. Not a medical device. Not for diagnosis or treatment decisions."


def to_document(findings: Findings) -> dict[str, Any]:
    """The document as plain lists, numbers and words, in the order of the published schema."""
    plain = to_plain(findings)
    return {
        "schema_version": SCHEMA_VERSION,
        "software": {"name": "lumbar", "version": __version__},
        "statement": RESEARCH_USE,
        "models": [to_plain(replace(use, results=_headlines(use))) for use in findings.models],
        "warnings": plain["warnings"],
        "unmet_tasks": plain["unmet_tasks"],
        "input": {"study_uid": findings.study_uid, "series": plain["series"]},
        "quality": plain["quality"],
        **_marked(findings, {key: plain[key] for key in ("spine", "severity", "disc_grades", "muscles", "age")}),
        **plain["extra"],
    }


def to_json(document: dict[str, Any]) -> str:
    """The text of `findings.json`, compact: parts that fit on one line are not broken, and separators have no spaces."""
    return _laid_out(document, "") + "\n"


def _laid_out(value: Any, indent: str) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=_SEPARATORS)
    if not isinstance(value, dict | list) or len(indent) + len(line) <= _LINE:
        return line
    inner = indent + " "
    if isinstance(value, dict):
        return "{\n" + _filled([f"{json.dumps(key, ensure_ascii=False)}:{_laid_out(item, inner)}" for key, item in value.items()], inner) + f"\n{indent}}}"
    return "[\n" + _filled([_laid_out(item, inner) for item in value], inner) + f"\n{indent}]"


def _filled(parts: list[str], indent: str) -> str:
    """Parts on indented lines, as many on each as fit."""
    lines = [indent + parts[0]]
    for part in parts[1:]:
        fits = "\n" not in lines[-1] + part and len(lines[-1]) + len(part) < _LINE
        lines[-1:] = [f"{lines[-1]},{part}"] if fits else [f"{lines[-1]},", indent + part]
    return "\n".join(lines)


def schema() -> dict[str, Any]:
    """The JSON Schema of `findings.json`, as published with the package."""
    text = resources.files("lumbar.report").joinpath("findings.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _headlines(use: ModelUse) -> tuple[ModelResult, ...]:
    """The first headline result of each structure; the report and the model card hold the others."""
    found: dict[str, ModelResult] = {}
    for result in use.results:
        if result.headline:
            found.setdefault(result.structure, result)
    return tuple(found.values())


def _marked(findings: Findings, parts: dict[str, Any]) -> dict[str, Any]:
    """`parts` with the quality status of each result whose status is not that of the study."""
    if findings.quality is None:
        return parts
    levels = {level.value: level for level in Level}
    for part, entries in (*((key, parts[key]) for key in ("severity", "disc_grades", "muscles")), ("spine", (parts["spine"] or {}).get("levels", ()))):
        for entry in entries:
            _mark(entry, findings.quality, status_of(findings.quality, part, levels.get(entry.get("level"))))
    if parts["age"]:
        _mark(parts["age"], findings.quality, status_of(findings.quality, "age"))
    return parts


def _mark(entry: dict[str, Any], study: Quality, status: str) -> None:
    if status != study.status:
        entry["quality"] = status


def _is_written(value: Any, field: dataclasses.Field[Any]) -> bool:
    written = field.metadata.get("written", "always")
    return written == "always" or (written == "if any" and getattr(value, field.name) != field.default)


def to_plain(value: Any, digits: int = decimals("")) -> Any:
    """Dataclasses, tuples, mappings and enumerations as plain rounded values; non-finite values become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name), decimals(field.name)) for field in dataclasses.fields(value) if _is_written(value, field)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_plain(item, digits) for item in value]
    if isinstance(value, Mapping):
        return {key: to_plain(item, digits) for key, item in value.items()}
    if isinstance(value, float):
        return rounded(value, digits) if math.isfinite(value) else None
    # File names may contain bytes that are not text.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
