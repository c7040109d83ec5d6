"""`lumbar evaluate age`."""

import json
from pathlib import Path

import click

from lumbar.age.evaluate import EvaluationOptions, evaluate
from lumbar.cli.stdout import print_json
from lumbar.datasets.age_table import read_age_table
from lumbar.io.staging import staged_folder


@click.command("age")
@click.option("--table", type=click.Path(path_type=Path), required=True, help="CSV with the columns subject, site, sex, age, predicted.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder for evaluation.json and evaluation.html.")
@click.option("--within", "within_years", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Years for the share within so many years.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random draws behind the intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--overwrite", is_flag=True, help="Replace files that are in the way.")
def evaluate_age(table: Path, out: Path | None, within_years: float, seed: int, as_json: bool, overwrite: bool) -> None:
    """Score predicted ages against true ones.

    The table has the columns subject, site, sex, age and predicted. If there are more: low and high are the stated interval of each prediction; repeat
    marks a second scan of one visit (for test-retest); visit or date tells visits of one subject apart. Intervals come from drawing whole subjects again.

    \b
    Example: lumbar evaluate age --table predictions.csv --json
             lumbar evaluate age --table predictions.csv -o evaluation
    """
    from lumbar.report.age_evaluation import evaluation_document, evaluation_html, evaluation_text  # noqa: PLC0415  (matplotlib is slow to import)

    rows = read_age_table(table, needs=("predicted",))
    result = evaluate(rows, EvaluationOptions(within_years=within_years, seed=seed))
    document = evaluation_document(result)
    if out is not None:
        with staged_folder(out, overwrite) as folder:
            (folder / "evaluation.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            (folder / "evaluation.html").write_text(evaluation_html(result, rows), encoding="utf-8")
    if as_json:
        print_json(document)
    else:
        click.echo(evaluation_text(result))
