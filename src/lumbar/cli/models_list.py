"""`lumbar models list`."""

import json
from pathlib import Path

import click

from lumbar.cli.options import json_option, models_option
from lumbar.models.card import read_card
from lumbar.models.registry import model_folders


@click.command("list")
@models_option
@json_option
def list_models(models: Path | None, as_json: bool) -> None:
    """List the installed models, the preferred one of a task first.

    Example: lumbar models list
    """
    rows = [(folder, read_card(folder)) for folder in model_folders(models)]
    if as_json:
        keys = ("name", "version", "task", "research_only")
        click.echo(json.dumps([{**{key: getattr(card, key) for key in keys}, "trained_on": card.trained_on, "folder": str(folder)} for folder, card in rows]))
        return
    if not rows:
        click.echo("no models")
    for _, card in rows:
        use = "research only" if card.research_only else "any use"
        click.echo(f"{card.name} {card.version}  task {card.task}  {use}  trained on {card.trained_on}")
