"""`lumbar evaluate muscle`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from lumbar.cli.options import grouped, json_option, output_option, overwrite_option
from lumbar.cli.progress import track
from lumbar.cli.stdout import print_json
from lumbar.datasets.lpm_tables import has_quantity, read_volume_table
from lumbar.errors import InputError, UsageError
from lumbar.io.nifti import read_nifti_mask
from lumbar.io.staging import staged_folder
from lumbar.metrics.agreement import Agreement
from lumbar.metrics.bootstrap import Interval
from lumbar.muscle.evaluate import LabelSummary, MaskEvaluation, VolumeAgreement, evaluate_masks, evaluate_pairs, summarize
from lumbar.muscle.labels import LABELS, label_name
from lumbar.report.research.muscle_agreement import write_agreement

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    reference: Path | None
    prediction: Path | None
    volumes: Path | None
    out: Path | None
    overwrite: bool
    as_json: bool


@click.command("muscle")
@click.option("--reference", type=_FILE, help="Reference mask, or a folder of them.")
@click.option("--prediction", type=_FILE, help="Mask to score, or a folder with masks of the same names.")
@click.option("--volumes", type=_FILE, help="Table with columns volume1_gd, volume1_ai, … in cm³ (manual, automatic), optionally fat1_gd, …")
@output_option("With --volumes: also write plots, a table and a page into this folder.", required=False)
@overwrite_option
@json_option
@grouped("options", _Options)
def evaluate_muscle(options: _Options) -> None:
    """Score a muscle mask against a reference mask, or the agreement of automatic with manual volumes.

    Differences are automatic minus reference; limits of agreement are the bias ∓ 1.96 standard deviations (n − 1); equivalence is tested by two one-sided
    t tests at ±5 % of the mean reference. An undefined value is null. Two folders also give 95 % intervals and the agreement of areas, slice by slice.

    \b
    Example: lumbar evaluate muscle --reference truth.nii.gz --prediction muscle.nii.gz --json
             lumbar evaluate muscle --volumes volumes.csv -o agreement
    """
    reference, prediction, volumes = options.reference, options.prediction, options.volumes
    if reference and prediction and not volumes:
        if options.out:
            raise UsageError("-o goes with --volumes; two masks give numbers only")
        if reference.is_dir():
            _folders(reference, prediction, options.as_json)
        else:
            _show_masks(_scored(reference, prediction), options.as_json)
    elif volumes and not (reference or prediction):
        _volumes(volumes, options.out, options.overwrite, options.as_json)
    else:
        raise UsageError("give either --reference and --prediction (two masks) or --volumes (one table)")


def _scored(reference: Path, prediction: Path) -> MaskEvaluation:
    try:
        return evaluate_masks(read_nifti_mask(reference), read_nifti_mask(prediction))
    except InputError as error:
        raise type(error)(f"{reference} and {prediction}: {error}") from None


def _folders(reference: Path, prediction: Path, as_json: bool) -> None:
    """Every mask of one folder against that of the same name in the other; with three or more, also the agreement of their volumes."""
    names = sorted(path.name for path in reference.glob("*.nii.gz"))
    missing = [name for name in names if not (prediction / name).is_file()]
    if not names or missing:
        raise UsageError(f"{reference} has {len(names)} masks (*.nii.gz), of which {prediction} lacks {len(missing)}: {', '.join(missing[:5])}")
    found = {name: _scored(reference / name, prediction / name) for name in track(names, "masks")}
    summaries = summarize(list(found.values()))
    if as_json:
        cases = [{"case": name, "labels": _mask_records(case), "mean_dsc": case.mean_dice} for name, case in found.items()]
        print_json({"cases": cases, "labels": [_summary_record(one) for one in summaries]})
        return
    click.echo(f"{len(names)} masks; means with 95 % intervals; areas of all slices: ICC(2,1), bias and limits of agreement in mm², TOST at ±5 %")
    click.echo(f"{'label':28}{'Dice':>22}{'1 mm':>22}{'HD95 mm':>20}  areas")
    for one in summaries:
        values = f"{_shown(one.dice, 3):>22}{_shown(one.surface_dice_1mm, 3):>22}{_shown(one.hd95_mm, 1):>20}"
        click.echo(f"{_name(one.label):28}{values}  {_agreement_line(one.area)}")


def _summary_record(one: LabelSummary) -> dict[str, Any]:
    """One label over many masks: `dsc` and volume agreement as always, intervals and the agreement of areas beside them."""
    intervals = {"dsc": one.dice, "hd95_mm": one.hd95_mm, "surface_dice_1mm": one.surface_dice_1mm}
    record: dict[str, Any] = _head(one.label)
    for name, interval in intervals.items():
        record |= {name: interval.estimate if interval else None, f"{name}_interval": [interval.low, interval.high] if interval else None}
    return record | (_plain(one.volume) if one.volume else {}) | {"area": _plain(one.area) if one.area else None}


def _shown(interval: Interval | None, digits: int) -> str:
    return "–" if interval is None else f"{interval.estimate:.{digits}f} ({interval.low:.{digits}f}–{interval.high:.{digits}f})"


def _agreement_line(a: Agreement | None) -> str:
    if a is None:
        return "fewer than three"
    verdict = "equivalent" if a.equivalent else "not equivalent"
    return f"{a.icc_2_1:.3f} ({a.icc_2_1_low:.3f}–{a.icc_2_1_high:.3f}), {a.bias:+.0f} ({a.loa_low:.0f} … {a.loa_high:.0f}), {verdict}"


def _volumes(path: Path, out: Path | None, overwrite: bool, as_json: bool) -> None:
    tables = {"labels": read_volume_table(path)}
    if has_quantity(path, "fat"):
        tables["fat_labels"] = read_volume_table(path, "fat")
    found = {key: evaluate_pairs(table.pairs) for key, table in tables.items()}
    if out:
        with staged_folder(out, overwrite) as stage:
            for key, table in tables.items():
                write_agreement(stage, "volume" if key == "labels" else "fat", table.pairs, found[key])
    if as_json:
        document = {"cases": len(tables["labels"].cases), **{key: [_record(entry) for entry in entries] for key, entries in found.items()}}
        print_json(document)
        return
    for entries in found.values():
        click.echo(f"{'label':28}{'MAE':>8}{'bias':>8}{'limits':>18}{'ICC(2,1)':>24}{'r':>8}  equivalent")
        for entry in entries:
            a = entry.agreement
            limits, icc = f"{a.loa_low:.2f} … {a.loa_high:.2f}", f"{a.icc_2_1:.4f} ({a.icc_2_1_low:.4f}–{a.icc_2_1_high:.4f})"
            click.echo(f"{_name(entry.label):28}{a.mae:8.2f}{a.bias:+8.2f}{limits:>18}{icc:>24}{a.pearson:8.4f}  {'yes' if a.equivalent else 'no'}")


def _show_masks(found: MaskEvaluation, as_json: bool) -> None:
    if as_json:
        print_json({"labels": _mask_records(found), "mean_dsc": found.mean_dice})
        return
    click.echo(f"{'label':28}{'Dice':>8}{'1 mm':>8}{'2 mm':>8}{'HD95':>8}{'ASSD':>8}{'ml':>9}")
    for score in found.scores:
        numbers = (score.dice, score.surface_dice_1mm, score.surface_dice_2mm, score.hd95_mm, score.assd_mm)
        click.echo(f"{_name(score.label):28}" + "".join(f"{'–' if x is None else f'{x:.3f}':>8}" for x in numbers) + f"{score.volume_error_ml:+9.2f}")


def _mask_records(found: MaskEvaluation) -> list[dict[str, Any]]:
    records = []
    for score in found.scores:
        values = {name: value for name, value in asdict(score).items() if name not in {"label", "dice"}}
        records.append({**_head(score.label), "dsc": score.dice, **values, "volume_error_ml": score.volume_error_ml})
    return records


def _record(entry: VolumeAgreement) -> dict[str, Any]:
    return {"label": entry.label, "muscle": entry.muscle.value, "side": entry.side.value, **_plain(entry.agreement)}


def _plain(found: Agreement) -> dict[str, Any]:
    """Numbers for JSON: undefined values (a correlation of constant values) are null."""
    return {name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in asdict(found).items()}


def _name(label: int) -> str:
    return f"{label} {label_name(label)}"


def _head(label: int) -> dict[str, Any]:
    """The label's number and names; the vertebral body has no side."""
    if label not in LABELS:
        return {"label": label, "muscle": None, "side": None, "structure": label_name(label)}
    muscle, side = LABELS[label]
    return {"label": label, "muscle": muscle.value, "side": side.value}
