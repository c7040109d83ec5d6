"""Content of a segmentation object: named structures as masks on the slices of one stack."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.sr.coding import Code

from lumbar.domain.geometry import Grid
from lumbar.domain.mask_colors import AXIAL_BODY_COLOR, BODY_COLORS, CANAL_COLOR, DISC_COLORS, FORAMEN_COLORS, MUSCLE_COLORS, SACRUM_COLORS, rgb
from lumbar.domain.mask_labels import FORAMEN_LABELS, Structure
from lumbar.domain.study import Stack
from lumbar.exchange.codes import BODY_OR_DISC, DISCS, FORAMEN, MUSCLES, S1, S2, SIDES, VERTEBRAE, VERTEBRAL_CANAL
from lumbar.muscle.labels import LABELS, VERTEBRA
from lumbar.muscle.predict import StackMask
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.segment import labels_on_source
from lumbar.spine.spine_map import MASK_CANAL, SpineMap, structure_mask, tissue_mask

Mask = NDArray[np.bool_]
Rgb = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Segment:
    """One structure on the slices of a stack."""

    key: str  # "L4", "L4/L5", "canal", "left multifidus": key that joins findings
    label: str  # as viewers show it
    code: Code
    side: Code | None
    color: Rgb
    mask: Mask  # (slices, rows, columns)


@dataclass(frozen=True, eq=False)
class SegmentedStack:
    """All structures of one stack; they become one segmentation object."""

    series_uid: str
    stack: Stack
    segments: tuple[Segment, ...]  # none of them empty


def spine_segments(spine: SpineMap, series_uid: str, stack: Stack) -> SegmentedStack:
    """Every named vertebral body and disc, the canal and, if the network knows them, S1, S2 and the foramina, on the slices in which the spine was found."""
    doubt = "" if spine.names.numbering.confident else ", level uncertain"
    instances = labels_on_source(spine.segmentation, spine.instances, spine.plane)
    check_same_slices(instances.grid, stack.volume.grid)
    found = []
    for i, vertebra in enumerate(spine.names.bodies):
        if vertebra in VERTEBRAE:
            what = "sacrum, upper strip" if vertebra.value == "S1" else "vertebral body"
            mask = instances.array == FIRST_BODY + i
            found.append(Segment(vertebra.value, f"{vertebra.value} {what}{doubt}", VERTEBRAE[vertebra], None, rgb(BODY_COLORS[i % 2]), mask))
    for i, level in enumerate(spine.names.discs):
        if level is not None:
            mask = instances.array == 1 + i
            found.append(Segment(level.value, f"{level.value} disc{doubt}", DISCS[level], None, rgb(DISC_COLORS[i % 2]), mask))
    found.append(Segment("canal", "Spinal canal", VERTEBRAL_CANAL, None, rgb(CANAL_COLOR), tissue_mask(spine).array == MASK_CANAL))
    added = [segment for segment in _added_segments(spine, doubt) if segment.mask.any()]
    replaced = {segment.key for segment in added}  # the whole of S1 instead of its strip
    return SegmentedStack(series_uid, stack, (*(s for s in found if s.mask.any() and s.key not in replaced), *added))


def _added_segments(spine: SpineMap, doubt: str) -> list[Segment]:
    """S1, S2 and neural foramina, which were learned from phantoms and checked by no reader; their labels say so."""
    if spine.added is None:
        return []
    structures = structure_mask(spine).array
    note = f" (unverified){doubt}"
    found = [
        Segment("S1", f"S1{note}", S1, None, rgb(SACRUM_COLORS[0]), structures == Structure.S1),
        Segment("S2", f"S2{note}", S2, None, rgb(SACRUM_COLORS[1]), structures == Structure.S2),
    ]
    for number, ((level, side), value) in enumerate(FORAMEN_LABELS.items()):
        label, color = f"{level.value} {side.value} neural foramen{note}", rgb(FORAMEN_COLORS[number % 2])
        found.append(Segment(f"{level.value} {side.value} foramen", label, FORAMEN, SIDES[side], color, structures == value))
    return found


def muscle_segments(found: StackMask, stack: Stack) -> SegmentedStack:
    """Every muscle and side on the slices of one axial stack, and the vertebral body or disc that they are compared with."""
    check_same_slices(found.mask.grid, stack.volume.grid)
    segments = []
    for number, (muscle, side) in LABELS.items():
        name = muscle.value.replace("_", " ")
        mask = found.mask.array == number
        segments.append(Segment(f"{side.value} {name}", f"{side.value.capitalize()} {name}", MUSCLES[muscle], SIDES[side], rgb(MUSCLE_COLORS[muscle]), mask))
    body = found.mask.array == VERTEBRA
    segments.append(Segment("axial body", "Vertebral body or disc in the slice", BODY_OR_DISC, None, rgb(AXIAL_BODY_COLOR), body))
    return SegmentedStack(found.series_uid, stack, tuple(segment for segment in segments if segment.mask.any()))


def check_same_slices(mask: Grid, images: Grid) -> None:
    """Reject a mask that does not lie on the slices of the images.

    Raises:
        ValueError: positions, directions or sizes differ; which is a programming error, not bad input.
    """
    same = mask.shape == images.shape and all(
        np.allclose(getattr(mask, name), getattr(images, name), atol=1e-4) for name in ("origins_mm", "row_step_mm", "column_step_mm")
    )
    if not same:
        raise ValueError("a mask does not lie on the slices of its images")


def segment_numbers(segments: Sequence[Segment]) -> dict[str, int]:
    """The number of each segment in its object, by key."""
    return {segment.key: number for number, segment in enumerate(segments, start=1)}
