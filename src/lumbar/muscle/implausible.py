"""Warnings about muscle masks that no body has: leaks, jumps, missing muscles, wrong pixel sizes, images that end within a muscle or stand on their head."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Muscle, Side
from lumbar.domain.geometry import Grid
from lumbar.muscle.labels import BACK, LABELS, MIRRORED, VERTEBRA, label_name

_JUMP = 0.5  # change of area from one slice to the next, as a share of the larger
_MAX_ASYMMETRY = 0.25  # difference of the sides' areas over their mean
_MIN_MM2 = 150.0  # smaller areas vary at random
_LEAST_THICKNESS_MM = 4.5  # twice the area over the outline's length; whole muscles have 7 and more
_LARGEST_MM2 = {Muscle.ERECTOR_SPINAE: 4500.0, Muscle.MULTIFIDUS: 2500.0, Muscle.PSOAS: 4500.0}  # no muscle of a person is larger on one side
_BODY_MM2 = (550.0, 3500.0)  # of vertebral bodies and discs; 1,180 to 2,400 at L4/L5 of 62 T1 people with a known pixel size, less in the sacrum
_EDGE_MM = 1.0  # a mask that comes this close to the edge of the image is cut off by it

Areas = Mapping[int, NDArray[np.float64]]  # label → (slices,) mm²


def implausible(labels: NDArray[np.uint8], grid: Grid) -> list[str]:
    """Warnings about labels (slices, rows, columns) on the axial `grid`, whose rows run from front to back."""
    pixel_mm2 = float(np.prod(grid.spacing_mm[1:]))
    areas = {label: (labels == label).sum(axis=(1, 2)) * pixel_mm2 for label in LABELS}
    seen = np.flatnonzero(np.isin(labels, BACK).any(axis=(1, 2)))
    missing = [f"no {label_name(label)} was found" for label in LABELS if not areas[label].any() and (label in BACK or areas[MIRRORED[label]].any())]
    return [*missing, *_jumps(areas, seen), *_leaks(labels, areas, grid), *_uneven(areas, len(seen)), *_orientation(labels), *_body(labels, pixel_mm2)]


def cut_off(labels: NDArray[np.uint8], grid: Grid) -> list[str]:
    """Warnings about back muscles that the edge of the image cuts off; `labels` are those of whole images."""
    rows, columns = (int(np.ceil(_EDGE_MM / step)) if step else 1 for step in grid.spacing_mm[1:])
    rim = np.ones(labels.shape[1:], bool)
    rim[rows:-rows, columns:-columns] = False
    found = []
    for label in BACK:
        count = int(((labels == label) & rim).any(axis=(1, 2)).sum())
        if count:
            found.append(f"the {label_name(label)} is cut off by the edge of the image on {count} slices, so its area and volume are too small")
    return found


def _jumps(areas: Areas, seen: NDArray[np.int64]) -> Iterator[str]:
    for label, area in areas.items():
        before, after = area[:-1], area[1:]
        larger = np.maximum(before, after)
        inner = (np.arange(len(before)) >= (seen[0] if seen.size else 0)) & (np.arange(len(before)) < (seen[-1] if seen.size else 0))
        jumps = np.flatnonzero(inner & (larger > _MIN_MM2) & (np.abs(after - before) > _JUMP * larger))
        if jumps.size:
            yield f"the area of the {label_name(label)} jumps by more than half between slices (first: {jumps[0] + 1} and {jumps[0] + 2} from the foot end)"


def _leaks(labels: NDArray[np.uint8], areas: Areas, grid: Grid) -> Iterator[str]:
    for label, area in areas.items():
        large = area > _LARGEST_MM2[LABELS[label][0]]
        frayed = (area > _MIN_MM2) & (2 * area < _LEAST_THICKNESS_MM * _outline_mm(labels == label, grid))
        if (large | frayed).any():
            first = int(np.flatnonzero(large | frayed)[0])
            why = "is larger than such a muscle can be" if large[first] else "has an outline too long for its area"
            yield f"the {label_name(label)} {why} on {(large | frayed).sum()} slices (first: {first + 1} from the foot end); it may have leaked out"


def _uneven(areas: Areas, slices: int) -> Iterator[str]:
    for muscle in (Muscle.ERECTOR_SPINAE, Muscle.MULTIFIDUS):
        left, right = (next(areas[label] for label, name in LABELS.items() if name == (muscle, side)) for side in Side)
        mean = (left + right) / 2
        odd = (np.maximum(left, right) > _MIN_MM2) & (np.abs(left - right) > _MAX_ASYMMETRY * mean)
        if odd.sum() > 0.2 * max(slices, 1):
            yield f"the sides of the {muscle.value.replace('_', ' ')} differ by more than 25 % on {odd.sum()} of {slices} slices"


def _orientation(labels: NDArray[np.uint8]) -> Iterator[str]:
    """A warning where the back muscles lie in front of the vertebral body on most slices."""
    offsets = []
    for image in labels:
        back, body = (np.flatnonzero(np.isin(image, kinds).sum(axis=1)) for kinds in (BACK, (VERTEBRA,)))
        if back.size and body.size:
            offsets.append(float(back.mean() - body.mean()))
    if offsets and np.median(offsets) < 0:
        yield "the back muscles lie in front of the vertebral body: the orientation in the file is wrong, and left and right may be exchanged"


def _body(labels: NDArray[np.uint8], pixel_mm2: float) -> Iterator[str]:
    """A warning where the vertebral body or disc has an area that no body has, as with a wrong pixel size."""
    areas = (labels == VERTEBRA).sum(axis=(1, 2)) * pixel_mm2
    if areas.any():
        typical = float(np.quantile(areas[areas > 0], 0.75))  # slices through the sacrum have the smaller ones
        if not _BODY_MM2[0] <= typical <= _BODY_MM2[1]:
            yield f"the vertebral body or disc measures {typical:.0f} mm², which none does: the pixel size in the file may be wrong, and all areas with it"


def _outline_mm(mask: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """(slices,) length of the outline along pixel edges, up to 1.4 times the true length for oblique borders."""
    _, row_mm, column_mm = grid.spacing_mm
    down = np.abs(np.diff(mask.astype(np.int8), axis=1, prepend=0, append=0)).sum(axis=(1, 2))
    across = np.abs(np.diff(mask.astype(np.int8), axis=2, prepend=0, append=0)).sum(axis=(1, 2))
    return np.asarray(down * column_mm + across * row_mm, np.float64)
