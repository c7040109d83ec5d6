"""`lumbar train age`."""

from dataclasses import dataclass
from pathlib import Path

import click

from lumbar.age.learn.feature_training import Measurers, gather_features, train_features
from lumbar.age.predict import TASK as AGE_TASK
from lumbar.age.predict import Predictor
from lumbar.cli.options import grouped, models_option, output_option, overwrite_option, training_threads_option
from lumbar.cli.progress import track
from lumbar.datasets.age_images import read_points
from lumbar.datasets.age_table import AgeTable, read_age_table
from lumbar.errors import UnreadableInput, UsageError
from lumbar.io.staging import staged_folder
from lumbar.models.card import TrainingData
from lumbar.models.registry import find_model
from lumbar.spine.network import TASK as SPINE_TASK
from lumbar.spine.network import network_of


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    out: Path
    runs: Path
    licence: str
    points: Path | None
    models: Path | None
    from_features: bool
    folds: int
    by_site: bool
    head: str
    pooling: str
    contrast: str
    labels: str
    synthetic_only: bool
    steps: int
    threads: int
    precision: str
    devices: int
    nodes: int
    overwrite: bool


@click.command("age")
@click.argument("table", type=click.Path(path_type=Path))
@output_option("Model folder to write.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder for crops, checkpoints and logs; interrupted runs resume from it.")
@click.option("--licence", required=True, help="Licence of the training data, for the card.")
@click.option("--points", type=click.Path(path_type=Path), help="CSV image,level,x_mm,y_mm,z_mm: known disc centres; by default from the spine model.")
@models_option
@click.option("--features", "from_features", is_flag=True, help="Fit measured features and the ages of the installed network instead of training a network.")
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Folds by subject, whose out-of-fold predictions calibrate the model.")
@click.option("--leave-site-out", "by_site", is_flag=True, help="One fold per site instead.")
@click.option("--head", type=click.Choice(["regression", "soft-label", "ordinal"]), default="regression", show_default=True, help="Output head.")
@click.option("--pooling", type=click.Choice(["attention", "mean", "max", "recurrent"]), default="attention", show_default=True, help="Pooling of slices.")
@click.option("--contrast", type=click.Choice(["rank-n-contrast", "y-aware", "none"]), default="rank-n-contrast", show_default=True, help="Contrastive loss.")
@click.option("--labels", default="", metavar="NAME,...", help="Columns NAME_l1_l2 ... NAME_l5_s1 of TABLE (a grade, a signal) as auxiliary targets.")
@click.option("--synthetic", "synthetic_only", is_flag=True, help="All people in TABLE are synthetic: the card and every prediction state it.")
@click.option("--steps", type=click.IntRange(2), default=1500, show_default=True, help="Optimiser steps of each fold and of the final network.")
@training_threads_option
@overwrite_option
@click.option("--precision", default="bf16-mixed", show_default=True, help="Precision, as named by Lightning; 32-true for processors without bfloat16.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs (or processes) per node.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Nodes.")
@grouped("wanted", _Options)
def train_age(table: Path, wanted: _Options) -> None:
    """Train an age model on TABLE, a CSV with the columns subject, site, sex, age and image (or study): sagittal T2 or STIR as DICOM, NIfTI or PNG folders.

    \b
    lumbar train age people/ages.csv --runs runs/age -o my-age --licence "own data"

    Images lie beside the table. Folders of PNG need the columns pixel_mm and slice_mm; repeat, visit and healthy (yes/no: member of the reference of
    Selta) are used if present. Out-of-fold predictions are written to RUNS/out_of_fold.csv, for `lumbar evaluate age --table`.
    Labels of the levels are auxiliary targets of training; blank cells are ignored, and predictions need no labels.

    With --features a few dozen people are enough and no PyTorch is needed: a linear model of measured features, validated across persons and sites. It
    withholds ages from kinds of series in which they are not shown to be better than guessing. Features are kept in RUNS/features.csv.
    """
    if wanted.from_features:
        _train_features(table, wanted)
        return
    try:
        from lumbar.age.learn.training_run import Places, gather_crops, run, run_options  # noqa: PLC0415  (PyTorch, an extra)
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs {error.name}, which is not installed: pip install lumbar[train]") from error
    rows = read_age_table(table, labels=tuple(name.strip() for name in wanted.labels.split(",") if name.strip()))
    if rows.image is None:
        raise UnreadableInput(f"{table} has no column image or study; name the image of each row there")
    options = run_options(
        wanted.head, wanted.pooling, wanted.contrast, wanted.folds, wanted.by_site, wanted.synthetic_only,
        steps=wanted.steps, threads=wanted.threads, precision=wanted.precision, devices=wanted.devices, nodes=wanted.nodes,
    )  # fmt: skip
    places = Places(read_points(wanted.points) if wanted.points else None, wanted.models)
    with staged_folder(wanted.out, wanted.overwrite) as folder:
        store, failures = gather_crops(rows, table, wanted.runs, places, lambda numbers: track(numbers, "crops", total=len(rows)))
        for failure in failures:
            click.echo(f"warning: {failure}; left out", err=True)
        data = TrainingData(f"{table.name}: {len(store)} series of {_people(rows)} people{' (synthetic)' if options.synthetic_only else ''}", wanted.licence)
        for line in run(store, wanted.runs, folder, wanted.out.name, (data,), options):
            click.echo(line, err=True)
    click.echo(f"{wanted.out}")


def _train_features(table: Path, wanted: _Options) -> None:
    """Measure, fit, validate and write."""
    rows = read_age_table(table)
    if rows.image is None:
        raise UnreadableInput(f"{table} has no column image or study; name the image of each row there")
    network = Predictor(find_model(AGE_TASK, wanted.models, wanted.threads))
    measurers = Measurers(network_of(find_model(SPINE_TASK, wanted.models, wanted.threads)), network)
    with staged_folder(wanted.out, wanted.overwrite) as folder:
        found, failures = gather_features(rows, table.parent, wanted.runs, lambda: measurers, lambda numbers: track(numbers, "features", total=len(rows)))
        for failure in failures:
            click.echo(f"warning: {failure}; left out", err=True)
        data = TrainingData(f"{table.name}: {len(found.rows)} series of {_people(rows)} people", wanted.licence)
        for line in train_features(found, network, folder, wanted.out.name, data):
            click.echo(line, err=True)
    click.echo(f"{wanted.out}")


def _people(rows: AgeTable) -> int:
    return len(set(rows.subject.tolist()))
