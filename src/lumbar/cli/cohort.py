"""`lumbar cohort`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lumbar.cli.options import grouped, json_option, output_option, overwrite_option
from lumbar.cli.stdout import print_json
from lumbar.errors import UnreadableInput, UsageError
from lumbar.io.staging import staged_folder
from lumbar.io.tables import read_table


@dataclass(frozen=True)
class _Options:
    """What is described, and how."""

    compare: str | None
    site: str
    harmonize: bool
    aging: str | None
    draws: int
    seed: int


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@output_option("Folder for cohort.html and the tables.")
@click.option("--people", type=click.Path(path_type=Path), help="CSV with study, age_years, sex, site, …  [default: people.csv beside the results]")
@click.option("--marks", type=click.Path(path_type=Path), help="marks.csv of the quality page: studies marked wrong are left out, and cleaned tables written.")
@click.option("--against", type=click.Path(path_type=Path), help="Results of another version or reader on the same studies: agreement.")
@click.option("--compare", metavar="COLUMN", help="Column of the table of people whose groups are compared; sex is one.")
@click.option("--site", default="site", show_default=True, metavar="COLUMN", help="Column of the table of people that names the site.")
@click.option("--harmonize", is_flag=True, help="Remove site effects from the measurements with ComBat (needs lumbar[stats]).")
@click.option("--aging", metavar="FINDING", help="Also draw the ageing page of one finding, such as disc_signal_ratio.")
@click.option("--draws", type=click.IntRange(min=200), default=1000, show_default=True, help="Bootstrap draws and permutations of the ageing page.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random draws.")
@json_option
@overwrite_option
@grouped("wanted", _Options)
def cohort(results: Path, out: Path, marks: Path | None, against: Path | None, people: Path | None, as_json: bool, overwrite: bool, wanted: _Options) -> None:
    """Describe the results of many studies: distributions, prevalence, correlations, sites, groups, z-scores, agreement.

    RESULTS is the folder of `lumbar batch`, or a results.parquet or results.csv.

    \b
    lumbar cohort results/ -o cohort/ --people people.csv --compare diagnosis
    lumbar cohort results/ -o cohort/ --marks marks.csv --harmonize --aging disc_signal_ratio
    lumbar cohort results-0.5/ -o agreement/ --against results-0.4/
    """
    try:
        from lumbar.population.cohort.describe import CohortOptions, describe_cohort  # noqa: PLC0415  (PyArrow is part of lumbar[cluster])
        from lumbar.population.cohort.people import nobody, read_people  # noqa: PLC0415
        from lumbar.population.cohort.table import read_results  # noqa: PLC0415
        from lumbar.report.research.cohort_page import write_cohort  # noqa: PLC0415
        from lumbar.report.research.cohort_tables import cohort_document, write_cleaned  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"this needs PyArrow, which is not installed ({error}); pip install lumbar[cluster]") from error
    table = read_results(results)
    wrong = _marked_wrong(marks) if marks else frozenset()
    if wrong:
        table = table.rows(~_isin(table.studies, wrong))
        if not len(table.studies):
            raise UnreadableInput(f"{marks} marks every study of {results} as wrong; nothing is left to describe")
    beside = (results if results.is_dir() else results.parent) / "people.csv"
    source = people or (beside if beside.is_file() else None)
    who = read_people(source, table.studies) if source else nobody(table.studies)
    found = describe_cohort(table, who, CohortOptions(**vars(wanted)), read_results(against) if against else None)
    with staged_folder(out, overwrite) as stage:
        write_cohort(stage, found)
        for path in _tables(results) if wrong else ():
            write_cleaned(path, stage / f"cleaned{path.suffix}", wrong)
    if as_json:
        print_json(cohort_document(found))
    else:
        click.echo(f"{out / 'cohort.html'}: {len(table.studies)} studies, {len(table.columns)} values each")
        for warning in found.warnings:
            click.echo(f"note: {warning}", err=True)


def _tables(results: Path) -> list[Path]:
    return [path for name in ("results.parquet", "results.csv") if (path := results / name).is_file()] if results.is_dir() else [results]


def _marked_wrong(path: Path) -> frozenset[str]:
    table = read_table(path, ("study", "mark"), "Marks have the columns study and mark, as the quality page saves them")
    return frozenset(row.identifier("study") for row in table.rows if row.optional("mark") == "wrong")


def _isin(studies: Any, names: frozenset[str]) -> Any:
    import numpy as np  # noqa: PLC0415

    return np.isin(studies, sorted(names))
