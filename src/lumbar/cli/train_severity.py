"""`lumbar train severity`."""

from pathlib import Path

import click

from lumbar.datasets.axial_crops import read_crop_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.errors import InputError, UsageError
from lumbar.io.staging import staged_folder
from lumbar.models.card import TrainingData
from lumbar.severity.data import targets
from lumbar.severity.out_of_fold import figures, grade_held_out


@click.command("severity")
@click.argument("table", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder for checkpoints and logs; a killed training goes on from there.")
@click.option("--grades", type=click.Path(path_type=Path), help="Table like train.csv: foraminal grades by study, which crop tables lack.")
@click.option("--licence", required=True, help="Licence of the training data, in words, for the card.")
@click.option("--kind", type=click.Choice(["hybrid", "vit"]), default="hybrid", show_default=True, help="Network.")
@click.option("--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Folds by study; one network each.")
@click.option("--steps", type=click.IntRange(2), default=1300, show_default=True, help="Optimiser steps a fold.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Processor threads; 0: as PyTorch chooses.")
def train_severity(
    table: Path, images: Path, out: Path, runs: Path, grades: Path | None, licence: str, kind: str, folds: int, steps: int, threads: int
) -> None:
    """Train an ensemble on the axial crops that TABLE names in the folder IMAGES, one network for each fold of a cross-validation by study.

    The calibration and the figures on the card come from grades for studies that a network had not seen.

    Example: lumbar train severity axial_crops.csv axial_crops --runs runs -o my-model --licence "own data"
    """
    try:
        from lumbar.severity.ensemble import FoldOptions, train_fold, write_ensemble  # noqa: PLC0415  (PyTorch, an extra)
        from lumbar.severity.train import default_training  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs {error.name}, which is not installed: pip install lumbar[train]") from error
    crops = [crop for crop in read_crop_table(table) if (images / crop.file).is_file()]
    labels = targets(crops, read_grades(grades) if grades else None)
    studies = {crop.study_id for crop in crops}
    if len(studies) < 2 * folds or not (labels >= 0).any():
        raise InputError(f"{table} has {len(studies)} studies with pictures in {images} and {(labels >= 0).sum()} grades; too few for {folds} folds")
    with staged_folder(out, overwrite=False) as folder:
        for fold in range(folds):
            click.echo(f"fold {fold + 1} of {folds}", err=True)
            options = FoldOptions(folds=folds)
            train_fold(crops, labels, images, runs, fold, config=default_training(kind, steps, threads), options=options)
        oof = grade_held_out(crops, labels, images, runs, kind, threads)
        measured = figures(oof)
        data = TrainingData(f"{table.name}: {len(crops)} axial crops of {len(studies)} studies", licence)
        write_ensemble(folder, runs, kind, oof, measured, (data,))
    for part, values in measured.items():
        click.echo(f"{part:<14} weighted log loss {values.loss:.3f} (frequencies alone {values.prior:.3f}), {values.rows} rows out of fold")
