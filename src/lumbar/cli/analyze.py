"""`lumbar analyze`: the main job."""

import sys
from pathlib import Path

import click
from tqdm import tqdm

from lumbar.cli.stdout import print_json
from lumbar.domain.anatomy import Level
from lumbar.io.read import read_study
from lumbar.io.staging import staged_folder
from lumbar.pipeline import TASKS, AnalysisOptions, Progress
from lumbar.pipeline import analyze as run_analysis
from lumbar.report.document import to_document
from lumbar.report.write import write_analysis


def _tasks(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    tasks = tuple(word.strip() for word in value.split(",") if word.strip())
    unknown = [word for word in tasks if word not in TASKS]
    if unknown or not tasks:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is not a task; choose from {', '.join(TASKS)}")
    return tasks


@click.command()
@click.argument("study", metavar="INPUT", type=click.Path(path_type=Path))
@click.option("-o", "--output", "out", required=True, type=click.Path(path_type=Path), help="Folder for report.html, findings.json, masks and pictures.")
@click.option("--age", "age_years", type=click.FloatRange(0, 120), metavar="YEARS", help="The patient's age, if the header has none or a wrong one.")
@click.option("--sex", type=click.Choice(["F", "M"]), help="The patient's sex, if the header has none or a wrong one.")
@click.option(
    "--tasks", metavar=",".join(TASKS), callback=_tasks,
    help="What to do (default: severity and muscle where a model is installed; an age only if it is named here); the spine is always found and measured.",
)  # fmt: skip
@click.option("--models", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR", help="Model folders to use before the packaged ones.")
@click.option("--lowest-level", type=click.Choice([level.value for level in Level]), help="Name of the lowest disc in view, if you know better.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Processor threads of the networks; 0 takes all cores.")
@click.option("--overwrite", is_flag=True, help="Replace the result that lies in OUT as a whole.")
@click.option("--json", "as_json", is_flag=True, help="Also print findings.json on standard output.")
@click.option("--quiet", is_flag=True, help="No progress bar and no summary.")
def analyze(study: Path, out: Path, overwrite: bool, as_json: bool, quiet: bool, lowest_level: str | None, **wanted: object) -> int:
    """Analyze one study: a DICOM folder, a zip of one, or NIfTI files.

    \b
    lumbar analyze study/ -o out/
    lumbar analyze study.zip -o out/ --tasks severity,muscle,age --age 54 --sex F
    lumbar analyze t2_sagittal.nii.gz -o out/ --tasks spine

    Leaves report.html (open it in a browser), findings.json, masks and preview pictures in OUT. Exit code 4 means: done, but some task that was asked
    for had no usable series or model. Research use only, not a medical device.
    """
    options = AnalysisOptions(lowest_level=Level(lowest_level) if lowest_level else None, **wanted)  # type: ignore[arg-type]
    with staged_folder(out, overwrite, study) as stage, _Bar(quiet) as bar:
        analysis = run_analysis(read_study(study, lambda done, total: bar("reading", done, total)), options, bar)
        bar("writing the report", 0, 1)
        write_analysis(analysis, stage)
    findings = analysis.findings
    if as_json:
        print_json(to_document(findings))
    elif not quiet:
        click.echo(f"{out / 'report.html'}")
    if not quiet:
        for warning in findings.warnings:
            click.echo(f"warning: {warning}", err=True)
    return 4 if findings.unmet_tasks else 0


class _Bar:
    """One bar on standard error that follows the steps of the analysis, and only where a person watches."""

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
