"""`lumbar phantom study`: one synthetic study with its ground truth."""

from dataclasses import replace
from pathlib import Path

import click

from lumbar.cli.options import grouped, json_option, overwrite_option
from lumbar.cli.phantom_options import matrix_scale
from lumbar.cli.stdout import print_json
from lumbar.io.staging import staged_folder
from lumbar.phantom.population import VARIANTS
from lumbar.phantom.sites import SITES
from lumbar.phantom.study import MUSCLE_ROLES, ROLES, StudyOptions, make_study, write_study


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--age", "age_years", type=click.FloatRange(18, 95), metavar="YEARS", help="Age of the patient; drawn if not given.")
@click.option("--sex", type=click.Choice(["F", "M"]), help="Sex of the patient; drawn if not given.")
@click.option("--site", type=click.Choice([site.name for site in SITES]), help="Scanner and protocol; drawn if not given.")
@click.option("--dixon", is_flag=True, help="Also scan the back muscles: axial T1, T2, Dixon water and fat.")
@click.option("--variant", type=click.Choice(VARIANTS), default="none", show_default=True, help="Anatomical variant.")
@matrix_scale
@click.option("--metal", is_flag=True, help="Screws, rods and a cage at L4 and L5.")
@click.option("--no-masks", is_flag=True, help="Do not write the label volumes.")
@overwrite_option
@json_option
@grouped("wanted", StudyOptions)
def study(out: Path, dixon: bool, no_masks: bool, overwrite: bool, as_json: bool, wanted: StudyOptions) -> None:
    """Make one synthetic study: sagittal T1, sagittal T2 or STIR, axial T2.

    \b
    lumbar phantom study demo/
    lumbar phantom study demo/ --seed 7 --age 71 --site G

    OUT/dicom holds the series, OUT/truth their ground truth: truth.json with severities, positions, measurements, muscles and age, and label
    volumes in the grid of each series. Everything in it is synthetic.
    """
    options = replace(wanted, roles=(*ROLES, *MUSCLE_ROLES) if dixon else ROLES)
    with staged_folder(out, overwrite) as stage:
        truth = write_study(make_study(options), stage, masks=not no_masks)
    if as_json:
        print_json(truth)
    else:
        click.echo(f"{out}")
