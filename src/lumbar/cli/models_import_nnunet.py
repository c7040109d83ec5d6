"""`lumbar models import-nnunet`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from lumbar.cli.options import grouped, output_option, overwrite_option
from lumbar.errors import ModelError, UsageError
from lumbar.io.nifti import read_nifti
from lumbar.io.staging import staged_folder
from lumbar.models.card import Card
from lumbar.muscle.axial import to_axial

LEAST_EQUAL = 0.999  # least share of voxels to which nnU-Net and the imported model give the same label


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    name: str | None
    version: str
    licence: str
    fold: str | None
    checkpoint: str
    axial: bool


@click.command("import-nnunet")
@click.argument("folder", type=click.Path(path_type=Path))
@output_option("Model folder to write.")
@click.option("--check", "images", type=click.Path(path_type=Path), multiple=True, help="NIfTI image to compare both on; repeat for more.")
@click.option("--name", help="Name on the model's card; by default the name of FOLDER.")
@click.option("--version", default="0.1.0", show_default=True, help="Version on the model's card.")
@click.option("--licence", default="not stated", show_default=True, help="Licence of its training data, for the card.")
@click.option("--fold", help="Which fold_*; by default the only one.")
@click.option("--checkpoint", default="checkpoint_final.pth", show_default=True, help="Which file of the fold.")
@click.option("--axial", is_flag=True, help="It was trained on slices foot to head, rows front to back, columns right to left: reorient images first.")
@overwrite_option
@grouped("options", _Options)
def import_nnunet(folder: Path, out: Path, images: tuple[Path, ...], overwrite: bool, options: _Options) -> None:
    """Convert FOLDER, a trained nnU-Net v2 (plans.json, dataset.json, fold_0 …), to a model folder that needs neither nnU-Net nor PyTorch.

    With --check, nnU-Net and the imported model label the same images, and the import fails unless 99.9 % of the voxels agree. nnU-Net's checkpoints are
    pickles, which can run any program when opened: import trusted folders only.

    Example: lumbar models import-nnunet nnUNetTrainer__nnUNetPlans__2d -o models/mine --check case_0000.nii.gz
    """
    words = {key: value for key, value in asdict(options).items() if key != "axial"}
    words |= {"name": options.name or folder.name, "orientation": "axial" if options.axial else "file"}
    with staged_folder(out, overwrite) as stage:
        card, equal = import_checked(folder, stage, images, words)
    click.echo(f"{out}: {card.name} {card.version}, ONNX differs from PyTorch by at most {card.export_difference:.1e}")
    for path, share in zip(images, equal, strict=True):
        click.echo(f"{path.name}: {100 * share:.4f} % of the voxels have the same label")


def import_checked(folder: Path, stage: Path, images: Sequence[Path], words: Mapping[str, Any]) -> tuple[Card, list[float]]:
    """Import `folder` into `stage`; also the share of voxels of each image that nnU-Net and the imported model label alike.

    Raises:
        UsageError: PyTorch or nnU-Net is not installed.
        ModelError: they label less than `LEAST_EQUAL` of an image alike.
    """
    try:
        from lumbar.muscle.learn.nnunet_import import ImportOptions, check_import, import_nnunet  # noqa: PLC0415  (needs PyTorch and nnU-Net)
    except ImportError as error:
        raise UsageError(f"this needs PyTorch and nnU-Net, which are not installed ({error}); pip install lumbar[train] nnunetv2") from error
    settings = ImportOptions(**words)
    card = import_nnunet(folder, stage, settings)
    equal = []
    for path in images:
        volume = read_nifti(path)
        volume = to_axial(volume) if settings.orientation == "axial" else volume
        apart, *pixel = volume.grid.spacing_mm
        spacing_mm = (apart or 1.0, pixel[0], pixel[1])  # a single slice steps by 1 mm, as in its file
        equal.append(check_import(folder, stage, [np.asarray(volume.array, np.float32)[None]], spacing_mm, settings))
        if equal[-1] < LEAST_EQUAL:
            raise ModelError(f"{path}: only {100 * equal[-1]:.3f} % of the voxels are labelled alike; the import cannot be trusted")
    return card, equal
