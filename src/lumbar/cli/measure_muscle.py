"""`lumbar measure muscle`."""

import json
from dataclasses import dataclass
from pathlib import Path

import click

from lumbar.cli.options import grouped, json_option, output_option, overwrite_option
from lumbar.cli.stdout import print_json
from lumbar.domain.findings import MuscleFinding
from lumbar.errors import GeometryError
from lumbar.io.nifti import read_nifti, read_nifti_mask
from lumbar.io.staging import staged_folder
from lumbar.muscle.fat.mixture import Method
from lumbar.muscle.levels import levels_of
from lumbar.muscle.measure import METHODS, Measurement, measure
from lumbar.muscle.records import muscle_records, muscles_csv
from lumbar.muscle.scene import MeasureOptions

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    image: Path
    mask: Path
    fat: Path | None
    levels: Path | None
    method: Method
    inner: float
    out: Path | None
    overwrite: bool
    as_json: bool


@click.command("muscle")
@click.argument("image", type=_FILE)
@click.argument("mask", type=_FILE)
@click.option("--fat", type=_FILE, help="The fat image of a Dixon pair; IMAGE is then its water image.")
@click.option("--levels", type=_FILE, help="levels.nii.gz of `lumbar segment spine` (disc labels 1 to 5), for areas by level.")
@click.option("--method", type=click.Choice(list(METHODS)), default="gmm3", show_default=True, help="Fat classification method without a fat image.")
@click.option("--inner", type=click.FloatRange(min=0), default=0.0, help="Measure fat only in voxels deeper than this inside the outline, in mm.")
@output_option("Also write muscles.csv and muscles.json into this folder.", required=False)
@overwrite_option
@json_option
@grouped("options", _Options)
def measure_muscle(options: _Options) -> None:
    """Measure the muscles of MASK on IMAGE, both NIfTI on one grid.

    Labels: 1 right erector spinae, 2 right and 3 left multifidus, 4 left erector spinae, 5 right and 6 left psoas; 7, the vertebral body or disc, is
    the reference for their areas.

    Volume, areas in the plane of the slices, fat and left/right asymmetry; nothing is segmented, so a corrected mask can be measured again.
    A Dixon pair gives three fat fractions: the mean of the voxels', the ratio of the sums, and the mean corrected for
    partial volume along the outline ("corrected").

    Example: lumbar measure muscle water.nii.gz muscle.nii.gz --fat fat.nii.gz --json
    """
    discs = read_nifti_mask(options.levels) if options.levels else None
    settings = MeasureOptions(levels_of(discs) if discs else (), discs, options.method, options.inner)
    fat = read_nifti(options.fat) if options.fat else None
    image, mask = read_nifti(options.image), read_nifti_mask(options.mask)
    try:
        found = measure(image, mask, fat, settings)
    except GeometryError as error:
        names = [path for path in (options.image, options.mask, options.fat) if path]
        raise GeometryError(f"{', '.join(str(name) for name in names)}: {error}") from None
    if options.out:
        with staged_folder(options.out, options.overwrite, options.image) as stage:
            write_measurement(stage, found)
    show_measurement(found, options.as_json)


def show_measurement(found: Measurement, as_json: bool) -> None:
    """Print the measurements, as JSON or as a table."""
    if as_json:
        print_json({"muscles": muscle_records(found.findings), "warnings": list(found.warnings)})
        return
    click.echo(f"{'muscle':24}{'volume ml':>10}{'max mm²':>9}{'fat mean':>10}{'fat ratio':>10}{'corrected':>10}{'infiltr.':>10}{'asymm.':>8}")
    for finding in found.findings:
        click.echo(_line(finding))
    for warning in found.warnings:
        click.echo(f"warning: {warning}", err=True)


def write_measurement(folder: Path, found: Measurement) -> None:
    """Write muscles.csv and muscles.json."""
    with (folder / "muscles.csv").open("w", newline="", encoding="utf-8") as file:
        file.write(muscles_csv(found.findings))
    document = {"muscles": muscle_records(found.findings), "warnings": list(found.warnings)}
    (folder / "muscles.json").write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _line(finding: MuscleFinding) -> str:
    shares = (finding.fat_fraction_mean, finding.fat_fraction_ratio, finding.fat_fraction_corrected, finding.fat_infiltration)
    asymmetry = "–" if finding.volume_asymmetry is None else f"{100 * finding.volume_asymmetry:+.0f} %"
    volume = "–" if finding.volume_ml is None else f"{finding.volume_ml:.1f}"
    doubt = "  doubtful" if finding.mask_doubtful else ""
    name = f"{finding.side.value} {finding.muscle.value.replace('_', ' ')}"
    return f"{name:24}{volume:>10}{finding.csa_max_mm2:9.0f}" + "".join(f"{'–' if x is None else f'{x:.3f}':>10}" for x in shares) + f"{asymmetry:>8}{doubt}"
