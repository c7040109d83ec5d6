"""`lumbar models show`."""

from pathlib import Path

import click

from lumbar.cli.options import json_option, models_option
from lumbar.models.card import Card, card_to_json
from lumbar.models.registry import find_named


@click.command("show")
@click.argument("name")
@models_option
@json_option
def show_model(name: str, models: Path | None, as_json: bool) -> None:
    """Show the card of model NAME: purpose, training data, measured results.

    Example: lumbar models show spine-sagittal
    """
    folder, card = find_named(name, models)
    click.echo(card_to_json(card).rstrip() if as_json else _text(folder, card))


def _text(folder: Path, card: Card) -> str:
    lines = [f"{card.name} {card.version} (task {card.task})", card.description, f"Intended use: {card.intended_use}", f"Folder: {folder}"]
    if card.research_only:
        lines.append("Research only: the licence of some training data excludes other use.")
    lines += ["Inputs:", *(f"  {spec.name} {list(spec.shape)}: {spec.meaning}" for spec in card.inputs)]
    lines += ["Outputs:", *(f"  {spec.name} {list(spec.shape)}: {spec.meaning}" for spec in card.outputs)]
    lines += [f"Classes: {', '.join(card.classes)}", "Trained on:"]
    lines += [f"  {data.name}, {data.licence}{': ' if data.note else ''}{data.note}" for data in card.training_data]
    lines += ["Measured:", *(f"  {result.text} ({result.data})" for result in card.results)]
    lines += ["Files:", *(f"  {file} sha256 {digest}" for file, digest in card.files.items())]
    return "\n".join(lines)
