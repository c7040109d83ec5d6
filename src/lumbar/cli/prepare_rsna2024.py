"""`lumbar prepare rsna2024`."""

import json
from functools import partial
from pathlib import Path

import click

from lumbar.batch.calls import run_calls
from lumbar.batch.work import EngineOptions
from lumbar.cli.engine_options import scheduler_option, workers_option
from lumbar.cli.options import grouped, json_option, models_option, output_option, quiet_option
from lumbar.cli.progress import track
from lumbar.datasets.rsna2024 import IMAGES, read_rsna2024
from lumbar.errors import InputError
from lumbar.severity.learn.studies.prepare import PrepareOptions, prepare
from lumbar.severity.studies.store import FAILURES, open_store


@click.command("rsna2024")
@click.argument("data", type=click.Path(path_type=Path))
@output_option("Folder of the store; an unfinished one is resumed.")
@click.option(
    "--places",
    type=click.Choice(["labels", "spine"]),
    default="labels",
    show_default=True,
    help="Cut at the label coordinates, or at the levels of the spine model.",
)
@click.option("--masks", is_flag=True, help="Also store masks and measurements of the spine model as further inputs.")
@models_option
@workers_option("--workers", "--jobs", "workers", what="study")
@scheduler_option
@json_option
@quiet_option
@grouped("options", PrepareOptions)
def prepare_rsna2024(data: Path, out: Path, workers: int, scheduler: str | None, as_json: bool, quiet: bool, options: PrepareOptions) -> int:
    """Cut the training crops of severity grading from the studies of the RSNA 2024 data set in the folder DATA.

    \b
    lumbar prepare rsna2024 rsna-2024-lumbar-spine -o store --workers 8
    lumbar train severity --store store --grades rsna-2024-lumbar-spine/train.csv --runs runs -o my-model --licence "RSNA 2024, research only"

    Several workers need lumbar[cluster]. Interrupted runs resume. A study whose files are broken is left out and listed in failures.csv with the reason;
    then the exit code is 4.
    About 1 MB per study, 2 GB for all 1,975.
    """
    tables = read_rsna2024(data)
    studies = list(tables.imaged_studies)
    if not studies:
        raise InputError(f"{data} has no studies with images in {IMAGES}; give the folder of the data set")
    run = partial(run_calls, folder=out, engine=EngineOptions(workers, scheduler))
    outcomes = list(track(prepare(tables, data / IMAGES, studies, out, options, run), "studies", total=len(studies), quiet=quiet))
    failures = {outcome.study: outcome.failure for outcome in outcomes if outcome.failure}
    done = int(open_store(out).present.any(axis=(1, 2)).sum())
    facts = {"studies": len(studies), "prepared_now": len(outcomes) - len(failures), "with_crops": done, "failures": failures, "out": str(out)}
    click.echo(json.dumps(facts) if as_json else f"{out}: {done} of {len(studies)} studies have crops; {len(failures)} failed, see {out / FAILURES}")
    return 4 if failures else 0
