"""Writes src/lumbar/report/findings.schema.json from the dataclasses. Run it whenever domain/findings.py changes."""

import json
from pathlib import Path

from lumbar.report.document import SCHEMA_VERSION
from lumbar.report.schema import build_schema

if __name__ == "__main__":
    target = Path(__file__).resolve().parents[1] / "src/lumbar/report/findings.schema.json"
    target.write_text(json.dumps(build_schema(SCHEMA_VERSION), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
