"""`lumbar train spine`."""

from dataclasses import dataclass
from pathlib import Path

import click

from lumbar.cli.options import grouped, output_option, overwrite_option, training_threads_option
from lumbar.datasets.spider import read_space
from lumbar.errors import InputError, UsageError
from lumbar.io.staging import staged_folder
from lumbar.models.card import TrainingData


@dataclass(frozen=True)
class _Fitting:
    """How the network is fitted."""

    steps: int
    threads: int
    precision: str
    devices: int
    nodes: int


@click.command("spine")
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@output_option("Model folder to write.")
@click.option("--runs", required=True, type=click.Path(path_type=Path), help="Folder for checkpoints and logs; interrupted runs resume from it.")
@click.option("--licence", required=True, help="Licence of the training data, for the card.")
@click.option("--leave-out", default="", metavar="PATIENTS", help="Patients left out for testing, by the numbers in their file names: 7,57,107.")
@click.option("--steps", type=click.IntRange(2), default=3000, show_default=True, help="Optimiser steps.")
@training_threads_option
@overwrite_option
@click.option("--precision", default="bf16-mixed", show_default=True, help="Precision, as named by Lightning; 32-true for processors without bfloat16.")
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs (or processes) per node.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Nodes.")
@grouped("fitting", _Fitting)
def train_spine(data: Path, out: Path, runs: Path, licence: str, leave_out: str, overwrite: bool, fitting: _Fitting) -> None:
    """Train a spine model on DATA, which holds images in images/ and masks of equal names in masks/.

    \b
    lumbar train spine spider/t2_space --runs runs/spine -o my-spine --licence "CC BY 4.0"

    Files are sagittal slices of 0.625 mm pixels, named PATIENT_…_sliceN.webp; grey 29 disc, 76 vertebra, 150 canal, as in SPIDER's T2 SPACE images.
    """
    try:
        from lumbar.spine.learn.train import SpineTraining, export, spine_card, train  # noqa: PLC0415  (PyTorch, an extra)
        from lumbar.training.fit import FitOptions  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"training needs {error.name}, which is not installed: pip install lumbar[train]") from error
    kept = {word.strip() for word in leave_out.split(",") if word.strip()}
    examples = [example for example in read_space(data) if example.patient not in kept]
    if not examples:
        raise InputError(f"{data} holds no labelled slices: needed are images/PATIENT_…_sliceN.webp and masks/ with the same names")
    patients = len({example.patient for example in examples})
    config = SpineTraining(fit=FitOptions(**vars(fitting)))
    with staged_folder(out, overwrite) as folder:
        module = train([examples], runs, config)
        export(module, folder, spine_card(out.name, (TrainingData(f"{data.name}: {len(examples)} slices of {patients} patients", licence),)))
