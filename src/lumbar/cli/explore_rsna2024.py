"""`lumbar explore rsna2024`."""

import csv
import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lumbar.cli.options import json_option, output_option, overwrite_option
from lumbar.datasets.rsna2024 import read_rsna2024
from lumbar.datasets.rsna2024_explore import Exploration, explore
from lumbar.io.staging import staged_folder
from lumbar.report.research.rsna2024_exploration import exploration_html, exploration_text


@click.command("rsna2024")
@click.argument("data", type=click.Path(path_type=Path))
@output_option("Folder for exploration.html, exploration.json and the tables as CSV.", required=False)
@json_option
@overwrite_option
def explore_rsna2024(data: Path, out: Path | None, as_json: bool, overwrite: bool) -> None:
    """Describe the RSNA 2024 data set DATA: shares of grades, missing labels, correlations, series, geometry, and all inconsistencies.

    The tables suffice; images are read where they are present.

    Example: lumbar explore rsna2024 rsna-2024-lumbar-spine -o exploration
    """
    tables = read_rsna2024(data)
    result = explore(tables)
    document = as_document(result)
    if out is not None:
        with staged_folder(out, overwrite) as folder:
            (folder / "exploration.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            (folder / "exploration.html").write_text(exploration_html(result, tables), encoding="utf-8")
            _write(folder / "label_shares.csv", ({"cells": name, **asdict(shares)} for name, shares in result.label_shares.items()))
            _write(folder / "correlations.csv", map(asdict, result.associations))
            _write(folder / "problems.csv", map(asdict, result.problems))
            _write(folder / "images.csv", map(asdict, result.images))
    click.echo(json.dumps(document) if as_json else exploration_text(result))


def as_document(result: Exploration) -> dict[str, Any]:
    """The JSON document; undefined correlations become null."""
    document = asdict(result)
    document["correlations"] = [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in pair.items()} for pair in document.pop("associations")
    ]
    document["correlation_summary"] = document.pop("summary")
    document["missing_labels"] = result.label_shares["all"].missing
    return document


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    if not listed:
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(listed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)
