"""`lumbar aging`."""

from dataclasses import replace
from pathlib import Path

import click

from lumbar.cli.options import grouped, json_option, output_option, overwrite_option
from lumbar.cli.stdout import print_json
from lumbar.datasets.age_table import AgeTable, read_age_table
from lumbar.errors import UsageError
from lumbar.io.staging import staged_folder
from lumbar.population.analysis import PopulationOptions, describe
from lumbar.population.stages import StageOptions


@click.command("aging")
@click.argument("table", type=click.Path(path_type=Path))
@output_option("Folder for the tables, plots and aging.html.")
@click.option("--finding", metavar="FINDING", help="TABLE holds results of `lumbar batch`: describe this finding of them, such as disc_signal_ratio.")
@click.option(
    "--people",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="With --finding: ages, sex and sites by study  [default: people.csv beside the results]",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0.001, 0.2),
    default=StageOptions.alpha,
    show_default=True,
    help="Probability of any false stage in the file (family-wise error).",
)
@click.option("--draws", type=click.IntRange(min=200), default=1000, show_default=True, help="Bootstrap draws, and permutations.")
@click.option("--adjust-sites/--no-adjust-sites", default=True, show_default=True, help="Adjust curves and stages for site.")
@click.option("--mixed/--no-mixed", default=True, show_default=True, help="Fit mixed models where people have repeated visits (needs lumbar[stats]).")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random draws.")
@json_option
@overwrite_option
@grouped("wanted", PopulationOptions)
def aging(table: Path, out: Path, finding: str | None, people: Path | None, alpha: float, as_json: bool, overwrite: bool, wanted: PopulationOptions) -> None:
    """Describe how a population ages: curves with bands, stages of acceleration, deltas, sites, and people over time.

    TABLE is a CSV with subject, site, sex, age and either level and index (a measure of degeneration, one row per subject and level) or predicted (an age
    predicted from images; level if there are several). A person's second row needs a column visit, date or repeat.

    \b
    Example: lumbar aging predictions.csv -o ageing
             lumbar aging disc_signal.csv -o ageing --no-adjust-sites
             lumbar aging results/ -o ageing --finding disc_height_index --people people.csv
    """
    from lumbar.report.research.aging import population_text, write_population  # noqa: PLC0415  (matplotlib is slow to import)
    from lumbar.report.research.aging_tables import population_document  # noqa: PLC0415

    options = replace(wanted, stages=StageOptions(alpha=alpha, draws=wanted.draws, seed=wanted.seed))
    with staged_folder(out, overwrite) as folder:
        rows = _finding_of(table, finding, people, options.seed) if finding is not None else _table_of(table)
        result = describe(rows, options)
        write_population(folder, result, options.adjust_sites)
    if as_json:
        print_json(population_document(result))
    else:
        click.echo(population_text(result))


def _table_of(path: Path) -> AgeTable:
    if path.is_dir() or path.suffix == ".parquet":
        raise UsageError(f"{path} holds results of a batch; name the finding to describe with --finding, such as --finding disc_signal_ratio")
    return read_age_table(path)


def _finding_of(path: Path, finding: str, people: Path | None, seed: int) -> AgeTable:
    """One finding of a batch's results, by level, for the people whose ages are known."""
    try:
        from lumbar.population.cohort.ageing import ageing_table  # noqa: PLC0415  (PyArrow is part of lumbar[cluster])
        from lumbar.population.cohort.people import nobody, read_people  # noqa: PLC0415
        from lumbar.population.cohort.table import read_results  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"results of a batch need PyArrow, which is not installed ({error}); pip install lumbar[cluster]") from error
    results = read_results(path)
    beside = (path if path.is_dir() else path.parent) / "people.csv"
    source = people or (beside if beside.is_file() else None)
    rows, _ = ageing_table(results, read_people(source, results.studies) if source else nobody(results.studies), finding, seed=seed)
    return rows
