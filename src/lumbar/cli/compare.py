"""`lumbar compare`: what changed between two examinations of one person."""

from dataclasses import dataclass
from pathlib import Path

import click

from lumbar.api import compare, load_models
from lumbar.cli.options import grouped, json_option, models_option, output_option, overwrite_option, quiet_option, threads_option
from lumbar.cli.stdout import print_json
from lumbar.population.follow_up.compare import Comparison
from lumbar.report.follow_up.document import comparison_document
from lumbar.report.follow_up.page import sentence


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    out: Path
    force: bool
    models: Path | None
    threads: int
    overwrite: bool
    as_json: bool
    quiet: bool


@click.command("compare")
@click.argument("earlier", type=click.Path(path_type=Path, exists=True))
@click.argument("later", type=click.Path(path_type=Path, exists=True))
@output_option("Folder for comparison.html, comparison.json and comparison.csv.")
@click.option("--force", is_flag=True, help="Compare even where the persons or the level names do not fit.")
@models_option
@threads_option
@overwrite_option
@json_option
@quiet_option
@grouped("wanted", _Options)
def compare_command(earlier: Path, later: Path, wanted: _Options) -> None:
    """Compare two examinations of one person: every value with its change, and whether that exceeds the measurement error.

    EARLIER and LATER are folders that `lumbar analyze` has written, or studies, which are analyzed first (into OUT/earlier and OUT/later).

    \b
    lumbar compare results/2021 results/2024 -o followup
    lumbar compare study_2021.zip study_2024.zip -o followup

    Rejects examinations with different geometry, and lists values that cannot be compared, such as signals of different contrasts.
    """
    comparison = compare(earlier, later, wanted.out, lambda: load_models(wanted.models, wanted.threads), wanted.force, wanted.overwrite)
    if wanted.as_json:
        print_json(comparison_document(comparison))
    elif not wanted.quiet:
        _say(comparison, wanted.out)


def _say(comparison: Comparison, out: Path) -> None:
    for warning in comparison.warnings:
        click.echo(f"warning: {warning}", err=True)
    for change in comparison.reliable:
        click.echo(sentence(change))
    if not comparison.reliable:
        click.echo("no value changed by more than its measurement error")
    click.echo(f"{out / 'comparison.html'}")
