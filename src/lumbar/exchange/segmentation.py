"""Masks as a DICOM Segmentation (BINARY): one object per stack of parallel slices, one frame per segment and slice, empty frames kept."""

import numpy as np
from highdicom.color import CIELabColor
from highdicom.content import AlgorithmIdentificationSequence, PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from highdicom.enum import CoordinateSystemNames
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from lumbar import __version__
from lumbar.domain.geometry import Grid
from lumbar.exchange.codes import ANATOMICAL_STRUCTURE
from lumbar.exchange.identity import ALGORITHM_FAMILY, DEVICE_SERIAL, MANUFACTURER, MODEL_NAME, RESEARCH_USE, ObjectIdentity
from lumbar.exchange.segments import Segment, SegmentedStack
from lumbar.io.dicom_write import derived_uid


def segmentation_object(found: SegmentedStack, images: list[Dataset], who: ObjectIdentity, algorithm: str, description: str) -> Segmentation:
    """The segmentation of one stack.

    Args:
        found: structures on the slices.
        images: the header of each slice, in the stack's order.
        who: identifiers of the object.
        algorithm: name of the model.
        description: of the series, as worklists show it.
    """
    grid = found.stack.volume.grid
    pixels = np.stack([segment.mask for segment in found.segments], axis=-1).astype(np.uint8)
    unique = list({str(one.SOPInstanceUID): one for one in images}.values())
    made = Segmentation(
        source_images=unique,
        pixel_array=pixels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(number, segment, who, algorithm) for number, segment in enumerate(found.segments, start=1)],
        series_instance_uid=who.series_uid,
        series_number=who.series_number,
        sop_instance_uid=who.sop_uid,
        instance_number=who.instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=__version__,
        device_serial_number=DEVICE_SERIAL,
        content_description=RESEARCH_USE,
        content_label="LUMBAR",
        pixel_measures=_measures(grid, images[0]),
        plane_orientation=PlaneOrientationSequence(CoordinateSystemNames.PATIENT, _directions(grid)),
        plane_positions=[PlanePositionSequence(CoordinateSystemNames.PATIENT, _rounded(origin)) for origin in grid.origins_mm],
        omit_empty_frames=False,
        series_description=description,
    )
    made.BodyPartExamined = "LSPINE"
    return made


def _description(number: int, segment: Segment, who: ObjectIdentity, algorithm: str) -> SegmentDescription:
    made = SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=segment.code,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(name=algorithm[:64], family=ALGORITHM_FAMILY, version=__version__, source="lumbar"),
        tracking_uid=derived_uid("segment", who.sop_uid, segment.key),
        tracking_id=segment.label,
        display_color=CIELabColor.from_rgb(*segment.color),
    )
    if segment.side is not None:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(segment.side)]
    return made


def _measures(grid: Grid, image: Dataset) -> PixelMeasuresSequence:
    between, row, column = (float(f"{value:.8g}") for value in grid.spacing_mm)
    thickness = float(image.get("SliceThickness") or between or 1.0)
    return PixelMeasuresSequence(pixel_spacing=(row, column), slice_thickness=thickness, spacing_between_slices=between or None)


def _directions(grid: Grid) -> tuple[float, ...]:
    units = (grid.column_step_mm / np.linalg.norm(grid.column_step_mm), grid.row_step_mm / np.linalg.norm(grid.row_step_mm))
    return tuple(float(f"{value:.10f}") + 0.0 for unit in units for value in unit)


def _rounded(point: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.8f}") + 0.0 for value in point)
