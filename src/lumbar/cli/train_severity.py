"""`lumbar train severity`."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click

from lumbar.batch.calls import run_calls
from lumbar.batch.work import EngineOptions, Limits
from lumbar.cli.engine_options import scheduler_option, workers_option
from lumbar.cli.options import grouped, output_option, overwrite_option, training_threads_option
from lumbar.cli.progress import track
from lumbar.datasets.axial_crops import AxialCrop, read_crop_table
from lumbar.datasets.rsna2024_grades import Grades, read_grades
from lumbar.errors import InputError, UsageError
from lumbar.io.staging import staged_folder
from lumbar.models.card import TrainingData
from lumbar.severity.axial.data import targets
from lumbar.severity.learn.axial.out_of_fold import figures, grade_held_out
from lumbar.severity.learn.studies.model import grade_held_out_studies, write_study_model
from lumbar.severity.learn.studies.store_fold import StoreFold, study_sources
from lumbar.severity.studies.store import open_store


@dataclass(frozen=True)
class _Request:
    """The options of the command, one field each."""

    runs: Path
    kind: str
    encoder: str
    slices: int
    folds: int
    steps: int
    stop_early: bool
    devices: int
    nodes: int
    precision: str
    workers: int
    folds_at_once: int
    scheduler: str | None
    threads: int
    overwrite: bool
    licence: str
    research_only: bool


@click.command("severity")
@click.argument("table", type=click.Path(path_type=Path), required=False)
@click.argument("images", type=click.Path(path_type=Path), required=False)
@click.option("--store", type=click.Path(path_type=Path), help="Store of whole studies from lumbar prepare rsna2024.")
@click.option("--grades", type=click.Path(path_type=Path), help="Table like train.csv: needed for a store; foraminal grades by study, which crop tables lack.")
@output_option("Model folder to write.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder for checkpoints and logs; interrupted runs resume from it.")
@click.option("--licence", required=True, help="Licence of the training data, for the card.")
@click.option("--research-only", is_flag=True, help="The licence of the training data allows research only. (Always set for graders of axial crops.)")
@click.option("--kind", type=click.Choice(["hybrid", "vit"]), default="hybrid", show_default=True, help="Network architecture.")
@click.option("--encoder", default="medium", show_default=True, help="Encoder of the hybrid for whole studies: tiny, small, medium, large or timm/NAME.")
@click.option(
    "--slices", type=click.Choice(["3", "5"]), default="3", show_default=True, callback=lambda _, __, value: int(value), help="Slices per sagittal crop."
)
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Folds by study; one network each.")
@click.option("--steps", type=click.IntRange(2), default=1300, show_default=True, help="Most optimiser steps per fold.")
@click.option("--stop-early", is_flag=True, help="Axial crops: set a tenth aside and stop by the official score on it. (Whole studies always do.)")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs (or processes) per node.")
@click.option(
    "--nodes", type=click.IntRange(1), default=1, show_default=True, help="Number of machines; start the same command on each (see the manual of Lightning)."
)
@click.option("--precision", default="bf16-mixed", show_default=True, help="Precision, as named by Lightning; 32-true for processors without bfloat16.")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="Processes that load studies during training.")
@workers_option("--folds-at-once", what="fold")
@scheduler_option
@training_threads_option
@overwrite_option
@grouped("request", _Request)
def train_severity(table: Path | None, images: Path | None, store: Path | None, grades: Path | None, out: Path, request: _Request) -> None:
    """Train an ensemble of graders, one network for each fold of a cross-validation by study.

    \b
    lumbar train severity axial_crops.csv axial_crops --runs runs -o my-model --licence "own data"
    lumbar train severity --store store --grades train.csv --runs runs -o my-model --licence "own data"
    lumbar train severity axial_crops.csv axial_crops --store store --grades train.csv --runs runs -o my-model --licence "own data"

    The first trains on the axial crops that TABLE names in the folder IMAGES and makes a model for lumbar predict crops and lumbar analyze. The second
    trains on whole studies, the third on both, and make a model for lumbar predict rsna2024. The calibration and the results on the card come from
    out-of-fold predictions.
    """
    if (table is None) != (images is None) or (table is None and store is None):
        raise UsageError("give TABLE and IMAGES of axial crops, or --store with whole studies, or both")
    if store is not None and grades is None:
        raise UsageError("--store needs --grades, a table like train.csv: a store holds images and no grades")
    known = read_grades(grades) if grades else None
    crops = [crop for crop in read_crop_table(table) if (images / crop.file).is_file()] if table and images else []
    try:
        if store is None:
            assert images is not None
            _train_crops(crops, images, known, out, request)
        else:
            _train_studies(store, known or {}, (crops, images) if images else None, out, request)
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs {error.name}, which is not installed: pip install lumbar[train]") from error


def _train_crops(crops: list[AxialCrop], images: Path, grades: Grades | None, out: Path, request: _Request) -> None:
    from lumbar.severity.learn.axial.ensemble import FoldOptions, train_fold, write_ensemble  # noqa: PLC0415  (PyTorch, an extra)
    from lumbar.severity.learn.axial.train import default_training  # noqa: PLC0415

    labels = targets(crops, grades)
    studies = {crop.study_id for crop in crops}
    if len(studies) < 2 * request.folds or not (labels >= 0).any():
        raise InputError(f"{len(studies)} studies have images in {images}, with {(labels >= 0).sum()} grades; too few for {request.folds} folds")
    config = default_training(request.kind, request.steps, request.threads)
    config = replace(config, fit=replace(config.fit, devices=request.devices, nodes=request.nodes, precision=request.precision))
    options = FoldOptions(folds=request.folds, stopping_parts=10 if request.stop_early else 0)
    with staged_folder(out, request.overwrite) as folder:
        one = partial(train_fold, crops, labels, images.resolve(), request.runs.resolve(), config=config, options=options)
        _train_in_parallel({fold: partial(one, fold=fold) for fold in range(request.folds)}, request)
        for fold in range(request.folds):
            click.echo(f"fold {fold + 1} of {request.folds}", err=True)
            train_fold(crops, labels, images, request.runs, fold, config=config, options=options)
        _end_helpers()
        oof = grade_held_out(crops, labels, images, request.runs, request.kind, request.threads)
        measured = figures(oof)
        data = TrainingData(f"{len(crops)} axial crops of {len(studies)} studies", request.licence)
        write_ensemble(folder, request.runs, request.kind, oof, measured, (data,))
    for part, values in measured.items():
        click.echo(f"{part:<14} weighted log loss {values.loss:.3f} (prevalence alone {values.prior:.3f}), {values.rows} rows out of fold")


def _train_studies(store: Path, grades: Grades, crops: tuple[list[AxialCrop], Path] | None, out: Path, request: _Request) -> None:
    from lumbar.severity.learn.studies.folds import StudyFoldOptions, train_study_fold  # noqa: PLC0415
    from lumbar.severity.learn.studies.train import default_study_training  # noqa: PLC0415

    prepared = open_store(store)
    sources = study_sources(store, grades, crops)
    whole = len(sources[0].names)
    if whole < 2 * request.folds or not (sources[0].targets >= 0).any():
        raise InputError(f"{store} has {whole} studies with crops, and {(sources[0].targets >= 0).sum()} of their grades are known; too few")
    config = default_study_training(request.kind, request.steps, request.encoder, masks=prepared.masks, slices=request.slices)
    fit = replace(config.fit, devices=request.devices, nodes=request.nodes, precision=request.precision, threads=request.threads)
    config = replace(config, fit=fit, workers=request.workers)
    with staged_folder(out, request.overwrite) as folder:
        split = StudyFoldOptions(folds=request.folds)
        _train_in_parallel(
            {fold: StoreFold(store.resolve(), grades, crops, request.runs.resolve(), fold, config, split) for fold in range(request.folds)}, request
        )
        for fold in range(request.folds):
            click.echo(f"fold {fold + 1} of {request.folds}", err=True)
            note = train_study_fold(sources, request.runs, fold, config, split)
            click.echo(
                f"loader idle {100 * note.loader_idle_share:.0f} % of the time, best official score {note.best_score:.3f} at step {note.best_step}", err=True
            )
        _end_helpers()
        oof = grade_held_out_studies(sources[0], request.runs, request.kind, config.network.inputs, request.threads)
        data = [TrainingData(f"{whole} whole studies", request.licence)]
        data += [TrainingData(f"{len(crops[0])} axial crops", request.licence)] if crops else []
        write_study_model(folder, request.runs, request.kind, oof, tuple(data), wanted=config.network.inputs, research_only=request.research_only)
    score, prior, intervals = oof.scores()
    interval = intervals["official_score"]
    click.echo(f"official score {score.official_score:.3f} ({interval.low:.3f} to {interval.high:.3f}), {len(oof.studies.names)} studies out of fold")
    for name in ("spinal", "foraminal", "subarticular", "any_severe_spinal"):
        click.echo(f"{name:<18} {getattr(score, name):.3f} (prevalence alone {getattr(prior, name):.3f})")


def _train_in_parallel(folds: Mapping[int, Callable[[], object]], request: _Request) -> None:
    """Train `folds` in parallel if several processes or a cluster are requested; otherwise the caller trains them in turn."""
    engine = EngineOptions(request.folds_at_once, request.scheduler, limits=Limits(seconds=math.inf, memory_mb=math.inf))
    if engine.single:
        return
    for fold, failure in track(run_calls({str(fold): call for fold, call in folds.items()}, request.runs, engine), "folds", total=len(folds)):
        if failure:
            raise InputError(f"fold {int(fold) + 1} could not be trained: {failure}; the same command resumes")


def _end_helpers() -> None:
    """Processes other than the main one write no files."""
    from lumbar.training.ranks import is_helper  # noqa: PLC0415  (PyTorch, an extra)

    if is_helper():
        raise SystemExit(0)
