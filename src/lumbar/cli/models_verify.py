"""`lumbar models verify`."""

import json
from pathlib import Path

import click

from lumbar.errors import ModelError
from lumbar.models.folder import load_folder
from lumbar.models.registry import model_folders


@click.command("verify")
@click.option("--models", "extra", type=click.Path(path_type=Path), help="Your own model folder, or a folder of them; checked as well.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify_models(extra: Path | None, as_json: bool) -> None:
    """Check the hash of every model file and load every network; the exit code is 3 if any fails.

    Example: lumbar models verify --models my-model
    """
    problems = {str(folder): _problem(folder) for folder in model_folders(extra)}
    if as_json:
        click.echo(json.dumps([{"folder": folder, "ok": problem is None, "problem": problem} for folder, problem in problems.items()]))
    else:
        for folder, problem in problems.items():
            click.echo(f"{'ok     ' if problem is None else 'FAILED '} {folder}")
    broken = [problem for problem in problems.values() if problem is not None]
    if broken:
        raise ModelError("; ".join(broken))


def _problem(folder: Path) -> str | None:
    try:
        load_folder(folder)
    except ModelError as error:
        return str(error)
    return None
