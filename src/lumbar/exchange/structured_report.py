"""Findings as a DICOM structured report: TID 1500, one measurement group per place, with references to segments and images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from lumbar import __version__
from lumbar.domain.findings import Findings
from lumbar.domain.study import Study
from lumbar.exchange.codes import SCHEME
from lumbar.exchange.identity import ALGORITHM_FAMILY, DEVICE_SERIAL, MANUFACTURER, RESEARCH_USE, ObjectIdentity, algorithm_name
from lumbar.exchange.measurements import Group, Value, groups
from lumbar.exchange.source import SourceImages
from lumbar.io.dicom_write import derived_uid

_PROCEDURE = Code("mri_lumbar_spine", SCHEME, "MRI of lumbar spine")


@dataclass(frozen=True, eq=False)
class SegmentReference:
    """A segment that measurements refer to."""

    segmentation: Dataset
    number: int
    images: tuple[Dataset, ...]  # that it was drawn on


def structured_report(
    study: Study, findings: Findings, source: SourceImages, segments: Mapping[str, SegmentReference], who: ObjectIdentity, warnings: Sequence[str]
) -> Comprehensive3DSR:
    """The report of an analysis.

    Args:
        study: the analyzed study.
        findings: findings of the analysis.
        source: headers of the study's images.
        segments: by key; keys that several objects share must be left out.
        who: identifiers of the report.
        warnings: sentences that readers have to see; each becomes a comment.
    """
    evidence: dict[str, Dataset] = {}
    items = [_group(group, study, findings, source, segments, who, evidence) for group in groups(findings)]
    first = source.any_image
    if not evidence:
        evidence[str(first.SOPInstanceUID)] = first
    content = MeasurementReport(
        observation_context=_observer(),
        procedure_reported=_PROCEDURE,
        imaging_measurements=items,
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(language=CodedConcept("en-US", "RFC5646", "English (United States)")),
    )
    root = content[0]
    for sentence in (RESEARCH_USE, *warnings):
        root.ContentSequence.append(TextContentItem(codes.DCM.Comment, sentence, RelationshipTypeValues.CONTAINS))
    return Comprehensive3DSR(
        evidence=list(evidence.values()),
        content=root,
        series_instance_uid=who.series_uid,
        series_number=who.series_number,
        sop_instance_uid=who.sop_uid,
        instance_number=who.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="lumbar",
        software_versions=__version__,
        device_serial_number=DEVICE_SERIAL,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="lumbar: measurements (research use only)",
    )


def _observer() -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", "lumbar", __version__), name="lumbar", manufacturer_name=MANUFACTURER, model_name="lumbar"
    )
    return ObservationContext(observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device))


def _group(
    group: Group, study: Study, findings: Findings, source: SourceImages, segments: Mapping[str, SegmentReference], who: ObjectIdentity,
    evidence: dict[str, Dataset],
) -> MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations:  # fmt: skip
    shared: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(uid=derived_uid("tracking", who.sop_uid, group.key), identifier=group.label),
        "finding_type": group.finding,
        "algorithm_id": AlgorithmIdentification(name=algorithm_name(findings.models, group.task)[:64], version=__version__, family=ALGORITHM_FAMILY),
        "finding_sites": [FindingSite(group.site, laterality=group.side, topographical_modifier=group.level)],
        "measurements": [_measurement(value) for value in group.values],
        "qualitative_evaluations": [QualitativeEvaluation(grade.name, grade.value) for grade in group.grades],
    }
    reference = segments.get(group.segment or "") if group.evidence is None else None
    if reference is not None:
        for one in (reference.segmentation, *reference.images):
            evidence[str(one.SOPInstanceUID)] = one
        series = SourceSeriesForSegmentation(str(reference.images[0].SeriesInstanceUID))
        segment = ReferencedSegment(SegmentationStorage, str(reference.segmentation.SOPInstanceUID), reference.number, source_series=series)
        return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **shared)
    image = _image_of(group, study, source)
    if image is None:
        return MeasurementsAndQualitativeEvaluations(**shared)
    header, frame = image
    evidence[str(header.SOPInstanceUID)] = header
    referenced = SourceImageForMeasurementGroup(str(header.SOPClassUID), str(header.SOPInstanceUID), [frame] if frame else None)
    return MeasurementsAndQualitativeEvaluations(source_images=[referenced], **shared)


def _image_of(group: Group, study: Study, source: SourceImages) -> tuple[Dataset, int | None] | None:
    """The image that a group rests on and, in a file of several frames, the frame."""
    place = group.evidence
    if place is None:
        return None
    for series in study.series:
        for stack in series.stacks if series.series_uid == place.series_uid else ():
            if place.instance_number in stack.instance_numbers and stack.sop_uids:
                header = source.images.get((series.series_uid, stack.sop_uids[stack.instance_numbers.index(place.instance_number)]))
                if header is not None:
                    return header, place.instance_number if int(header.get("NumberOfFrames") or 1) > 1 else None
    return None


def _measurement(value: Value) -> Measurement:
    spread = None if value.error is None else MeasurementProperties(upper_measurement_uncertainty=value.error, lower_measurement_uncertainty=value.error)
    return Measurement(CodedConcept.from_code(value.name), value.value, value.unit, properties=spread)
