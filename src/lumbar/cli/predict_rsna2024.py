"""`lumbar predict rsna2024`."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from lumbar import __version__
from lumbar.batch.calls import run_calls
from lumbar.batch.fingerprint import plan_key
from lumbar.batch.grading import GradedStudy, GradingWork, read_graded
from lumbar.batch.models_used import card_digests
from lumbar.batch.work import EngineOptions
from lumbar.cli.engine_options import scheduler_option, workers_option
from lumbar.cli.options import grouped, json_option, models_option, output_option, overwrite_option, quiet_option, threads_option
from lumbar.cli.progress import track
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.datasets.submission import write_submission
from lumbar.domain.anatomy import Condition, Level
from lumbar.errors import InputError, UnreadableInput, UsageError
from lumbar.io.staging import staged_file
from lumbar.io.tables import read_table

SAMPLE = "sample_submission.csv"


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    out: Path
    split: str
    models: Path | None
    threads: int
    workers: int
    scheduler: str | None
    as_json: bool
    quiet: bool
    overwrite: bool


@click.command("rsna2024")
@click.argument("data", type=click.Path(path_type=Path))
@output_option("CSV file to write.")
@click.option(
    "--split", type=click.Choice(["test", "train"]), default="test", show_default=True, help="Which image folder; test takes its rows from the sample."
)
@models_option
@threads_option
@workers_option("--workers", what="study")
@scheduler_option
@json_option
@quiet_option
@overwrite_option
@grouped("wanted", _Options)
def predict_rsna2024(data: Path, wanted: _Options) -> int:
    """Grade the studies of the RSNA 2024 data set in the folder DATA and write a submission.

    A model in the folder of --models comes first: one for whole studies (from lumbar train severity --store) or one for axial crops. What it cannot grade
    gets the prevalence of the grades.

    With --split test the rows are those of sample_submission.csv, in its order; with --split train 25 for each study in train_images. A study that
    cannot be analysed gets the prevalence of the grades, is named on standard error, and makes the exit code 4.

    Interrupted runs resume: finished studies wait in a hidden folder beside the output until all are there. Several workers need lumbar[cluster].

    \b
    lumbar predict rsna2024 rsna-2024-lumbar-spine -o submission.csv
    lumbar predict rsna2024 rsna-2024-lumbar-spine -o submission.csv --workers 8 --threads 1
    """
    images, out = data / f"{wanted.split}_images", wanted.out
    names = _sample_rows(data / SAMPLE) if wanted.split == "test" else _all_rows(images)
    if out.exists() and not wanted.overwrite:
        raise UsageError(f"{out} exists; choose another name or add --overwrite")
    studies = list(dict.fromkeys(name.split("_", 1)[0] for name in names))
    parts = _parts_folder(out, images, wanted.models)
    work = {study: GradingWork(images / study, parts / f"{study}.json", wanted.models, wanted.threads) for study in studies}
    missing = {study: one for study, one in work.items() if not one.part.is_file()}
    crashed = dict(track(run_calls(missing, parts, EngineOptions(wanted.workers, wanted.scheduler)), "grading studies", total=len(missing), quiet=wanted.quiet))
    graded = {study: _result(study, one.part, crashed) for study, one in work.items()}
    failures = {study: one.warning for study, one in graded.items() if one.warning}
    for failure in failures.values():
        click.echo(f"warning: {failure}", err=True)
    predictions = {name: np.array(row) for one in graded.values() for name, row in one.rows.items()}
    with staged_file(out, wanted.overwrite) as path:
        write_submission(path, ((name, predictions[name]) for name in names))
    shutil.rmtree(parts)
    facts = {"rows": len(names), "studies": len(studies), "failures": failures, "out": str(out)}
    click.echo(json.dumps(facts) if wanted.as_json else f"{out}: {facts['rows']} rows of {facts['studies']} studies, {len(failures)} of them not analysed")
    return 4 if failures else 0


def _parts_folder(out: Path, images: Path, models: Path | None) -> Path:
    """The folder of finished studies beside `out`, emptied if they come from other images, other models or another version of lumbar."""
    folder = out.parent / f".{out.name}.parts"
    plan, key = folder / "plan", plan_key(card_digests(models), {"images": str(images.resolve())}, __version__)
    if not plan.is_file() or plan.read_text(encoding="utf-8") != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        plan.write_text(key, encoding="utf-8")
    return folder


def _result(study: str, part: Path, crashed: dict[str, str]) -> GradedStudy:
    """What was found in `study`.

    Raises:
        UsageError: its process crashed, so that there is nothing to write.
    """
    graded = read_graded(part)
    if graded is None:
        raise UsageError(f"{study} could not be graded: {crashed.get(study, 'it was never run')}; run the same command again to resume")
    return graded


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
