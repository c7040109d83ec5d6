"""The JSON Schema of `findings.json`, generated from the dataclasses of `domain/findings.py`.

`scripts/write_schema.py` writes it to `findings.schema.json`, which is published with the package; a test fails when the two drift apart. Descriptions
are the comments of the fields.
"""

import dataclasses
import inspect
import re
import types
import typing
from enum import Enum
from typing import Any

from lumbar.domain import findings as domain
from lumbar.domain.quality import STATUSES

_COMMENT = re.compile(r"^\s+(\w+):[^#]*?(?:#\s*(.+))?$")
# Parts of the document to which `to_document` adds the verdict of the quality checks, under the key `quality`.
_JUDGED = (domain.LevelFinding, domain.SeverityFinding, domain.DiscGrades, domain.MuscleFinding, domain.AgeFinding)
_PLAIN: dict[type, str] = {str: "string", float: "number", int: "integer", bool: "boolean"}


def build_schema(version: str) -> dict[str, Any]:
    """The schema of documents of `version` ("1.0"), as `report.document.to_document` makes them."""
    definitions: dict[str, Any] = {}
    fields = typing.get_type_hints(domain.Findings)
    parts = {name: type_schema(fields[name], definitions) for name in fields if name not in {"study_uid", "series", "extra"}}
    series = type_schema(fields["series"], definitions)
    major = version.split(".", maxsplit=1)[0]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"lumbar/findings-{version}",
        "title": "Findings of `lumbar analyze`",
        "description": "Points are LPS millimetres of the input. A value that could not be measured is null, and a warning gives the reason. "
        "Within a major version, fields may be added but are never renamed. An optional field may be omitted where it does not apply.",
        "type": "object",
        "properties": {
            "schema_version": {"type": "string", "pattern": f"^{major}\\."},
            "software": {"type": "object", "properties": {"name": {"const": "lumbar"}, "version": {"type": "string"}}, "required": ["name", "version"]},
            "statement": {"type": "string"},
            "input": {"type": "object", "properties": {"study_uid": {"type": "string"}, "series": series}, "required": ["study_uid", "series"]},
            **parts,
        },
        "required": ["schema_version", "software", "statement", "input", *parts],
        "$defs": dict(sorted(definitions.items())),
    }


def type_schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one type hint; dataclasses go to `definitions`."""
    if hint is Any:
        return {}
    if typing.get_args(hint):
        return _generic(hint, definitions)
    if dataclasses.is_dataclass(hint):
        return _reference(typing.cast(type, hint), definitions)
    return {"enum": [member.value for member in hint]} if issubclass(hint, Enum) else {"type": _PLAIN[hint]}


def _generic(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a union, a literal, a tuple or a mapping."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [{"type": "null"} if one is type(None) else type_schema(one, definitions) for one in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is not tuple:
        return {"type": "object", "additionalProperties": type_schema(arguments[1], definitions)}
    items = {"type": "array", "items": type_schema(arguments[0], definitions)}
    return items if arguments[-1] is Ellipsis else {**items, "minItems": len(arguments), "maxItems": len(arguments)}


def _reference(cls: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if cls.__name__ not in definitions:
        definitions[cls.__name__] = {}  # entered first, in case the class holds itself
        hints, comments = typing.get_type_hints(cls), _comments(cls)
        properties = {}
        written = [field.name for field in dataclasses.fields(cls) if field.metadata != domain.UNWRITTEN]
        for name, hint in ((name, hints[name]) for name in written):
            described = {"description": comments[name]} if name in comments else {}
            properties[name] = {**type_schema(hint, definitions), **described}
        if cls in _JUDGED:
            properties["quality"] = {
                "enum": list(STATUSES),
                "description": "verdict of the checks on this part; without it, that of the study",
            }
        definitions[cls.__name__] = {
            "type": "object",
            "description": inspect.getdoc(cls) or "",
            "properties": properties,
            "required": [field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING],
        }
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _comments(cls: type) -> dict[str, str]:
    """The comment behind each field of a dataclass."""
    found = (_COMMENT.match(line) for line in inspect.getsource(cls).splitlines())
    return {match[1]: match[2] for match in found if match and match[2]}
