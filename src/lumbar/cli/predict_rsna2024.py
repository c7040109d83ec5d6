"""`lumbar predict rsna2024`."""

import json
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from lumbar.cli.progress import track
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.datasets.submission import write_submission
from lumbar.domain.anatomy import Condition, Level
from lumbar.errors import InputError, UnreadableInput, UsageError
from lumbar.io.read import read_study
from lumbar.io.staging import staged_file
from lumbar.io.tables import read_table
from lumbar.pipeline import Models, Request, analyze, load_models
from lumbar.severity.predict import Predictor, load
from lumbar.spine.spine_map import tissue_mask

SAMPLE = "sample_submission.csv"


@click.command("rsna2024")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="CSV file to write.")
@click.option(
    "--split", type=click.Choice(["test", "train"]), default="test", show_default=True, help="Which image folder; test takes its rows from the sample."
)
@click.option("--models", type=click.Path(path_type=Path), help="Your own model folder, or a folder of them.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Processor threads; 0: all cores.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def predict_rsna2024(data: Path, out: Path, split: str, overwrite: bool, as_json: bool, quiet: bool, models: Path | None, threads: int) -> int:
    """Grade the studies of the RSNA 2024 data set in the folder DATA and write a submission.

    A model in the folder of --models comes first: one for whole studies (from lumbar train severity --store) or one for axial crops. What it cannot grade
    gets the prevalence of the grades.

    With --split test the rows are those of sample_submission.csv, in its order; with --split train 25 for each study in train_images. A study that
    cannot be analysed gets the prevalence of the grades, is named on standard error, and makes the exit code 4.

    Example: lumbar predict rsna2024 rsna-2024-lumbar-spine -o submission.csv
    """
    images = data / f"{split}_images"
    names = _sample_rows(data / SAMPLE) if split == "test" else _all_rows(images)
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another name or add --overwrite")
    predictor, spine = load(models, threads), load_models(models, threads, ())
    answers: dict[str, NDArray[np.float64]] = {}
    failures: dict[str, str] = {}
    for study in track(list(dict.fromkeys(name.split("_", 1)[0] for name in names)), "grading studies", quiet=quiet):
        found, failure = _graded(images / study, predictor, spine)
        answers.update(found)
        if failure:
            failures[study] = failure
            click.echo(f"warning: {failure}", err=True)
    with staged_file(out, overwrite) as path:
        write_submission(path, ((name, answers[name]) for name in names))
    facts = {"rows": len(names), "studies": len({name.split("_", 1)[0] for name in names}), "failures": failures, "out": str(out)}
    click.echo(json.dumps(facts) if as_json else f"{out}: {facts['rows']} rows of {facts['studies']} studies, {len(failures)} of them not analysed")
    return 4 if failures else 0


def _graded(folder: Path, predictor: Predictor, models: Models) -> tuple[dict[str, NDArray[np.float64]], str]:
    """The 25 rows of the study in `folder`, and why they are only frequencies, or an empty text."""
    rows = {row_id(folder.name, c, v): predictor.prior.metric(c, v) for c in Condition for v in Level}
    try:
        if not folder.is_dir():
            raise UnreadableInput(f"{folder} is not there")
        study = read_study(folder)
        spine = analyze(study, models, Request(tasks=("spine",))).spine
        findings = predictor.predict(study, spine.finding.levels, tissue_mask(spine) if predictor.wants_masks else None)
        rows |= {row_id(folder.name, f.condition, f.level): np.array([*vars(f.probabilities).values()]) for f in findings}
        return rows, "; ".join(f"{folder.name}: {text}" for text in predictor.warnings(findings))
    except InputError as error:
        return rows, f"{folder.name}: {error}"


def _sample_rows(sample: Path) -> list[str]:
    table = read_table(sample, ("row_id",), "It names the rows that are wanted; without it, use --split train")
    names = [row.identifier("row_id") for row in table.rows]
    known = {row_id("", c, v) for c in Condition for v in Level}
    wrong = [name for name in names if name[name.find("_") :] not in known]
    if wrong or not names:
        raise UnreadableInput(f"{sample} holds {len(names)} rows, of which {len(wrong)} are no <study>_<condition>_<level>: {', '.join(wrong[:3])}")
    return names


def _all_rows(images: Path) -> list[str]:
    studies = sorted(path.name for path in images.iterdir() if path.is_dir()) if images.is_dir() else []
    if not studies:
        raise InputError(f"{images} holds no studies; give the folder of the data set, with {images.name} in it")
    return [row_id(study, condition, level) for study in studies for condition in Condition for level in Level]
