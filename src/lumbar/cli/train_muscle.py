"""`lumbar train muscle`."""

from pathlib import Path
from typing import Any

import click
import numpy as np

from lumbar.cli.models_import_nnunet import LEAST_EQUAL
from lumbar.errors import ModelError, UsageError
from lumbar.io.nifti import read_nifti
from lumbar.io.staging import staged_folder


@click.command("muscle")
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-o", "out", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--name", default="muscle-axial", show_default=True, help="Name on the model's card.")
@click.option("--version", default="0.1.0", show_default=True, help="Version on the model's card.")
@click.option("--licence", default="not stated", show_default=True, help="Licence of the training data, for the card.")
@click.option("--steps", default=4000, show_default=True, help="Optimiser steps of 6 pictures.")
@click.option("--seed", default=20240601, show_default=True)
@click.option("--pixel", default=1.25, show_default=True, help="Pixel size in mm that the network works on; 2 is four times as quick and a little coarser.")
@click.option("--engine", type=click.Choice(["lumbar", "nnunet"]), default="lumbar", show_default=True, help="lumbar's own small network, or nnU-Net v2.")
@click.option("--epochs", default=1000, show_default=True, help="nnU-Net: epochs.")
@click.option("--iterations", default=250, show_default=True, help="nnU-Net: steps of an epoch.")
@click.option("--configuration", default="2d", show_default=True, help="nnU-Net: 2d or 3d_fullres.")
@click.option("--patch", type=int, multiple=True, help="nnU-Net: another patch size, one number an axis (repeat), instead of its plan's.")
@click.option("--batch", type=int, help="nnU-Net: another batch size.")
@click.option("--features", type=int, multiple=True, help="nnU-Net: features of each stage (repeat), for a smaller network.")
@click.option("--device", default="cpu", show_default=True, help="nnU-Net: cpu or cuda.")
@click.option("--threads", default=0, show_default=True, help="Processor threads; 0 for as many as PyTorch chooses.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for checkpoints; a run that was stopped goes on from there. OUT/../OUT.work by default.")
@click.option("--overwrite", is_flag=True, help="Replace files that are already in OUT.")
def train_muscle(**options: Any) -> None:
    """Train the muscle network on FOLDERS of Dixon pairs with masks and write a model folder.

    A folder holds NAME_water.nii.gz, NAME_fat.nii.gz and NAME_mask.nii.gz (labels 1 to 4) of each subject; folders written by
    `lumbar phantom cohort OUT --layout dixon` are read too. Contrast, fat and shapes are varied at random, so that T1 and T2 pictures are read as well.

    With --engine nnunet, nnU-Net v2 is driven from the raw data set to the trained network (without mirroring), which is then imported and checked.

    \b
    Example: lumbar train muscle dixon phantoms/train -o models/my-muscles
             lumbar train muscle dixon -o models/nn --engine nnunet --epochs 50 --device cuda
    """
    out: Path = options["out"]
    work: Path = options["work"] or out.with_name(f"{out.name}.work")
    if options["engine"] == "nnunet":
        _nnunet(out, work, options)
        return
    try:
        from lumbar.muscle.build import BuildOptions, build  # noqa: PLC0415  (needs PyTorch)
    except ImportError as error:
        raise UsageError(f"training needs PyTorch and Lightning, which are not installed ({error}); pip install lumbar[train]") from error
    settings = BuildOptions(
        name=options["name"],
        version=options["version"],
        licence=options["licence"],
        steps=options["steps"],
        seed=options["seed"],
        pixel_mm=options["pixel"],
        threads=options["threads"],
    )
    with staged_folder(out, options["overwrite"]) as stage:
        card = build(list(options["folders"]), stage, work, settings)
    click.echo(f"{out}: {card.name} {card.version}, ONNX differs from PyTorch by at most {card.export_difference:.1e}")


def _nnunet(out: Path, work: Path, options: dict[str, Any]) -> None:
    try:
        from lumbar.muscle.nnunet_import import ImportOptions, check_import, import_nnunet  # noqa: PLC0415  (needs PyTorch and nnU-Net)
        from lumbar.muscle.nnunet_train import NnunetTraining, train_nnunet  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"training needs PyTorch and nnU-Net, which are not installed ({error}); pip install lumbar[train] nnunetv2") from error
    training = NnunetTraining(
        configuration=options["configuration"],
        epochs=options["epochs"],
        iterations=options["iterations"],
        patch=options["patch"] or None,
        batch=options["batch"],
        features=options["features"] or None,
        device=options["device"],
        threads=options["threads"] or 2,
    )
    trained = train_nnunet(list(options["folders"]), work.resolve(), training)
    settings = ImportOptions(options["name"], options["version"], options["licence"], orientation="axial")
    first = next((work / "raw").glob("*/imagesTr/*_0000.nii.gz"))
    volume = read_nifti(first)
    with staged_folder(out, options["overwrite"]) as stage:
        card = import_nnunet(trained, stage, settings)
        equal = check_import(trained, stage, [np.asarray(volume.array, np.float32)[None]], volume.grid.spacing_mm, settings)
        if equal < LEAST_EQUAL:
            raise ModelError(f"only {100 * equal:.3f} % of the voxels of {first.name} are labelled alike by nnU-Net and the exported network")
    click.echo(f"{out}: {card.name} {card.version}; {100 * equal:.4f} % of the voxels of {first.name} are labelled as nnU-Net labels them")
