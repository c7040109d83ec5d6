"""`lumbar predict crops`."""

import json
from pathlib import Path

import click

from lumbar.cli.image_tables import SubmissionOptions, clinical_option, image_table_options, with_images
from lumbar.cli.options import grouped
from lumbar.cli.progress import track
from lumbar.datasets.axial_crops import read_crop_table, read_image
from lumbar.datasets.submission import write_submission
from lumbar.io.staging import staged_file
from lumbar.models.registry import find_model
from lumbar.severity.axial.grader import TASK, CropGrader
from lumbar.severity.rows import crop_rows


@click.command("crops")
@image_table_options
@clinical_option
@grouped("wanted", SubmissionOptions)
def predict_crops(table: Path, images: Path, wanted: SubmissionOptions) -> None:
    """Grade the axial crops that TABLE names in the folder IMAGES: spinal canal, left and right subarticular stenosis.

    TABLE needs the columns crop, study_id and level; a crop holds three neighbouring slices as red, green and blue. Crops of one study are graded
    together. Where a level of a study has several crops their mean is written.

    Example: lumbar predict crops axial_crops.csv axial_crops -o submission.csv
    """
    rows = read_crop_table(table)
    crops = with_images(rows, images, table, "crops", wanted.allow_missing)
    with staged_file(wanted.out, wanted.overwrite) as path:
        grader = CropGrader(find_model(TASK, wanted.models, wanted.threads))
        crop_images = [read_image(images / crop.file) for crop in track(crops, "reading", quiet=wanted.quiet)]
        grades = grader.grade(crop_images, [crop.level for crop in crops], [crop.study_id for crop in crops])
        written = list(crop_rows(crops, grades.clinical if wanted.clinical else grades.metric))
        write_submission(path, written)
    facts = {"crops": len(crops), "missing": len(rows) - len(crops), "rows": len(written), "model": grader.model.card.name, "out": str(wanted.out)}
    click.echo(json.dumps(facts) if wanted.as_json else f"{wanted.out}: {len(written)} rows from {len(crops)} crops ({facts['missing']} without an image)")
