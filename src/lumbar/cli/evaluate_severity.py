"""`lumbar evaluate severity`."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lumbar.cli.options import json_option, output_option, overwrite_option
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.datasets.submission import read_submission
from lumbar.io.staging import staged_folder
from lumbar.report.research.severity_evaluation import evaluation_html, evaluation_text
from lumbar.severity.evaluate import Evaluation, evaluate


@click.command("severity")
@click.option("--submission", type=click.Path(path_type=Path), required=True, help="CSV with row_id, normal_mild, moderate, severe.")
@click.option("--truth", type=click.Path(path_type=Path), required=True, help="CSV like train.csv: study_id and up to 25 columns of grades.")
@output_option("Folder for evaluation.json and evaluation.html.", required=False)
@click.option("--allow-missing", is_flag=True, help="Leave labelled rows without a prediction out instead of stopping.")
@json_option
@overwrite_option
def evaluate_severity(submission: Path, truth: Path, out: Path | None, allow_missing: bool, as_json: bool, overwrite: bool) -> None:
    """Score a submission against known grades with the official metric of RSNA 2024 and further metrics.

    Blank labels do not count. Intervals are 95 % bootstrap intervals over studies.

    Example: lumbar evaluate severity --submission submission.csv --truth train.csv -o evaluation
    """
    result = evaluate(read_submission(submission), read_grades(truth), allow_missing)
    document = as_document(result)
    if out is not None:
        with staged_folder(out, overwrite) as folder:
            (folder / "evaluation.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            (folder / "evaluation.html").write_text(evaluation_html(result, submission.name, truth.name), encoding="utf-8")
    click.echo(json.dumps(document) if as_json else evaluation_text(result))


def as_document(result: Evaluation) -> dict[str, Any]:
    """The JSON document of an evaluation; undefined numbers become null."""
    overall = asdict(result.overall)
    document = {
        **asdict(result.score),
        **{key: overall[key] for key in ("accuracy", "majority_accuracy")},
        "column_majority_accuracy": result.column_majority_accuracy,
        "prior_score": result.prior.official_score,
        "prior": asdict(result.prior),
        **{key: overall[key] for key in ("balanced_accuracy", "quadratic_kappa", "auc", "confusion", "ece", "reliability")},
        "deweighted": asdict(result.deweighted),
        "groups": {name: asdict(group) for name, group in result.groups.items()},
        "intervals": {name: [interval.low, interval.high] for name, interval in result.intervals.items()},
        "studies": result.studies,
        "rows": result.overall.rows,
        "missing_rows": result.missing_rows,
        "unused_rows": result.unused_rows,
    }
    return {key: _without_nan(value) for key, value in document.items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
