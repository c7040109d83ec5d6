"""S1, S2 and the neural foramina, cleaned and named: what a network with the classes of `AddedClass` finds beside the named spine.

* S1: the strip that anchors the level names, joined with the part below it.
* S2: the part nearest below S1.
* A foramen belongs to the level of the nearest disc. Its side is that of the curved midplane on which it lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from lumbar.domain.anatomy import AddedClass, Level, Side, SpineClass, Vertebra
from lumbar.domain.mask_labels import FORAMEN_LABELS, Structure
from lumbar.imaging.components import largest_component, voxels_by_label
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.midplane import Midplane
from lumbar.spine.naming import Names
from lumbar.spine.segment import PIXEL_MM

_SACRUM_ASIDE_MM = 40.0  # S1 and S2 reach no further to the side of the midplane
_S1_TO_S2_MM = 8.0  # widest remnant of a disc between them
_FORAMEN_ASIDE_MM = (7.0, 34.0)  # from the midplane to the middle of a foramen in a slice: beside the canal, not beyond the transverse processes
_FORAMEN_LEAST_MM2 = 20.0  # in a slice; the training labels have at least 25
_FORAMEN_TO_DISC_MM = 16.0  # from the middle of a foramen to the nearest pixel of its disc; the next disc is at least 25 away
_ALL_NEIGHBOURS = np.ones((3, 3, 3))

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Part:
    """One connected part of the class of the foramina in one slice."""

    number: int  # of the slice
    pixels: NDArray[np.int64]  # (n, 2) rows and columns


def added_structures(midplane: Midplane, names: Names, instances: Labels) -> Labels | None:
    """(slices, rows, columns) `Structure.S1`, `Structure.S2` and the values of `FORAMEN_LABELS` on the network's grid; None where the network has none.

    Args:
        midplane: with the segmentation.
        names: of discs and bodies.
        instances: (slices, rows, columns) numbered discs and bodies.
    """
    added = midplane.segmentation.added
    if added is None:
        return None
    out = np.zeros(added.shape, dtype=np.uint8)
    for (level, side), voxels in _foramina(midplane, names, instances).items():
        out[tuple(voxels.T)] = FORAMEN_LABELS[level, side]
    # A strip counts as S1 if it is named so: with --lowest-level, the lowest body can have another name.
    if names.bodies[-1] is Vertebra.S1:
        strip = (instances == FIRST_BODY + len(names.bodies) - 1) & (midplane.segmentation.labels == SpineClass.SACRUM)
        near = np.abs(_aside_mm(midplane)) <= _SACRUM_ASIDE_MM
        s1 = _s1(midplane, strip, near)
        out[s1] = Structure.S1
        out[_s2(added == AddedClass.S2, s1, near)] = Structure.S2
    return out


def _aside_mm(midplane: Midplane) -> NDArray[np.float64]:
    """(slices, rows, 1) distance from the curved midplane, positive towards the patient's left: slices run from right to left."""
    grid = midplane.segmentation.grid
    return (np.arange(grid.shape[0])[:, None, None] - midplane.slice_of_row[:, None]) * grid.spacing_mm[0]


def _s1(midplane: Midplane, strip: NDArray[np.bool_], near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The strip with the parts of S1 that touch it."""
    segmentation = midplane.segmentation
    wanted = (segmentation.labels == SpineClass.SACRUM) | (segmentation.added == AddedClass.S1_BELOW_STRIP)
    wanted &= near
    parts, _ = ndimage.label(ndimage.binary_dilation(wanted, np.ones((1, 3, 3))), _ALL_NEIGHBOURS)
    return np.asarray(wanted & np.isin(parts, np.setdiff1d(parts[strip], [0])))


def _s2(wanted: NDArray[np.bool_], s1: NDArray[np.bool_], near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest part of S2, if it lies beside S1 in one of the slices."""
    largest = largest_component(wanted & near, _ALL_NEIGHBOURS)
    for number in np.flatnonzero(largest.any(axis=(1, 2)) & s1.any(axis=(1, 2))):
        gaps, _ = cKDTree(np.argwhere(s1[number])).query(np.argwhere(largest[number]), distance_upper_bound=_S1_TO_S2_MM / PIXEL_MM)
        if np.isfinite(gaps).any():
            return largest
    return np.zeros_like(wanted)


def _foramina(midplane: Midplane, names: Names, instances: Labels) -> dict[tuple[Level, Side], NDArray[np.int64]]:
    """Voxels (n, 3) of the foramen at each named level and side; the largest part where slices in between show none."""
    added = midplane.segmentation.added
    assert added is not None
    discs = {number: voxels for number, voxels in voxels_by_label(instances).items() if number < FIRST_BODY}
    between_mm = midplane.segmentation.grid.spacing_mm[0]
    found: dict[tuple[Level, Side], list[NDArray[np.int64]]] = {}
    for part in _parts(added == AddedClass.NEURAL_FORAMEN):
        row, column = part.pixels.mean(axis=0)
        aside_mm = (part.number - midplane.slice_of_row[round(row)]) * between_mm
        disc = _nearest_disc(part.number, np.array([row, column]), discs)
        level = names.discs[disc - 1] if disc is not None else None
        if level is not None and _FORAMEN_ASIDE_MM[0] <= abs(aside_mm) <= _FORAMEN_ASIDE_MM[1]:
            voxels = np.column_stack([np.full(len(part.pixels), part.number), part.pixels])
            found.setdefault((level, Side.LEFT if aside_mm > 0 else Side.RIGHT), []).append(voxels)
    return {place: _largest(np.concatenate(voxels)) for place, voxels in found.items()}


def _parts(mask: NDArray[np.bool_]) -> Iterator[_Part]:
    """Connected parts in each slice of `mask` (slices, rows, columns) that are large enough."""
    for number in np.flatnonzero(mask.any(axis=(1, 2))):
        parts, _ = ndimage.label(mask[number])
        for pixels in voxels_by_label(parts).values():
            if len(pixels) * PIXEL_MM**2 >= _FORAMEN_LEAST_MM2:
                yield _Part(int(number), pixels)


def _nearest_disc(number: int, middle: NDArray[np.float64], discs: dict[int, NDArray[np.int64]]) -> int | None:
    """The disc in front of `middle` (row, column) in slice `number`, or in the nearest slice that shows the disc; None where none is near."""
    best, least = None, _FORAMEN_TO_DISC_MM / PIXEL_MM
    for disc, voxels in discs.items():
        gaps = np.abs(voxels[:, 0] - number)
        shown = voxels[gaps == gaps.min(), 1:]
        away = float(np.linalg.norm(shown - middle, axis=1).min())
        if away <= least and middle[1] > shown[:, 1].mean():
            best, least = disc, away
    return best


def _largest(voxels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The voxels (n, 3) of the largest connected part."""
    low = voxels.min(axis=0)
    box = np.zeros(np.ptp(voxels, axis=0) + 1, dtype=bool)
    box[tuple((voxels - low).T)] = True
    return np.argwhere(largest_component(box, _ALL_NEIGHBOURS)) + low
