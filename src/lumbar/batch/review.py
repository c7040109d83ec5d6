"""The quality page of a batch: one row per study with its images, outliers first, for inspection and marking with the keyboard. One file, offline."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lumbar import __version__
from lumbar.batch.records import Outcome
from lumbar.batch.thumbnails import FOLDER, KINDS
from lumbar.errors import UnreadableInput
from lumbar.population.cohort.outliers import Outliers, find_outliers
from lumbar.population.cohort.table import read_results
from lumbar.report.document import RESEARCH_USE
from lumbar.report.templating import environment


def write_review(out: Path, outcomes: Sequence[Outcome]) -> None:
    """Write index.html into the folder of the batch, from its results and thumbnails."""
    try:
        table = read_results(out)
        found: tuple[dict[str, int], Outliers] | None = {name: row for row, name in enumerate(table.studies.tolist())}, find_outliers(table)
    except UnreadableInput:
        found = None  # no study succeeded: the page lists why
    rows = [_row(out, outcome, found) for outcome in outcomes]
    rows.sort(key=lambda row: (row["status"] != "failed", -(row["distance"] or 0.0), row["study"]))
    page = (
        environment("lumbar.batch")
        .get_template("index.html.j2")
        .render(
            rows=json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/"), kinds=KINDS, version=__version__, statement=RESEARCH_USE
        )
    )
    draft = out / ".batch" / "index.html"
    draft.write_text(page, encoding="utf-8")
    draft.replace(out / "index.html")


def _row(out: Path, outcome: Outcome, found: tuple[dict[str, int], Outliers] | None) -> dict[str, Any]:
    folder = out / outcome.study / FOLDER
    row: dict[str, Any] = {
        "study": outcome.study,
        "status": outcome.status,
        "reason": outcome.reason,
        "quality": outcome.quality,
        "distance": None,
        "farthest": "",
        "missing": 0,
        "images": [kind for kind in KINDS if (folder / f"{kind}.jpg").is_file()],
    }
    if found is not None and outcome.study in found[0]:
        number, outliers = found[0][outcome.study], found[1]
        column, distance = outliers.farthest[number], float(outliers.distance[number])
        row["distance"] = round(distance, 2) if np.isfinite(distance) else None
        row["farthest"] = f"{column.title} (z {outliers.farthest_z[number]:+.1f})" if column else ""
        row["missing"] = int(outliers.missing[number])
    return row
