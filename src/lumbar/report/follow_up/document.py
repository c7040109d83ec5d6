"""A comparison as the document `comparison.json`, and its JSON Schema."""

from typing import Any

from lumbar import __version__
from lumbar.population.follow_up.compare import Comparison
from lumbar.population.follow_up.measurement_error import source
from lumbar.report.document import RESEARCH_USE, to_plain
from lumbar.report.schema import type_schema

SCHEMA_VERSION = "1.0"


def comparison_document(comparison: Comparison, images: tuple[str, ...] = ()) -> dict[str, Any]:
    """The document as plain lists, numbers and words; `images` are the names of the previews that both examinations have."""
    counts: dict[str, int] = {}
    for change in comparison.changes:
        counts[change.verdict] = counts.get(change.verdict, 0) + 1
    return {
        "schema_version": SCHEMA_VERSION,
        "software": {"name": "lumbar", "version": __version__},
        "statement": RESEARCH_USE,
        "error_source": source(),
        "counts": counts,
        **to_plain(comparison),
        "images": list(images),
    }


def comparison_schema() -> dict[str, Any]:
    """The JSON Schema of `comparison.json`."""
    definitions: dict[str, Any] = {}
    reference = type_schema(Comparison, definitions)
    own = definitions.pop(reference["$ref"].rsplit("/", 1)[1])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"lumbar/comparison-{SCHEMA_VERSION}",
        "title": "Findings of `lumbar compare`",
        "description": "A change is later − earlier; it is reliable where it exceeds the 95 % limit of differences in unchanged people.",
        "type": "object",
        "properties": {
            "schema_version": {"type": "string", "pattern": f"^{SCHEMA_VERSION.split('.', maxsplit=1)[0]}\\."},
            "software": {"type": "object", "required": ["name", "version"]},
            "statement": {"type": "string"},
            "error_source": {"type": "string"},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            **own["properties"],
            "images": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["schema_version", "software", "statement", "error_source", "counts", *own["required"], "images"],
        "$defs": definitions,
    }
