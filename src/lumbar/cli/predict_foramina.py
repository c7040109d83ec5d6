"""`lumbar predict foramina`."""

import json
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from lumbar.cli.options import grouped, json_option, models_option, output_option, overwrite_option, quiet_option, threads_option
from lumbar.cli.progress import track
from lumbar.datasets.foramina import ForamenPoint, read_foramen_table
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.datasets.submission import write_submission
from lumbar.domain.anatomy import Level
from lumbar.errors import InputError
from lumbar.io.staging import staged_file
from lumbar.models.registry import find_model
from lumbar.severity.foramina.explain import CONDITIONS
from lumbar.severity.foramina.grader import TASK, ForamenGrader
from lumbar.severity.foramina.table import from_points


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


@click.command("foramina")
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
def predict_foramina(table: Path, images: Path, wanted: _Options) -> None:
    """Grade the foraminal points that TABLE names on the sagittal T1 slices in the folder IMAGES.

    TABLE needs the columns picture (the image file), study_id, side, level, x and y: the point in pixels of the image. Where an image was cut from a
    slice resized to 250 × 250 pixels, left and top give its origin, and native_height and native_width the original shape of the slice. Foramina of
    one study are graded together, and the distance between their points gives the scale.

    Example: lumbar predict foramina foramina.csv foramina -o submission.csv
    """
    rows = read_foramen_table(table)
    points = sorted(_present(rows, images, table, wanted.allow_missing), key=_order)
    with staged_file(wanted.out, wanted.overwrite) as path:
        grader = ForamenGrader(find_model(TASK, wanted.models, wanted.threads))
        grades = grader.grade(from_points(points, images, track(range(len(points)), "reading", quiet=wanted.quiet)))
        probabilities = grades.clinical if wanted.clinical else grades.metric
        write_submission(path, ((row_id(p.study_id, CONDITIONS[p.side], p.level), np.asarray(row)) for p, row in zip(points, probabilities, strict=True)))
    facts = {"rows": len(points), "missing": len(rows) - len(points), "model": grader.model.card.name, "out": str(wanted.out)}
    click.echo(json.dumps(facts) if wanted.as_json else f"{wanted.out}: {len(points)} rows ({facts['missing']} without an image)")


def _order(point: ForamenPoint) -> tuple[str, str, int]:
    return point.study_id, point.side.value, list(Level).index(point.level)


def _present(rows: list[ForamenPoint], images: Path, table: Path, allow_missing: bool) -> list[ForamenPoint]:
    if not images.is_dir():
        raise InputError(f"{images} is not a folder; give the folder that holds the images which {table} names")
    found = {name: (images / name).is_file() for name in {row.file for row in rows}}
    missing = [row for row in rows if not found[row.file]]
    if missing and not allow_missing:
        raise InputError(
            f"the images of {len(missing)} of {len(rows)} rows of {table} are not in {images}, the first is {missing[0].file}; add them, or leave the rows"
            " out with --allow-missing"
        )
    if len(missing) == len(rows):
        raise InputError(f"none of the images of {table} is in {images}; is it the right folder?")
    return [row for row in rows if found[row.file]]
