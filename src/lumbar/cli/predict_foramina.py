"""`lumbar predict foramina`."""

import json
from pathlib import Path

import click
import numpy as np

from lumbar.cli.image_tables import SubmissionOptions, clinical_option, image_table_options, with_images
from lumbar.cli.options import grouped
from lumbar.cli.progress import track
from lumbar.datasets.foramina import ForamenPoint, read_foramen_table
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.datasets.submission import write_submission
from lumbar.domain.anatomy import Level
from lumbar.io.staging import staged_file
from lumbar.models.registry import find_model
from lumbar.severity.foramina.explain import CONDITIONS
from lumbar.severity.foramina.grader import TASK, ForamenGrader
from lumbar.severity.foramina.table import from_points


@click.command("foramina")
@image_table_options
@clinical_option
@grouped("wanted", SubmissionOptions)
def predict_foramina(table: Path, images: Path, wanted: SubmissionOptions) -> None:
    """Grade the foraminal points that TABLE names on the sagittal T1 slices in the folder IMAGES.

    TABLE needs the columns picture (the image file), study_id, side, level, x and y: the point in pixels of the image. Where an image was cut from a
    slice resized to 250 × 250 pixels, left and top give its origin, and native_height and native_width the original shape of the slice. Foramina of
    one study are graded together, and the distance between their points gives the scale.

    Example: lumbar predict foramina foramina.csv foramina -o submission.csv
    """
    rows = read_foramen_table(table)
    points = sorted(with_images(rows, images, table, "points", wanted.allow_missing), key=_order)
    with staged_file(wanted.out, wanted.overwrite) as path:
        grader = ForamenGrader(find_model(TASK, wanted.models, wanted.threads))
        grades = grader.grade(from_points(points, images, track(range(len(points)), "reading", quiet=wanted.quiet)))
        probabilities = grades.clinical if wanted.clinical else grades.metric
        write_submission(path, ((row_id(p.study_id, CONDITIONS[p.side], p.level), np.asarray(row)) for p, row in zip(points, probabilities, strict=True)))
    facts = {"rows": len(points), "missing": len(rows) - len(points), "model": grader.model.card.name, "out": str(wanted.out)}
    click.echo(json.dumps(facts) if wanted.as_json else f"{wanted.out}: {len(points)} rows ({facts['missing']} without an image)")


def _order(point: ForamenPoint) -> tuple[str, str, int]:
    return point.study_id, point.side.value, list(Level).index(point.level)
