"""`lumbar analyze`: the main job."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
from tqdm import tqdm

from lumbar.api import write_with_objects
from lumbar.cli.options import (
    grouped,
    json_option,
    lowest_level_option,
    models_option,
    output_option,
    overwrite_option,
    quiet_option,
    tasks_of,
    threads_option,
    weighting_option,
)
from lumbar.cli.stdout import print_json
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings
from lumbar.io.read import read_study
from lumbar.io.staging import staged_folder
from lumbar.io.weighting_given import GivenWeighting
from lumbar.models.memory import keep_free_memory
from lumbar.pipeline import TASKS, Progress, Request, load_models
from lumbar.pipeline import analyze as run_analysis
from lumbar.report.document import to_document
from lumbar.report.write import write_analysis


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    out: Path
    age_years: float | None
    sex: str | None
    tasks: tuple[str, ...] | None
    models: Path | None
    lowest_level: Level | None
    weightings: tuple[GivenWeighting, ...]
    threads: int
    overwrite: bool
    dicom: bool
    as_json: bool
    quiet: bool


@click.command()
@click.argument("study", metavar="INPUT", type=click.Path(path_type=Path))
@output_option("Folder for report.html, findings.json, masks and images.")
@click.option("--age", "age_years", type=click.FloatRange(0, 120), metavar="YEARS", help="The patient's age, if the header has none or a wrong one.")
@click.option("--sex", type=click.Choice(["F", "M"]), help="The patient's sex, if the header has none or a wrong one.")
@click.option(
    "--tasks", metavar=",".join(TASKS), callback=tasks_of(TASKS),
    help="Tasks to run (default: severity and muscle where a model is installed; age only if named here); the spine is always found and measured.",
)  # fmt: skip
@models_option
@lowest_level_option
@weighting_option
@threads_option
@click.option("--dicom", is_flag=True, help="Also write dicom/ (SEG, SR, PDF, key images) and fhir.json; INPUT must be DICOM. Needs lumbar[dicom].")
@overwrite_option
@json_option
@quiet_option
@grouped("wanted", _Options)
def analyze(study: Path, wanted: _Options) -> int:
    """Analyze one study: a DICOM folder, a zip of one, or NIfTI files.

    \b
    lumbar analyze study/ -o out/
    lumbar analyze study.zip -o out/ --tasks severity,muscle,age --age 54 --sex F
    lumbar analyze t2_sagittal.nii.gz -o out/ --tasks spine

    Writes report.html (open it in a browser), findings.json, masks and preview images into OUT. Exit code 4 means: done, but some requested task
    had no usable series or model, or the quality checks failed. Research use only, not a medical device.
    """
    findings = _analyzed(study, wanted)
    if wanted.as_json:
        print_json(to_document(findings))
    elif not wanted.quiet:
        click.echo(f"{wanted.out / 'report.html'}")
    if not wanted.quiet:
        for warning in findings.warnings:
            click.echo(f"warning: {warning}", err=True)
        for check in findings.quality.checks if findings.quality else ():
            if check.status != "passed":
                click.echo(f"quality {check.status}: {check.note}", err=True)
    failed = findings.quality is not None and findings.quality.status == "failed"
    return 4 if findings.unmet_tasks or failed else 0


def _analyzed(study: Path, wanted: _Options) -> Findings:
    """Read, analyze and write; the models load while the files are read."""
    keep_free_memory()
    request = Request(wanted.tasks, wanted.age_years, wanted.sex, wanted.lowest_level)
    with staged_folder(wanted.out, wanted.overwrite, study) as stage, _Bar(wanted.quiet) as bar, ThreadPoolExecutor(1) as pool:
        models = pool.submit(load_models, wanted.models, wanted.threads, request.loaded_tasks)
        analysis = run_analysis(read_study(study, lambda done, total: bar("reading", done, total), wanted.weightings), models.result(), request, bar)
        bar("writing the report", 0, 1)
        if wanted.dicom:
            return write_with_objects(analysis, study, stage).findings
        return write_analysis(analysis, stage).findings


class _Bar:
    """One bar on standard error that follows the steps of the analysis, and only on a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._bar = tqdm(total=1, file=sys.stderr, leave=False, disable=quiet or not sys.stderr.isatty(), bar_format="{desc}: {n}/{total} {bar} {elapsed}")

    def __enter__(self) -> Progress:
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _show(self, step: str, done: int, total: int) -> None:
        self._bar.set_description_str(step, refresh=False)
        self._bar.total, self._bar.n = total, done
        self._bar.refresh()
