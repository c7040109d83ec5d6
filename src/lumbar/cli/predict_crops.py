"""`lumbar predict crops`."""

import json
from dataclasses import dataclass
from pathlib import Path

import click

from lumbar.cli.options import grouped, json_option, models_option, output_option, overwrite_option, quiet_option, threads_option
from lumbar.cli.progress import track
from lumbar.datasets.axial_crops import AxialCrop, read_crop_table, read_image
from lumbar.datasets.submission import write_submission
from lumbar.errors import InputError
from lumbar.io.staging import staged_file
from lumbar.models.registry import find_model
from lumbar.severity.axial.grader import TASK, CropGrader
from lumbar.severity.rows import crop_rows


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    out: Path
    models: Path | None
    threads: int
    allow_missing: bool
    clinical: bool
    as_json: bool
    quiet: bool
    overwrite: bool


@click.command("crops")
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@output_option("CSV file to write.")
@models_option
@threads_option
@click.option("--allow-missing", is_flag=True, help="Leave out rows whose image is missing, instead of stopping.")
@click.option("--clinical", is_flag=True, help="Write probabilities calibrated to the prevalence of the grades, not those for the official score.")
@json_option
@quiet_option
@overwrite_option
@grouped("wanted", _Options)
def predict_crops(table: Path, images: Path, wanted: _Options) -> None:
    """Grade the axial crops that TABLE names in the folder IMAGES: spinal canal, left and right subarticular stenosis.

    TABLE needs the columns crop, study_id and level; a crop holds three neighbouring slices as red, green and blue. Crops of one study are graded
    together. Where a level of a study has several crops their mean is written.

    Example: lumbar predict crops axial_crops.csv axial_crops -o submission.csv
    """
    rows = read_crop_table(table)
    crops = _present(rows, images, table, wanted.allow_missing)
    with staged_file(wanted.out, wanted.overwrite) as path:
        grader = CropGrader(find_model(TASK, wanted.models, wanted.threads))
        crop_images = [read_image(images / crop.file) for crop in track(crops, "reading", quiet=wanted.quiet)]
        grades = grader.grade(crop_images, [crop.level for crop in crops], [crop.study_id for crop in crops])
        written = list(crop_rows(crops, grades.clinical if wanted.clinical else grades.metric))
        write_submission(path, written)
    facts = {"crops": len(crops), "missing": len(rows) - len(crops), "rows": len(written), "model": grader.model.card.name, "out": str(wanted.out)}
    click.echo(json.dumps(facts) if wanted.as_json else f"{wanted.out}: {len(written)} rows from {len(crops)} crops ({facts['missing']} without an image)")


def _present(rows: list[AxialCrop], images: Path, table: Path, allow_missing: bool) -> list[AxialCrop]:
    if not images.is_dir():
        raise InputError(f"{images} is not a folder; give the folder that holds the images which {table} names")
    missing = [row for row in rows if not (images / row.file).is_file()]
    if missing and not allow_missing:
        first = missing[0].file
        raise InputError(
            f"{len(missing)} of {len(rows)} crops of {table} are not in {images}, the first is {first}; add them, or leave them out with --allow-missing"
        )
    if len(missing) == len(rows):
        raise InputError(f"none of the {len(rows)} crops of {table} is in {images}; is it the right folder?")
    return [row for row in rows if (images / row.file).is_file()]
