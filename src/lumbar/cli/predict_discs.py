"""`lumbar predict discs`."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import click

from lumbar.cli.image_tables import image_table_options, with_images
from lumbar.cli.options import grouped
from lumbar.cli.progress import track
from lumbar.datasets.pfirrmann import read_image_table
from lumbar.discs.find import map_image
from lumbar.discs.grader import FINDINGS, DiscGrader
from lumbar.discs.model import GRADES, TASK
from lumbar.domain.findings import DiscGrades
from lumbar.errors import InputError
from lumbar.io.staging import staged_file
from lumbar.models.registry import find_model
from lumbar.severity.axial.data import read_grey_image
from lumbar.spine.network import TASK as SPINE_TASK
from lumbar.spine.network import network_of

COLUMNS = ("image", "level", "pfirrmann_grade", *(f"p{grade + 1}" for grade in range(GRADES)), *FINDINGS)


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    out: Path
    pixel_mm: float | None
    models: Path | None
    threads: int
    allow_missing: bool
    as_json: bool
    quiet: bool
    overwrite: bool


@click.command("discs")
@image_table_options
@click.option("--pixel-mm", type=click.FloatRange(0.1, 3.0), help="Pixel size, if known; otherwise the size at which most discs are found.")
@grouped("wanted", _Options)
def predict_discs(table: Path, images: Path, wanted: _Options) -> int:
    """Grade the lumbar discs (Pfirrmann 1 to 5) on the mid-sagittal T2 images that TABLE names in the folder IMAGES.

    TABLE needs the column image. The front of the patient is to the left; upside-down images are flipped. Every disc from L1/L2 to
    L5/S1 that is found gets a row, with the probabilities of each grade (p1 to p5) and of binary findings; images in which no spine is found are named
    on standard error and make the exit code 4.

    Example: lumbar predict discs grades.csv images -o discs.csv
    """
    rows = with_images(read_image_table(table), images, table, "rows", wanted.allow_missing)
    failures: dict[str, str] = {}
    with staged_file(wanted.out, wanted.overwrite) as path:
        network = network_of(find_model(SPINE_TASK, wanted.models, wanted.threads))
        grader = DiscGrader(find_model(TASK, wanted.models, wanted.threads))
        lines = []
        for row in track(rows, "grading discs", quiet=wanted.quiet):
            image = read_grey_image(images / row.file)
            try:
                lines += [_line(row.file, disc) for disc in grader.grade(map_image(image, network, wanted.pixel_mm))]
            except InputError as error:
                failures[row.file] = str(error)
                click.echo(f"warning: {row.file}: {error}", err=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
    facts = {"pictures": len(rows), "discs": len(lines), "failures": failures, "model": grader.model.card.name, "out": str(wanted.out)}
    click.echo(json.dumps(facts) if wanted.as_json else f"{wanted.out}: {len(lines)} discs on {len(rows)} images, {len(failures)} without a spine")
    return 4 if failures else 0


def _line(name: str, disc: DiscGrades) -> tuple[str, ...]:
    probabilities = [*(disc.probabilities[str(k + 1)] for k in range(GRADES)), *(getattr(disc, finding) for finding in FINDINGS)]
    return (name, disc.level.value, str(disc.pfirrmann_grade), *(f"{p:.6f}" for p in probabilities))
