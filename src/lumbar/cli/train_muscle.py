"""`lumbar train muscle`."""

from pathlib import Path
from typing import Any

import click

from lumbar.errors import UsageError
from lumbar.io.staging import staged_folder


@click.command("muscle")
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("-o", "out", type=click.Path(path_type=Path), required=True, help="Model folder to write.")
@click.option("--name", default="muscle-axial", show_default=True, help="Name on the model's card.")
@click.option("--version", default="0.1.0", show_default=True, help="Version on the model's card.")
@click.option("--licence", default="not stated", show_default=True, help="Licence of the training data, for the card.")
@click.option("--steps", default=4000, show_default=True, help="Optimiser steps of 6 pictures.")
@click.option("--seed", default=20240601, show_default=True)
@click.option("--threads", default=0, show_default=True, help="Processor threads; 0 for as many as PyTorch chooses.")
@click.option("--work", type=click.Path(path_type=Path), help="Folder for checkpoints; a run that was stopped goes on from there. OUT/../OUT.work by default.")
@click.option("--overwrite", is_flag=True, help="Replace files that are already in OUT.")
def train_muscle(**options: Any) -> None:
    """Train the muscle network on FOLDERS of Dixon pairs with masks and write a model folder.

    A folder holds NAME_water.nii.gz, NAME_fat.nii.gz and NAME_mask.nii.gz (labels 1 to 4) of each subject; folders written by
    `lumbar phantom cohort OUT --layout dixon` are read too. Contrast, fat and shapes are varied at random, so that T1 and T2 pictures are read as well.

    Example: lumbar train muscle dixon phantoms/train -o models/my-muscles
    """
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
        threads=options["threads"],
    )
    out: Path = options["out"]
    work: Path = options["work"] or out.with_name(f"{out.name}.work")
    with staged_folder(out, options["overwrite"]) as stage:
        card = build(list(options["folders"]), stage, work, settings)
    click.echo(f"{out}: {card.name} {card.version}, ONNX differs from PyTorch by at most {card.export_difference:.1e}")
