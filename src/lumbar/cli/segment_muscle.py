"""`lumbar segment muscle`."""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from lumbar.cli.measure_muscle import show_measurement, write_measurement
from lumbar.cli.options import grouped, json_option, models_option, output_option, overwrite_option, threads_option
from lumbar.datasets.lpm_tables import read_slice_ranges
from lumbar.domain.findings import LevelFinding
from lumbar.domain.volume import Volume
from lumbar.errors import UsageError
from lumbar.io.nifti import read_nifti, read_nifti_mask, write_nifti
from lumbar.io.staging import staged_folder
from lumbar.models.registry import find_model
from lumbar.muscle.axial import to_axial
from lumbar.muscle.engine import run_model
from lumbar.muscle.fat.mixture import Method
from lumbar.muscle.levels import levels_of
from lumbar.muscle.measure import METHODS, Measurement, measure
from lumbar.muscle.predict import TASK, lumbar_slices
from lumbar.muscle.preview import sheet_png
from lumbar.muscle.scene import MeasureOptions
from lumbar.muscle.slices import find_levels, is_long
from lumbar.spine.network import TASK as SPINE_TASK
from lumbar.spine.network import network_of

_FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    image: Path
    fat: Path | None
    out: Path
    levels: Path | None
    find: bool | None
    slices: Path | None
    pid: str | None
    method: Method
    inner: float
    models: Path | None
    threads: int
    overwrite: bool
    as_json: bool


@click.command("muscle")
@click.argument("image", type=_FILE)
@click.option("--fat", type=_FILE, help="The fat image of a Dixon pair; IMAGE is then its water image.")
@output_option("Folder for muscle.nii.gz, muscles.csv, muscles.json and muscle.png.")
@click.option(
    "--levels", type=_FILE, help="levels.nii.gz of `lumbar segment spine`: only slices between L1/L2 and L5/S1 are labelled, and areas given by level."
)
@click.option(
    "--find-levels/--all-slices",
    "find",
    default=None,
    help="Find L1/L2 to L5/S1 in IMAGE itself by the spine model and label only these slices, or label all. By default a file longer than 220 mm is searched.",
)
@click.option("--slices", type=_FILE, help="CSV with pid, slice_start, slice_stop (from 0, both included): only these slices of the file; overrides --levels.")
@click.option("--pid", help="The row of --slices to take; by default the one whose pid is in the name of IMAGE.")
@click.option("--method", type=click.Choice(list(METHODS)), default="gmm3", show_default=True, help="Fat classification method without a fat image.")
@click.option("--inner", type=click.FloatRange(min=0), default=0.0, help="Measure fat only in voxels deeper than this inside the outline, in mm.")
@models_option
@threads_option
@overwrite_option
@json_option
@grouped("options", _Options)
def segment_muscle(options: _Options) -> None:
    """Label the muscles of both sides on IMAGE (axial NIfTI, also of one slice: T1, T2, Dixon water or fat) and measure them.

    muscle.nii.gz has the grid and affine of IMAGE: 1 right erector spinae, 2 right multifidus, 3 left multifidus, 4 left erector spinae, and if the
    model has these classes 5 right psoas, 6 left psoas, 7 vertebral body or disc. A single slice has areas and fat, but no volume.

    Example: lumbar segment muscle water.nii.gz --fat fat.nii.gz -o out
    """
    image = read_nifti(options.image)
    fat = read_nifti(options.fat) if options.fat else None
    discs = read_nifti_mask(options.levels) if options.levels else None
    levels, kept, doubts = _levels(image, discs, options)
    model = find_model(TASK, options.models, options.threads)
    found = run_model(model, image, fat, _wanted(image, kept, options))
    measured = Measurement((), ())
    if found.mask.array.any():
        measured = measure(image, found.mask, fat, MeasureOptions(levels, discs, options.method, options.inner, found.agreement))
    everything = Measurement(measured.findings, tuple(dict.fromkeys((*doubts, *found.warnings, *measured.warnings))))
    with staged_folder(options.out, options.overwrite, options.image) as stage:
        write_nifti(stage / "muscle.nii.gz", found.mask)
        write_measurement(stage, everything)
        (stage / "muscle.png").write_bytes(sheet_png(image, found.mask))
    show_measurement(everything, options.as_json)


Levels = tuple[LevelFinding, ...]


def _levels(image: Volume, discs: Volume | None, options: _Options) -> tuple[Levels, Levels, tuple[str, ...]]:
    """(levels to measure at, levels whose slices are kept, warnings)."""
    if discs is not None:
        given = levels_of(discs)
        return given, given, ()
    find = options.find
    if find is None:
        find = options.slices is None and is_long(image)
    if not find:
        return (), (), ()
    found = find_levels(image, network_of(find_model(SPINE_TASK, options.models, options.threads)))
    if found.both_ends or (options.find and found.levels):
        return found.levels, found.levels, found.warnings
    doubt = "L1/L2 and L5/S1 were not both found for certain, so all slices were labelled; choose them with --slices or --levels"
    return found.levels, (), (*found.warnings, doubt)


def _wanted(image: Volume, levels: Levels, options: _Options) -> NDArray[np.bool_] | None:
    """(slices of the axial volume,) which slices are to be labelled; None for all."""
    if options.slices is None:
        return lumbar_slices(to_axial(image).grid, levels) if levels else None
    ranges = read_slice_ranges(options.slices)
    name = options.image.name
    matching = [r for r in ranges if r.pid == options.pid] if options.pid else [r for r in ranges if r.pid and r.pid in name]
    if len(matching) != 1:
        raise UsageError(f"{options.slices} has {len(matching)} rows for {options.pid or name}; name the row with --pid")
    axial = to_axial(image)
    # Slices are counted as the file stores them: the numbers are put on the file's own slices and turned along with them.
    number = np.broadcast_to(np.arange(image.grid.shape[0], dtype=np.float32)[:, None, None], image.grid.shape)
    order = to_axial(Volume(number, image.grid)).array[:, 0, 0]
    if len(np.unique(order)) != len(axial.array):
        raise UsageError("--slices counts axial slices, but the file does not store axial slices one after the other")
    return np.asarray((order >= matching[0].slice_start) & (order <= matching[0].slice_stop))
