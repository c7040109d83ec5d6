"""`lumbar predict crops`."""

import json
from pathlib import Path

import click

from lumbar.cli.progress import track
from lumbar.datasets.axial_crops import AxialCrop, read_crop_table, read_image
from lumbar.datasets.submission import write_submission
from lumbar.errors import InputError
from lumbar.io.staging import staged_file
from lumbar.models.registry import find_model
from lumbar.severity.axial.grader import TASK, CropGrader
from lumbar.severity.rows import crop_rows


@click.command("crops")
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="CSV file to write.")
@click.option("--models", type=click.Path(path_type=Path), help="Your own model folder, or a folder of them.")
@click.option("--allow-missing", is_flag=True, help="Leave out rows whose image is missing, instead of stopping.")
@click.option("--clinical", is_flag=True, help="Write probabilities calibrated to the prevalence of the grades, not those for the official score.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def predict_crops(table: Path, images: Path, out: Path, models: Path | None, overwrite: bool, quiet: bool, **wanted: bool) -> None:
    """Grade the axial crops that TABLE names in the folder IMAGES: spinal canal, left and right subarticular stenosis.

    TABLE needs the columns crop, study_id and level; a crop holds three neighbouring slices as red, green and blue. Crops of one study are graded
    together. Where a level of a study has several crops their mean is written.

    Example: lumbar predict crops axial_crops.csv axial_crops -o submission.csv
    """
    allow_missing, clinical, as_json = (wanted[name] for name in ("allow_missing", "clinical", "as_json"))
    rows = read_crop_table(table)
    crops = _present(rows, images, table, allow_missing)
    with staged_file(out, overwrite) as path:
        grader = CropGrader(find_model(TASK, models))
        crop_images = [read_image(images / crop.file) for crop in track(crops, "reading", quiet=quiet)]
        grades = grader.grade(crop_images, [crop.level for crop in crops], [crop.study_id for crop in crops])
        written = list(crop_rows(crops, grades.clinical if clinical else grades.metric))
        write_submission(path, written)
    facts = {"crops": len(crops), "missing": len(rows) - len(crops), "rows": len(written), "model": grader.model.card.name, "out": str(out)}
    click.echo(json.dumps(facts) if as_json else f"{out}: {len(written)} rows from {len(crops)} crops ({facts['missing']} without an image)")


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
