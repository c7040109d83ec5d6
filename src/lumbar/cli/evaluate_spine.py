"""`lumbar evaluate spine`."""

from pathlib import Path
from typing import Any

import click
import numpy as np

from lumbar.cli.options import json_option
from lumbar.cli.stdout import print_json
from lumbar.domain.mask_labels import LABEL_NAMES
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, UsageError
from lumbar.io.nifti import read_nifti_mask
from lumbar.metrics.segmentation import LabelScore, score_labels

TISSUES = {1: "vertebra", 2: "disc", 3: "canal"}


@click.command("spine")
@click.option("--reference", type=click.Path(path_type=Path), required=True, help="Reference mask.")
@click.option("--prediction", type=click.Path(path_type=Path), required=True, help="Mask to score.")
@json_option
def evaluate_spine(reference: Path, prediction: Path, as_json: bool) -> None:
    """Compare two spine masks: Dice, surface Dice, HD95, ASSD and volumes.

    Masks hold 1 vertebra, 2 disc, 3 spinal canal; or, both of them, levels: 1 to 5 for the discs L1/L2 to L5/S1 and 11 to 15 for the vertebrae L1 to L5.
    A value that is undefined (a structure in neither mask) is null.

    Example: lumbar evaluate spine --reference truth.nii.gz --prediction spine.nii.gz --json
    """
    try:
        found = compare_spines(read_nifti_mask(reference), read_nifti_mask(prediction))
    except GeometryError as error:
        raise GeometryError(f"{reference} and {prediction}: {error}") from None
    if as_json:
        print_json(found)
        return
    for entry in found["labels"]:
        numbers = (entry["dice"], entry["surface_dice_1mm"], entry["hd95_mm"], entry["assd_mm"])
        click.echo(f"{entry['name']:10}" + "".join(f"{'–' if x is None else f'{x:.3f}':>10}" for x in numbers))
    click.echo("(columns: Dice, surface Dice at 1 mm, HD95 mm, ASSD mm)")


def compare_spines(reference: Volume, prediction: Volume) -> dict[str, Any]:
    """The JSON document.

    Raises:
        UsageError: one mask holds tissues and the other levels.
        GeometryError: the masks lie on different grids.
    """
    levels = [bool((mask.array > 3).any()) for mask in (reference, prediction)]
    if levels[0] != levels[1]:
        name = "reference" if levels[0] else "prediction"
        raise UsageError(f"only the {name} has labels above 3, so it holds levels while the other holds tissues; give two masks of one kind")
    if not levels[0]:
        scores = score_labels(reference, prediction, tuple(TISSUES))
        return {"dice": _dice(scores, TISSUES), "labels": [_entry(score, TISSUES) for score in scores]}
    tissues = score_labels(Volume(_tissues(reference), reference.grid), Volume(_tissues(prediction), prediction.grid), tuple(TISSUES))
    seen = sorted((set(np.unique(reference.array).tolist()) | set(np.unique(prediction.array).tolist())) & set(LABEL_NAMES))
    instances = score_labels(reference, prediction, seen)
    return {
        "dice": _dice(tissues, TISSUES),
        "labels": [_entry(score, TISSUES) for score in tissues],
        "instances": [_entry(score, LABEL_NAMES) for score in instances],
    }


def _tissues(mask: Volume) -> np.ndarray[Any, np.dtype[np.uint8]]:
    labels = mask.array
    return np.select([(labels >= 11) & (labels <= 15), (labels >= 1) & (labels <= 5)], [1, 2], default=0).astype(np.uint8)


def _dice(scores: tuple[LabelScore, ...], names: dict[int, str]) -> dict[str, float | None]:
    return {names[score.label]: score.dice for score in scores}


def _entry(score: LabelScore, names: dict[int, str]) -> dict[str, Any]:
    return {
        "label": score.label,
        "name": names[score.label],
        "dice": score.dice,
        "surface_dice_1mm": score.surface_dice_1mm,
        "surface_dice_2mm": score.surface_dice_2mm,
        "hd95_mm": score.hd95_mm,
        "assd_mm": score.assd_mm,
        "volume_error_ml": score.volume_error_ml,
    }
