"""`lumbar segment spine`: one NIfTI image in, masks and measurements out."""

from dataclasses import dataclass
from pathlib import Path

import click

from lumbar.cli.options import grouped, json_option, lowest_level_option, models_option, output_option, overwrite_option, threads_option, weighting_option
from lumbar.cli.stdout import print_json
from lumbar.domain.anatomy import Level
from lumbar.io.nifti import write_nifti
from lumbar.io.read import read_study
from lumbar.io.staging import staged_folder
from lumbar.io.weighting_given import GivenWeighting
from lumbar.pipeline import Analysis, Request, load_models
from lumbar.pipeline import analyze as run_analysis
from lumbar.report.document import to_document, to_json
from lumbar.report.drawing import draw_sagittal, save
from lumbar.report.views import sagittal_view
from lumbar.spine.spine_map import level_mask, structure_mask, tissue_mask


@dataclass(frozen=True)
class _Options:
    """The options of the command, one field each."""

    out: Path
    models: Path | None
    lowest_level: Level | None
    weightings: tuple[GivenWeighting, ...]
    threads: int
    overwrite: bool
    as_json: bool


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@output_option("Folder for masks, spine.json and a preview.")
@models_option
@lowest_level_option
@weighting_option
@threads_option
@overwrite_option
@json_option
@grouped("wanted", _Options)
def segment_spine(image: Path, wanted: _Options) -> None:
    """Segment vertebrae, discs and canal in IMAGE and name the levels.

    \b
    lumbar segment spine t2.nii.gz -o out/

    IMAGE is a NIfTI file (a DICOM folder works too). Writes, on the grid of IMAGE, spine.nii.gz (1 vertebra, 2 disc, 3 spinal canal), levels.nii.gz
    (1…5 discs L1/L2…L5/S1, 11…15 vertebral bodies L1…L5) and structures.nii.gz (1 vertebral body, 2 posterior elements, 3 disc, 4 spinal canal, and where
    the model knows them 5 S1, 6 S2, 21…25 left and 31…35 right neural foramina L1/L2…L5/S1), then spine.json and preview.png.
    """
    request = Request(tasks=("spine",), lowest_level=wanted.lowest_level)
    with staged_folder(wanted.out, wanted.overwrite, image) as stage:
        analysis = run_analysis(read_study(image, weightings=wanted.weightings), load_models(wanted.models, wanted.threads, request.loaded_tasks), request)
        document = _document(analysis)
        (stage / "spine.json").write_text(to_json(document), encoding="utf-8")
        write_nifti(stage / "spine.nii.gz", tissue_mask(analysis.spine))
        write_nifti(stage / "levels.nii.gz", level_mask(analysis.spine))
        write_nifti(stage / "structures.nii.gz", structure_mask(analysis.spine))
        save(draw_sagittal(sagittal_view(analysis.spine, analysis.spine_stack.volume), analysis.spine), stage / "preview.png")
    if wanted.as_json:
        print_json(document)
    for warning in analysis.findings.warnings:
        click.echo(f"warning: {warning}", err=True)


def _document(analysis: Analysis) -> dict[str, object]:
    whole = to_document(analysis.findings)
    return {key: whole[key] for key in ("schema_version", "software", "statement", "models", "warnings", "input", "spine")}
