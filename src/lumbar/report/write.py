"""The output folder of `lumbar analyze`."""

import base64
import csv
import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image

from lumbar.domain.findings import Findings
from lumbar.errors import GeometryError
from lumbar.io.nifti import write_nifti
from lumbar.muscle.records import muscles_csv
from lumbar.pipeline import Analysis
from lumbar.report.document import to_document, to_json
from lumbar.report.drawing import jpeg, save
from lumbar.report.html import render
from lumbar.report.images import ReportImage, draw_images
from lumbar.report.masks import stored_masks


def write_analysis(analysis: Analysis, folder: Path, images: Mapping[str, ReportImage] | None = None) -> Analysis:
    """Write findings, report, tables, masks and previews into `folder`, which exists; returns it with a warning for each mask that NIfTI cannot store.

    Args:
        analysis: findings and their evidence.
        folder: where the files go.
        images: as `draw_images` draws them, if that has been done.
    """
    previews = folder / "previews"
    previews.mkdir()
    with ThreadPoolExecutor() as pool:
        masks = pool.submit(_write_masks, analysis, folder / "masks")
        images = draw_images(analysis) if images is None else images
        saved = [pool.submit(save, image.image, previews / f"{name}.png") for name, image in images.items()]
        urls = dict(zip(images, pool.map(lambda image: data_url(image.image), images.values()), strict=True))
        for one in saved:
            one.result()
        analysis = replace(analysis, findings=replace(analysis.findings, warnings=(*analysis.findings.warnings, *masks.result())))
    (folder / "findings.json").write_text(to_json(to_document(analysis.findings)), encoding="utf-8")
    if analysis.findings.severity:
        (folder / "grades.csv").write_text(grades_csv(analysis.findings), encoding="utf-8")
    if analysis.findings.muscles:
        (folder / "muscles.csv").write_text(muscles_csv(analysis.findings.muscles), encoding="utf-8")
    (folder / "report.html").write_text(render(analysis, images, urls), encoding="utf-8")
    return analysis


def _write_masks(analysis: Analysis, folder: Path) -> list[str]:
    """Write every mask on the grid of its series; returns a warning for each mask that NIfTI cannot store because its slices are unevenly spaced."""
    folder.mkdir()
    warnings = []
    for mask in stored_masks(analysis):
        try:
            write_nifti(folder / f"{mask.name}.nii.gz", mask.volume)
        except GeometryError as error:
            warnings.append(f"masks/{mask.name}.nii.gz was not written: {error}")
    return warnings


def grades_csv(findings: Findings) -> str:
    """The grades in the columns of an RSNA 2024 submission."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["row_id", "normal_mild", "moderate", "severe"])
    for grade in findings.severity:
        p = grade.probabilities
        row = f"{findings.study_uid}_{grade.condition.value}_{grade.level.slug}"
        table.writerow([row, f"{p.normal_mild:.6f}", f"{p.moderate:.6f}", f"{p.severe:.6f}"])
    return out.getvalue()


def data_url(image: Image.Image) -> str:
    """The image as a data URL, so that the page is one file."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(image)).decode("ascii")
