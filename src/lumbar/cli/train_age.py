"""`lumbar train age`."""

from pathlib import Path
from typing import Any

import click

from lumbar.age.learn.feature_training import Measurers, gather_features, train_features
from lumbar.age.predict import TASK as AGE_TASK
from lumbar.age.predict import Predictor
from lumbar.cli.progress import track
from lumbar.datasets.age_images import read_points
from lumbar.datasets.age_table import AgeTable, read_age_table
from lumbar.errors import UnreadableInput, UsageError
from lumbar.io.staging import staged_folder
from lumbar.models.card import TrainingData
from lumbar.models.registry import find_model
from lumbar.spine.segment import TASK as SPINE_TASK
from lumbar.spine.segment import network_of


@click.command("age")
@click.argument("table", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder for crops, checkpoints and logs; interrupted runs resume from it.")
@click.option("--licence", required=True, help="Licence of the training data, for the card.")
@click.option("--points", type=click.Path(path_type=Path), help="CSV image,level,x_mm,y_mm,z_mm: known disc centres; by default from the spine model.")
@click.option("--models", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR", help="Model folders (spine) before the packaged ones.")
@click.option("--features", "from_features", is_flag=True, help="Fit measured features and the ages of the installed network instead of training a network.")
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Folds by subject, whose out-of-fold predictions calibrate the model.")
@click.option("--leave-site-out", "by_site", is_flag=True, help="One fold per site instead.")
@click.option("--head", type=click.Choice(["regression", "soft-label", "ordinal"]), default="regression", show_default=True, help="Output head.")
@click.option("--pooling", type=click.Choice(["attention", "mean", "max", "recurrent"]), default="attention", show_default=True, help="Pooling of slices.")
@click.option("--contrast", type=click.Choice(["rank-n-contrast", "y-aware", "none"]), default="rank-n-contrast", show_default=True, help="Contrastive loss.")
@click.option("--labels", default="", metavar="NAME,...", help="Columns NAME_l1_l2 ... NAME_l5_s1 of TABLE (a grade, a signal) as auxiliary targets.")
@click.option("--synthetic", "synthetic_only", is_flag=True, help="All people in TABLE are synthetic: the card and every prediction state it.")
@click.option("--steps", type=click.IntRange(2), default=1500, show_default=True, help="Optimiser steps of each fold and of the final network.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Processor threads; 0: as PyTorch chooses.")
@click.option("--precision", default="bf16-mixed", show_default=True, help="Precision, as named by Lightning; 32-true for processors without bfloat16.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs (or processes) per node.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Nodes.")
def train_age(
    table: Path, out: Path, runs: Path, licence: str, points: Path | None, models: Path | None, labels: str, from_features: bool, **wanted: Any
) -> None:
    """Train an age model on TABLE, a CSV with the columns subject, site, sex, age and image (or study): sagittal T2 or STIR as DICOM, NIfTI or PNG folders.

    \b
    lumbar train age people/ages.csv --runs runs/age -o my-age --licence "own data"

    Images lie beside the table. Folders of PNG need the columns pixel_mm and slice_mm; repeat, visit and healthy (yes/no: member of the reference of
    Selta) are used if present. Out-of-fold predictions are written to RUNS/out_of_fold.csv, for `lumbar evaluate age --table`.
    Labels of the levels are auxiliary targets of training; blank cells are ignored, and predictions need no labels.

    With --features a few dozen people are enough and no PyTorch is needed: a linear model of measured features, validated across persons and sites. It
    withholds ages from kinds of series in which they are not shown to be better than guessing. Features are kept in RUNS/features.csv.
    """
    if from_features:
        _train_features(table, out, runs, licence, models)
        return
    try:
        from lumbar.age.learn.training_run import Places, gather_crops, run, run_options  # noqa: PLC0415  (PyTorch, an extra)
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs {error.name}, which is not installed: pip install lumbar[train]") from error
    rows = read_age_table(table, labels=tuple(name.strip() for name in labels.split(",") if name.strip()))
    if rows.image is None:
        raise UnreadableInput(f"{table} has no column image or study; name the image of each row there")
    options = run_options(**wanted)
    places = Places(read_points(points) if points else None, models)
    with staged_folder(out, overwrite=False) as folder:
        store, failures = gather_crops(rows, table, runs, places, lambda numbers: track(numbers, "crops", total=len(rows)))
        for failure in failures:
            click.echo(f"warning: {failure}; left out", err=True)
        data = TrainingData(f"{table.name}: {len(store)} series of {_people(rows)} people{' (synthetic)' if options.synthetic_only else ''}", licence)
        for line in run(store, runs, folder, out.name, (data,), options):
            click.echo(line, err=True)
    click.echo(f"{out}")


def _train_features(table: Path, out: Path, runs: Path, licence: str, models: Path | None) -> None:
    """Measure, fit, validate and write."""
    rows = read_age_table(table)
    if rows.image is None:
        raise UnreadableInput(f"{table} has no column image or study; name the image of each row there")
    network = Predictor(find_model(AGE_TASK, models))
    measurers = Measurers(network_of(find_model(SPINE_TASK, models)), network)
    with staged_folder(out, overwrite=False) as folder:
        found, failures = gather_features(rows, table.parent, runs, lambda: measurers, lambda numbers: track(numbers, "features", total=len(rows)))
        for failure in failures:
            click.echo(f"warning: {failure}; left out", err=True)
        data = TrainingData(f"{table.name}: {len(found.rows)} series of {_people(rows)} people", licence)
        for line in train_features(found, network, folder, out.name, data):
            click.echo(line, err=True)
    click.echo(f"{out}")


def _people(rows: AgeTable) -> int:
    return len(set(rows.subject.tolist()))
