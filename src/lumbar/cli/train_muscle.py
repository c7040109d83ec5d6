"""`lumbar train muscle`."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click

from lumbar.cli.models_import_nnunet import import_checked
from lumbar.cli.options import grouped, output_option, overwrite_option, training_threads_option
from lumbar.errors import UsageError
from lumbar.io.staging import staged_folder


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    folders: tuple[Path, ...]
    out: Path
    name: str
    version: str
    licence: str
    steps: int
    seed: int
    synthetic: int
    engine: str
    epochs: int
    iterations: int
    configuration: str
    patch: tuple[int, ...]
    batch: int | None
    features: tuple[int, ...]
    learning_rate: float
    device: str
    threads: int
    work: Path | None
    overwrite: bool


@click.command("muscle")
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, required=True)
@output_option("Model folder to write.")
@click.option("--name", default="muscle-axial", show_default=True, help="Name on the model's card.")
@click.option("--version", default="0.1.0", show_default=True, help="Version on the model's card.")
@click.option("--licence", default="not stated", show_default=True, help="Licence of the training data, for the card.")
@click.option("--steps", default=2000, show_default=True, help="Optimiser steps of 8 images.")
@click.option("--seed", default=20240601, show_default=True, help="Seed of the random draws.")
@click.option("--synthetic", default=60, show_default=True, help="Synthetic people whose slices are added to training; half are drawn, half are phantoms.")
@click.option("--engine", type=click.Choice(["lumbar", "nnunet"]), default="lumbar", show_default=True, help="lumbar's own small network, or nnU-Net v2.")
@click.option("--epochs", default=1000, show_default=True, help="nnU-Net: epochs.")
@click.option("--iterations", default=250, show_default=True, help="nnU-Net: iterations per epoch.")
@click.option("--configuration", default="2d", show_default=True, help="nnU-Net: 2d or 3d_fullres.")
@click.option("--patch", type=int, multiple=True, help="nnU-Net: another patch size, one number per axis (repeat), instead of its plan's.")
@click.option("--batch", type=int, help="nnU-Net: another batch size.")
@click.option("--features", type=int, multiple=True, help="nnU-Net: features of each stage (repeat), for a smaller network.")
@click.option(
    "--learning-rate",
    default=0.0,
    show_default=True,
    help="nnU-Net: AdamW at this rate, which is better than its SGD for trainings of a few thousand steps; 0 for its SGD.",
)
@click.option("--device", default="cpu", show_default=True, help="nnU-Net: cpu or cuda.")
@training_threads_option
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder for checkpoints; interrupted runs resume from it with their own data. OUT/../OUT.work by default.",
)
@overwrite_option
@grouped("options", _Options)
def train_muscle(options: _Options) -> None:
    """Train the muscle network on FOLDERS of images with masks and write a model folder.

    A folder holds NAME_water.nii.gz, NAME_fat.nii.gz and NAME_mask.nii.gz of each subject, or is an nnU-Net raw data set with cases NAME_water and
    NAME_fat, as `lumbar phantom cohort OUT --layout dixon` writes it; or it holds single axial slices of any contrast, images/NAME.webp with
    masks/NAME.png (the patient's right on the left). Labels are those of `lumbar segment muscle`; folders without psoas and vertebra (5 to 7) are
    not used for these classes. Contrast and shapes are augmented, and slices of synthetic people are added.

    With --engine nnunet, nnU-Net v2 runs from raw data set to trained network (without mirroring), which is then imported and checked.

    \b
    Example: lumbar train muscle dixon phantoms -o models/my-muscles
             lumbar train muscle dixon -o models/nn --engine nnunet --epochs 50 --device cuda
    """
    out = options.out
    work = options.work or out.with_name(f"{out.name}.work")
    if options.engine == "nnunet":
        _nnunet(out, work, options)
        return
    try:
        from lumbar.muscle.learn.build import BuildOptions, build  # noqa: PLC0415  (needs PyTorch)
    except ImportError as error:
        raise UsageError(f"training needs PyTorch and Lightning, which are not installed ({error}); pip install lumbar[train]") from error
    settings = BuildOptions(
        name=options.name,
        version=options.version,
        licence=options.licence,
        steps=options.steps,
        seed=options.seed,
        threads=options.threads,
        synthetic=options.synthetic,
    )
    with staged_folder(out, options.overwrite) as stage:
        card = build(list(options.folders), stage, work, settings)
    click.echo(f"{out}: {card.name} {card.version}, ONNX differs from PyTorch by at most {card.export_difference:.1e}")


def _nnunet(out: Path, work: Path, options: _Options) -> None:
    try:
        from lumbar.muscle.learn.nnunet_cases import subject_cases  # noqa: PLC0415  (its synthesis of contrasts needs PyTorch)
        from lumbar.muscle.learn.nnunet_train import NnunetTraining, train_nnunet  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"training needs PyTorch, which is not installed ({error}); pip install lumbar[train] nnunetv2") from error
    if find_spec("nnunetv2") is None:
        raise UsageError("--engine nnunet needs nnU-Net v2, which is not installed; pip install nnunetv2")
    training = NnunetTraining(
        configuration=options.configuration,
        epochs=options.epochs,
        iterations=options.iterations,
        patch=options.patch or None,
        batch=options.batch,
        features=options.features or None,
        learning_rate=options.learning_rate,
        device=options.device,
        threads=options.threads or 2,
    )
    trained = train_nnunet(subject_cases(options.folders), work.resolve(), training)
    images = sorted((work / "raw").glob("*/imagesTr/*_0000.nii.gz"))[:4]
    words = {"name": options.name, "version": options.version, "licence": options.licence}
    with staged_folder(out, options.overwrite) as stage:
        card, equal = import_checked(trained, stage, images, {**words, "orientation": "axial"})
    click.echo(
        f"{out}: {card.name} {card.version}; of the voxels of {len(images)} images at least {100 * min(equal):.4f} % are labelled as nnU-Net labels them"
    )
