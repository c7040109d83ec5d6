"""`lumbar phantom cohort`: many synthetic studies in a trainer's layout."""

from pathlib import Path

import click

from lumbar.cli.options import grouped, quiet_option
from lumbar.cli.phantom_options import matrix_scale
from lumbar.cli.progress import track
from lumbar.phantom.cohort import make_cohort
from lumbar.phantom.cohort_options import LAYOUTS, MOST_BLANK, CohortOptions


def _years(_: click.Context, __: click.Parameter, value: str | None) -> tuple[float, ...]:
    try:
        years = tuple(float(word) for word in (value or "").replace("-", ",").split(",") if word.strip())
    except ValueError:
        raise click.BadParameter(f"{value} is not a list of years such as 38,55,70") from None
    if any(not 18 <= year <= 95 for year in years):
        raise click.BadParameter("years lie between 18 and 95")
    return years


def _range(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    years = _years(context, parameter, value)
    if not years:
        return None
    if len(years) != 2 or years[0] >= years[1]:
        raise click.BadParameter("--ages takes two years, the lower first, such as 20-88")
    return years[0], years[1]


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--layout", type=click.Choice(LAYOUTS), required=True, help="rsna2024: CSVs and DICOM of that data set; dixon: nnU-Net raw; age: table and NIfTI."
)
@click.option("--studies", type=click.IntRange(1), required=True, help="Number of people.")
@click.option(
    "--seed", type=click.IntRange(0, 9999), default=1, show_default=True, help="The same seed gives the same bytes; cohorts of other seeds share no people."
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--sites", default="ABCDEFGHI", show_default=True, help="Letters of the sites to draw from.")
@click.option("--ages", "ages_years", callback=_range, metavar="LOW-HIGH", help="Draw ages uniformly from this range; by default as in clinical practice.")
@click.option("--stages", "stages_years", callback=_years, metavar="YEARS", help="Ages of accelerated degeneration to simulate, such as 38,55,70.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Scans of each visit (age).")
@click.option("--follow-up", "follow_up_years", type=click.FloatRange(0, 30), default=0.0, metavar="YEARS", help="A second visit this many years later (age).")
@matrix_scale
@click.option(
    "--blanks", "blank_share", type=click.FloatRange(0, MOST_BLANK), default=0.0, metavar="SHARE", help="Grades left blank (rsna2024); the data set has 0.012."
)
@click.option("--metal", "metal_share", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE", help="People with screws and rods at L4 and L5.")
@quiet_option
@grouped("options", CohortOptions)
def cohort(out: Path, jobs: int, quiet: bool, options: CohortOptions) -> None:
    """Make many synthetic studies in the layout of a data set.

    \b
    lumbar phantom cohort train/ --layout rsna2024 --studies 500 --jobs 4
    lumbar phantom cohort raw/Dataset501_Phantom --layout dixon --studies 40
    lumbar phantom cohort people/ --layout age --studies 300 --ages 20-88 --stages 38,55,70

    Interrupted runs resume with the same options; a larger number of studies adds some. truth/ holds the ground truth of each study. Everything
    in it is synthetic.
    """
    for _ in track(make_cohort(options, out, jobs), "studies", total=options.studies, quiet=quiet):
        pass
    if not quiet:
        click.echo(f"{out}")
