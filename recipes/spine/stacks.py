"""Labelled stacks of sagittal slices for context.py: six classes of the spine network, and three that only phantoms label.

Added classes: the part of S1 below the strip that is the class `SACRUM`, the body of S2, and the neural foramen: what the pedicles, the column in front and
the facets behind enclose in a sagittal slice. SPIDER's slices cannot show it: all lie within the canal, between the pedicles. Where a source lacks these
classes, background that may be one of them is `UNSURE`. The dural sac against the bony canal is not among them: no sagittal source labels both
(readers of SPIDER outline the canal's fluid, phantoms the sac), and the axial network `dural-sac` outlines it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from refine import FIRST_SEED, PHANTOMS, SITES, load, phantom_classes
from scipy import ndimage

from lumbar.datasets.spider import STEP_MM, ignoring_unlabelled_top, read_space
from lumbar.domain.anatomy import SpineClass
from lumbar.phantom.acquire import AcquiredSeries, grid_of, label_images
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.bone_shape import body_distance, local
from lumbar.phantom.canvas import Plane
from lumbar.phantom.labels import BODY, CANAL, DISC, POSTERIOR
from lumbar.phantom.study import StudyOptions, make_study
from lumbar.spine.context import neighbour_step
from lumbar.training.examples import IGNORED, LabelledSlice

NEIGHBOUR_MM = 4.0  # the slice nearest to this distance is the neighbour
S1_REST, S2, FORAMEN = (len(SpineClass) + k for k in range(3))
CLASSES = (*(kind.name.lower() for kind in SpineClass), "s1_below_strip", "s2", "neural_foramen")
UNSURE = 254  # background, or one of the added classes
CLOSED_MM = 3.0  # half the widest gap between the structures around a foramen
FORAMEN_MM2 = (25.0, 450.0)
BESIDE_DISC_MM = 6.0  # farthest a foramen lies from a disc
BEHIND_MM = (-3.0, 22.0)  # from the back of the column: where a foramen may be
FRONT_OF_SACRUM_MM = 8.0  # the sacrum reaches no further in front of its strip
COLUMN = (SpineClass.BODY, SpineClass.DISC, SpineClass.SACRUM)


@dataclass(frozen=True, eq=False)
class LabelledStack:
    """Neighbouring sagittal slices of one series with their classes."""

    patient: str
    images: NDArray[np.float32]  # (slices, rows, columns), any intensity scale
    labels: NDArray[np.uint8]  # (slices, rows, columns), numbers of `CLASSES`, UNSURE or IGNORED
    pixel_mm: float
    between_mm: float  # distance of the slices
    drawn: tuple[int, ...]  # slices that are trained on

    def neighbours(self, k: int) -> tuple[int | None, int | None]:
        """The slices about `NEIGHBOUR_MM` before and after slice `k`, None beyond the stack."""
        away = neighbour_step(NEIGHBOUR_MM, self.between_mm)
        return (k - away if 0 < away <= k else None), (k + away if 0 < away < len(self.images) - k else None)


def space_stacks(data: Path) -> list[LabelledStack]:
    """SPIDER T2 SPACE, one stack a patient."""
    return [_stack(slices, STEP_MM) for slices in _by_patient(ignoring_unlabelled_top(read_space(data / "spider" / "t2_space")))]


def single_stacks(images: Sequence[LabelledSlice]) -> list[LabelledStack]:
    """Single images, each a stack of its own."""
    return [_stack([s], np.inf) for s in images]


def subject_stacks(cache: Path) -> list[LabelledStack]:
    """The MyoSegmenTUM subjects, from the examples that refine.py keeps in `cache`."""
    return [_stack(slices, 4.0) for slices in _by_patient(load(cache / "subjects.npz"))]


def phantom_stacks(first_seed: int = FIRST_SEED, count: int = PHANTOMS) -> Iterator[LabelledStack]:
    """Sagittal T1 and T2 of phantoms of all sites."""
    for number in range(count):
        study = make_study(StudyOptions(first_seed + number, site=SITES[number % len(SITES)], roles=("sagittal_t1", "sagittal_t2")))
        for series in study.series.values():
            yield phantom_stack(f"phantom {number}", study.anatomy, series)


def phantom_stack(name: str, anatomy: Anatomy, series: AcquiredSeries) -> LabelledStack:
    """One sagittal series of a phantom, with all classes."""
    spacing = grid_of(list(series.planes)).spacing_mm
    painted = label_images(anatomy, series)
    labels = np.stack([_phantom_labels(anatomy, plane, own, spacing[1]) for plane, own in zip(series.planes, painted, strict=True)])
    drawn = tuple(k for k, own in enumerate(painted) if (own == CANAL).any() or np.isin(own, list(BODY.values())).any())
    return LabelledStack(name, series.images.astype(np.float32), labels, spacing[1], spacing[0], drawn)


def _phantom_labels(anatomy: Anatomy, plane: Plane, painted: NDArray[np.uint8], pixel_mm: float) -> NDArray[np.uint8]:
    out = phantom_classes(painted, pixel_mm)
    if (painted == DISC["L5/S1"]).any():
        out[(painted == BODY["S1"]) & (out == IGNORED)] = S1_REST
    second = anatomy.vertebra("S2")
    inside, _ = body_distance(second, *local(plane, plane.whole, second))
    out[(inside < 0) & (out == SpineClass.BACKGROUND)] = S2
    bone = np.isin(painted, [*BODY.values(), *POSTERIOR.values(), *DISC.values()])
    found = foramina(bone, painted == CANAL, np.isin(painted, list(DISC.values())), pixel_mm)
    if found.any():
        out[_behind_column(out, pixel_mm) & (out == SpineClass.BACKGROUND)] = UNSURE
    out[found & np.isin(out, (SpineClass.BACKGROUND, UNSURE))] = FORAMEN
    return out


def foramina(solid: NDArray[np.bool_], canal: NDArray[np.bool_], disc: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.bool_]:
    """Pixels of one slice that `solid` encloses beside a disc, gaps of `2 * CLOSED_MM` counted as closed, without parts of the canal."""
    margin = round(2 * CLOSED_MM / pixel_mm)
    solid, canal, disc = (np.pad(part, margin) for part in (solid, canal, disc))
    thick = ndimage.distance_transform_edt(~solid) * pixel_mm <= CLOSED_MM
    parts, count = ndimage.label(ndimage.binary_fill_holes(thick) & ~thick)
    out = np.zeros(solid.shape, dtype=bool)
    near = ndimage.distance_transform_edt(~disc) * pixel_mm <= BESIDE_DISC_MM if disc.any() else out
    for number in range(1, count + 1):
        grown = (ndimage.distance_transform_edt(parts != number) * pixel_mm <= CLOSED_MM + pixel_mm) & ~solid
        area = np.count_nonzero(grown) * pixel_mm**2
        if FORAMEN_MM2[0] <= area <= FORAMEN_MM2[1] and (grown & near).any() and not (grown & canal).any():
            out |= grown
    return out[margin:-margin, margin:-margin]


def _stack(slices: Sequence[LabelledSlice], between_mm: float) -> LabelledStack:
    labels = np.stack([_with_unsure(s.labels, s.pixel_mm) for s in slices])
    return LabelledStack(slices[0].patient, np.stack([s.image for s in slices]), labels, slices[0].pixel_mm, between_mm, tuple(range(len(slices))))


def _with_unsure(labels: NDArray[np.uint8], pixel_mm: float) -> NDArray[np.uint8]:
    """`UNSURE` in place of background where S1, S2 or a foramen may be, in a source that labels none of them."""
    out = labels.copy()
    may_be = _behind_column(labels, pixel_mm)
    strip = labels == SpineClass.SACRUM
    lowest = strip if strip.any() else np.isin(labels, COLUMN)
    if lowest.any():
        rows, columns = np.nonzero(lowest)
        top = rows.min() if strip.any() else rows.max()
        may_be[top:, max(0, columns.min() - round(FRONT_OF_SACRUM_MM / pixel_mm)) :] = True
    out[may_be & (labels == SpineClass.BACKGROUND)] = UNSURE
    return out


def _behind_column(labels: NDArray[np.uint8], pixel_mm: float) -> NDArray[np.bool_]:
    """Pixels behind the column in the rows where the slice shows no canal."""
    column, canal = np.isin(labels, COLUMN), labels == SpineClass.CANAL
    back = labels.shape[1] - 1 - column[:, ::-1].argmax(axis=1)
    away = (np.arange(labels.shape[1])[None] - back[:, None]) * pixel_mm
    rows = column.any(axis=1) & ~canal.any(axis=1)
    return np.asarray(rows[:, None] & (away >= BEHIND_MM[0]) & (away <= BEHIND_MM[1]))


def _by_patient(slices: Sequence[LabelledSlice]) -> list[list[LabelledSlice]]:
    return [[s for s in slices if s.patient == name] for name in dict.fromkeys(s.patient for s in slices)]
