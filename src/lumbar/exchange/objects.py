"""All DICOM objects of an analysis, and its FHIR bundle, as files of one folder."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from lumbar.domain.findings import Findings
from lumbar.domain.study import Stack, Study
from lumbar.exchange.encapsulated_pdf import pdf_object
from lumbar.exchange.fhir import bundle
from lumbar.exchange.identity import algorithm_name, identity
from lumbar.exchange.key_images import KeyImage, captioned, key_image_object
from lumbar.exchange.segmentation import segmentation_object
from lumbar.exchange.segments import SegmentedStack, muscle_segments, segment_numbers, spine_segments
from lumbar.exchange.source import SourceImages
from lumbar.exchange.structured_report import SegmentReference, structured_report
from lumbar.pipeline import Analysis

# Numbers of the series, in the order in which viewers list them.
_SPINE, _MUSCLE, _REPORT, _PDF, _KEY_IMAGES = range(5)


@dataclass(frozen=True, eq=False)
class ReportFiles:
    """Files of the report that are sent along."""

    pdf: Callable[[], bytes]  # returns the PDF once it is printed
    key_images: tuple[KeyImage, ...] = ()
    changes: tuple[str, ...] = ()  # since an earlier examination, in sentences


def write_objects(analysis: Analysis, source: SourceImages, report: ReportFiles, folder: Path) -> None:
    """Write `dicom/` with segmentations, structured report, PDF and key images, and `fhir.json`, into `folder`.

    Args:
        analysis: findings and masks.
        source: headers of the images that were analyzed.
        report: the report as PDF, and its key images.
        folder: exists and holds no `dicom` yet.
    """
    out = folder / "dicom"
    (out / "key_images").mkdir(parents=True)
    segments = _write_segmentations(analysis, source, out)
    findings = analysis.findings
    content = repr(findings).encode() + b"".join(sorted(str(one.segmentation.SOPInstanceUID).encode() for one in segments.values()))
    who = identity(source, "measurements", _REPORT, content + "".join(report.changes).encode())
    comments = (*reader_warnings(findings), *report.changes)
    _save(structured_report(analysis.study, findings, source, _unique(segments), who, comments), out / "measurements_sr.dcm")
    # A printed page contains the time of printing; the identity of the object depends on the findings only.
    pdf = pdf_object(report.pdf(), source, identity(source, "report", _PDF, content))
    _save(pdf, out / "report.dcm")
    middle = _middle_images(analysis, source)
    for number, key_image in enumerate(report.key_images, start=1):
        pixels = captioned(key_image)
        made = key_image_object(key_image, pixels, middle, source, identity(source, "key images", _KEY_IMAGES, pixels.tobytes(), number))
        _save(made, out / "key_images" / f"{key_image.name}.dcm")
    (folder / "fhir.json").write_text(json.dumps(bundle(findings, source), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def reader_warnings(findings: Findings) -> tuple[str, ...]:
    """Caveats for the reader of the report: doubtful and failed checks first, then warnings."""
    checks = findings.quality.checks if findings.quality else ()
    doubts = [f"Quality check {check.status}: {check.note}" for check in checks if check.status != "passed"]
    return tuple(dict.fromkeys((*doubts, *findings.warnings)))


def _write_segmentations(analysis: Analysis, source: SourceImages, out: Path) -> dict[tuple[str, int], SegmentReference]:
    """One object per segmented stack; comes back with the segments by (key, number of the stack)."""
    spine = spine_segments(analysis.spine, analysis.spine_series.series_uid, analysis.spine_stack)
    found = [("spine", "spine", _SPINE, spine)]
    for mask in analysis.muscle_masks:
        found.append(("muscle", "muscles", _MUSCLE, muscle_segments(mask, _stack(analysis.study, mask.series_uid, mask.stack))))
    references: dict[tuple[str, int], SegmentReference] = {}
    counts: dict[str, int] = {}
    for task, words, series_number, stack in found:
        if not stack.segments:
            continue
        number = counts[task] = counts.get(task, 0) + 1
        made, images = _segmentation(analysis, source, stack, (task, words, series_number, number))
        _save(made, out / (f"{task}_seg.dcm" if number == 1 else f"{task}_seg_{number}.dcm"))
        for key, segment in segment_numbers(stack.segments).items():
            references[key, number] = SegmentReference(made, segment, tuple({str(one.SOPInstanceUID): one for one in images}.values()))
    return references


def _segmentation(analysis: Analysis, source: SourceImages, stack: SegmentedStack, name: tuple[str, str, int, int]) -> tuple[Dataset, list[Dataset]]:
    task, words, series_number, number = name
    images = source.of_stack(stack.series_uid, stack.stack)
    content = np.packbits(np.stack([segment.mask for segment in stack.segments])).tobytes() + "".join(s.label for s in stack.segments).encode()
    who = identity(source, f"{task} segmentation", series_number, content, number)
    return segmentation_object(stack, images, who, algorithm_name(analysis.findings.models, task), f"lumbar: {words} (research use only)"), images


def _unique(segments: Mapping[tuple[str, int], SegmentReference]) -> dict[str, SegmentReference]:
    """Segments by key, without those split across several objects, which a measurement cannot reference."""
    keys = [key for key, _ in segments]
    return {key: reference for (key, _), reference in segments.items() if keys.count(key) == 1}


def _stack(study: Study, series_uid: str, number: int) -> Stack:
    return next(series for series in study.series if series.series_uid == series_uid and number < len(series.stacks)).stacks[number]


def _middle_images(analysis: Analysis, source: SourceImages) -> Sequence[Dataset]:
    images = source.of_stack(analysis.spine_series.series_uid, analysis.spine_stack)
    return images[len(images) // 2 :][:1]


def _save(made: Dataset, path: Path) -> None:
    made.save_as(path, enforce_file_format=True)
