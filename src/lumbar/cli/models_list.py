"""`lumbar models list`."""

import json
from pathlib import Path

import click

from lumbar.models.card import read_card
from lumbar.models.registry import model_folders


@click.command("list")
@click.option("--models", "extra", type=click.Path(path_type=Path), help="Your own model folder, or a folder of them; listed first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_models(extra: Path | None, as_json: bool) -> None:
    """List the installed models, the preferred one of a task first.

    Example: lumbar models list
    """
    rows = [(folder, read_card(folder)) for folder in model_folders(extra)]
    if as_json:
        keys = ("name", "version", "task", "research_only")
        click.echo(json.dumps([{**{key: getattr(card, key) for key in keys}, "trained_on": card.trained_on, "folder": str(folder)} for folder, card in rows]))
        return
    if not rows:
        click.echo("no models")
    for _, card in rows:
        use = "research only" if card.research_only else "any use"
        click.echo(f"{card.name} {card.version}  task {card.task}  {use}  trained on {card.trained_on}")
