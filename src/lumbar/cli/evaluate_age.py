"""`lumbar evaluate age`."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import click

from lumbar.age.evaluate import EvaluationOptions, evaluate
from lumbar.age.predict_table import Predictions
from lumbar.cli.options import grouped, json_option, output_option, overwrite_option
from lumbar.cli.progress import track
from lumbar.cli.stdout import print_json
from lumbar.datasets.age_table import read_age_table
from lumbar.errors import UsageError
from lumbar.io.staging import staged_folder


@click.command("age")
@click.option("--table", type=click.Path(path_type=Path), required=True, help="CSV with the columns subject, site, sex, age, and predicted or image.")
@click.option("--model", type=click.Path(path_type=Path), help="Model folder: predict the images that the table names in its column image (or study).")
@click.option(
    "--points", type=click.Path(path_type=Path), help="With --model: CSV image,level,x_mm,y_mm,z_mm of disc centres; by default from the spine model."
)
@click.option("--importance", is_flag=True, help="With --model and -o: also write importance.csv, by structure and age.")
@output_option("Folder for evaluation.json and evaluation.html, with --model also predictions.csv.", required=False)
@click.option(
    "--within", "within_years", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Report the share of errors within this many years."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the bootstrap.")
@json_option
@overwrite_option
@grouped("scoring", EvaluationOptions)
def evaluate_age(
    table: Path, model: Path | None, points: Path | None, importance: bool, out: Path | None, as_json: bool, overwrite: bool, scoring: EvaluationOptions
) -> None:
    """Score predicted ages against true ones.

    The table has the columns subject, site, sex, age and predicted. Optional columns: low and high are the stated interval of each prediction; repeat
    marks a second scan of one visit (for test-retest); visit or date distinguishes visits of one subject. Intervals are bootstrap intervals over subjects.
    With --model the table names sagittal T2 or STIR images instead, as for `lumbar train age`.

    \b
    Example: lumbar evaluate age --table predictions.csv --json
             lumbar evaluate age --table predictions.csv -o evaluation
             lumbar evaluate age --table people/ages.csv --model my-age --importance -o evaluation
    """
    from lumbar.report.research.age_evaluation import evaluation_document, evaluation_html, evaluation_text  # noqa: PLC0415  (matplotlib is slow to import)

    if model is None and (points or importance):
        raise UsageError("--points and --importance belong to --model; give a model folder")
    if importance and out is None:
        raise UsageError("--importance writes a file; say where with -o")
    found = _predict(table, model, points, importance) if model else None
    rows = found.table if found else read_age_table(table, needs=("predicted",))
    result = evaluate(rows, scoring)
    document = evaluation_document(result)
    if out is not None:
        with staged_folder(out, overwrite) as folder:
            (folder / "evaluation.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            (folder / "evaluation.html").write_text(evaluation_html(result, rows), encoding="utf-8")
            if found:
                _write_predictions(found, folder, importance)
    if as_json:
        print_json(document)
    else:
        click.echo(evaluation_text(result))


def _predict(table: Path, model: Path, points: Path | None, importance: bool) -> Predictions:
    """The table with the model's predictions; rows that cannot be used are reported on standard error."""
    from lumbar.age.extract_crops import known_finder, spine_finder  # noqa: PLC0415  (a table alone needs none of this)
    from lumbar.age.predict import load  # noqa: PLC0415
    from lumbar.age.predict_table import predict_table  # noqa: PLC0415
    from lumbar.datasets.age_images import read_points  # noqa: PLC0415
    from lumbar.models.registry import find_model  # noqa: PLC0415
    from lumbar.spine.network import TASK, network_of  # noqa: PLC0415

    rows = read_age_table(table)
    finder = known_finder(read_points(points)) if points else spine_finder(network_of(find_model(TASK)))
    predictor = load(model)
    numbers: Iterable[int] = track(range(len(rows)), "studies", total=len(rows))
    found = predict_table(predictor, rows, table.parent, finder, numbers, explained=importance)
    for failure in found.failures:
        click.echo(f"warning: {failure}; left out", err=True)
    if predictor.synthetic_only:
        click.echo("warning: the model was trained on synthetic people only; its ages are not valid for patients", err=True)
    return found


def _write_predictions(found: Predictions, folder: Path, importance: bool) -> None:
    from lumbar.age.predict_table import map_rows, population_map, predictions_rows  # noqa: PLC0415

    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(predictions_rows(found))
    if importance:
        with (folder / "importance.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(map_rows(population_map(found)))
