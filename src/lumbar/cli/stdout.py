"""Standard output of `--json`: one document and nothing else."""

import json
from typing import Any

import click


def print_json(document: Any) -> None:
    """Print `document` as one JSON document in ASCII, which every reader decodes alike whatever the encoding of the terminal.

    A number that JSON cannot hold (NaN, infinity) is an error of the caller, not written.
    """
    click.echo(json.dumps(document, indent=2, allow_nan=False))
