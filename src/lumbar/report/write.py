"""Everything that `lumbar analyze` leaves behind: one folder of standard files."""

import base64
import csv
import io
from dataclasses import replace
from pathlib import Path

from PIL import Image

from lumbar.domain.findings import Findings
from lumbar.errors import GeometryError
from lumbar.io.nifti import write_nifti
from lumbar.muscle.records import CSV_COLUMNS, muscle_rows
from lumbar.pipeline import Analysis
from lumbar.report.document import to_document, to_json
from lumbar.report.drawing import draw_axial, draw_sagittal, save
from lumbar.report.html import Picture, render
from lumbar.report.views import axial_views, sagittal_view
from lumbar.spine.spine_map import level_mask, tissue_mask


def write_analysis(analysis: Analysis, folder: Path) -> Analysis:
    """Write findings, report, tables, masks and previews into `folder`, which exists; comes back with a warning for each mask that no file can hold."""
    warnings = _write_masks(analysis, folder / "masks")
    analysis = replace(analysis, findings=replace(analysis.findings, warnings=(*analysis.findings.warnings, *warnings)))
    (folder / "findings.json").write_text(to_json(to_document(analysis.findings)), encoding="utf-8")
    if analysis.findings.severity:
        (folder / "grades.csv").write_text(grades_csv(analysis.findings), encoding="utf-8")
    if analysis.findings.muscles:
        (folder / "muscles.csv").write_text(muscles_csv(analysis.findings), encoding="utf-8")
    pictures = draw_pictures(analysis)
    previews = folder / "previews"
    previews.mkdir()
    for picture in pictures:
        save(picture.image, previews / f"{picture.name}.png")
    (folder / "report.html").write_text(render(analysis, [(p, data_url(p.image)) for p in pictures]), encoding="utf-8")
    return analysis


def _write_masks(analysis: Analysis, folder: Path) -> list[str]:
    """All masks on their series' own grids; what was left out because its slices lie too unevenly for NIfTI's single matrix is told."""
    masks = {"spine": tissue_mask(analysis.spine), "levels": level_mask(analysis.spine)}
    for number, found in enumerate(sorted(analysis.muscle_masks, key=lambda m: -m.mask.grid.shape[0]), start=1):
        masks["muscle" if number == 1 else f"muscle_{number}"] = found.mask  # one file a stack: grids differ
    folder.mkdir()
    warnings = []
    for name, mask in masks.items():
        try:
            write_nifti(folder / f"{name}.nii.gz", mask)
        except GeometryError as error:
            warnings.append(f"masks/{name}.nii.gz was not written: {error}")
    return warnings


def draw_pictures(analysis: Analysis) -> list[Picture]:
    """The pictures of the report in the order in which it shows them."""
    view = sagittal_view(analysis.spine, analysis.spine_stack.volume)
    pictures = [
        Picture("sagittal", draw_sagittal(view, analysis.spine), "Mid-sagittal, along the canal, with outlines"),
        Picture("sagittal_plain", draw_sagittal(view, analysis.spine, outlines=False), "The same without outlines"),
    ]
    assert analysis.findings.spine is not None
    for axial in axial_views(analysis.study, analysis.findings.spine.levels, analysis.muscle_masks):
        caption = f"{axial.level.level.value}: {axial.series.weighting.value}, instance {axial.instance_number}, {axial.gap_mm:.1f} mm from the disc's centre"
        pictures.append(Picture(f"axial_{axial.level.level.slug}", draw_axial(axial), caption))
    return pictures


def grades_csv(findings: Findings) -> str:
    """The grades in the columns of a submission."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["row_id", "normal_mild", "moderate", "severe"])
    for grade in findings.severity:
        p = grade.probabilities
        row = f"{findings.study_uid}_{grade.condition.value}_{grade.level.slug}"
        table.writerow([row, f"{p.normal_mild:.6f}", f"{p.moderate:.6f}", f"{p.severe:.6f}"])
    return out.getvalue()


def muscles_csv(findings: Findings) -> str:
    """One row per muscle, side and place, as `lumbar segment muscle` writes it."""
    out = io.StringIO()
    table = csv.DictWriter(out, CSV_COLUMNS, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(muscle_rows(findings.muscles))
    return out.getvalue()


def data_url(picture: Image.Image) -> str:
    """The picture inside the page, so that the page is one file."""
    out = io.BytesIO()
    picture.convert("RGB").save(out, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
