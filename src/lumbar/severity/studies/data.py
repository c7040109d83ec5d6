"""Labelled studies for training and evaluation, and their crops as network inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.datasets.axial_crops import AxialCrop
from lumbar.datasets.rsna2024_grades import Grades
from lumbar.domain.anatomy import Condition
from lumbar.severity.axial.data import GRADE_ORDER, UNLABELLED
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.studies.store import Store
from lumbar.severity.studies.views import FIELD_MM, LEVELS, MASKS, MEASURES, SAGITTAL_SLICES, SEEN_MM, SEEN_PIXELS, SHAPES, SLOTS, SLOTS_OF, View

Arrays = dict[str, NDArray[np.float32]]  # inputs of a network by name

# Typical value and spread of each measure for standardisation, in the order of MEASURES.
_USUAL = np.array([(13.0, 4.0), (150.0, 70.0), (8.0, 2.5), (6.0, 2.0), (0.33, 0.1), (0.4, 0.25), (0.0, 2.5)], np.float32)


@dataclass(frozen=True)
class InputOptions:
    """The stored data used by a network."""

    masks: bool = False  # the classes of the spine model as three additional channels
    slices: int = 3  # of a sagittal crop: 3, or all 5


@dataclass(frozen=True, eq=False)
class StudySet:
    """Studies with their grades; the crops may stay on disk."""

    names: NDArray[np.str_]  # (n,)
    targets: NDArray[np.int64]  # (n, 5 conditions, 5 levels) 0 … 2, or UNLABELLED
    present: NDArray[np.bool_]  # (n, 5 levels, 4 slots)
    rows: NDArray[np.int64]  # (n,) places in the arrays below
    images: Mapping[View, NDArray[np.uint8]]  # only views that the source has
    masks: Mapping[View, NDArray[np.uint8]] | None = None
    measures: NDArray[np.float32] | None = None  # (any, 5 levels, measures)

    def subset(self, chosen: NDArray[np.bool_]) -> "StudySet":
        """The studies where `chosen` (n,) is true."""
        return StudySet(self.names[chosen], self.targets[chosen], self.present[chosen], self.rows[chosen], self.images, self.masks, self.measures)


def from_store(store: Store, grades: Grades) -> StudySet:
    """All studies of `store` with crops; those without a row in `grades` are unlabelled."""
    there = np.flatnonzero(store.present.any(axis=(1, 2)))
    names = np.array([store.studies[row] for row in there], np.str_)
    masks = {view: store.mask_images(view) for view in View} if store.masks else None
    measures = store.measures() if store.masks else None
    return StudySet(names, study_targets(names.tolist(), grades), store.present[there], there, {v: store.images(v) for v in View}, masks, measures)


def from_axial_crops(crops: Sequence[AxialCrop], targets: NDArray[np.int64], images: NDArray[np.uint8]) -> StudySet:
    """Studies with axial crops only, from grades (n, 5) and stored images (n, rows, columns, 3); the first crop of each level is used."""
    names = sorted({crop.study_id for crop in crops})
    place = {name: number for number, name in enumerate(names)}
    axial = np.zeros((len(names), len(LEVELS), 1, 3, *images.shape[1:3]), np.uint8)
    present = np.zeros((len(names), len(LEVELS), len(SLOTS)), bool)
    grades = np.full((len(names), len(Condition), len(LEVELS)), UNLABELLED, np.int64)
    for row, crop in enumerate(crops):
        at = place[crop.study_id], LEVELS.index(crop.level)
        if present[(*at, SLOTS_OF[View.AXIAL][0])]:
            continue
        axial[at][0] = images[row].transpose(2, 0, 1)
        present[(*at, SLOTS_OF[View.AXIAL][0])] = True
        grades[at[0], :, at[1]] = targets[row]
    return StudySet(np.array(names), grades, present, np.arange(len(names)), {View.AXIAL: axial})


def study_targets(names: Sequence[str], grades: Grades) -> NDArray[np.int64]:
    """(n, 5 conditions, 5 levels) grades 0 … 2, or UNLABELLED."""
    result = np.full((len(names), len(Condition), len(LEVELS)), UNLABELLED, np.int64)
    for row, name in enumerate(names):
        for c, condition in enumerate(Condition):
            for v, level in enumerate(LEVELS):
                grade = grades.get(name, {}).get(f"{condition.value}_{level.slug}")
                if grade is not None:
                    result[row, c, v] = GRADE_ORDER.index(grade)
    return result


def network_arrays(
    images: Mapping[View, NDArray[np.uint8]],
    present: NDArray[np.bool_],
    masks: Mapping[View, NDArray[np.uint8]] | None = None,
    measures: NDArray[np.float32] | None = None,
    slices: int = 3,
) -> Arrays:
    """Inputs of a network for studies with `images` (n, 5, crops, slices, rows, columns); with three additional channels if there are `masks`.

    The input is the middle of a crop, without augmentation.
    """
    result: Arrays = {"present": present.astype(np.float32), "measures": measure_inputs(measures, len(present))}
    for view in View:
        stored = images[view]
        grey = _seen(stored if view is View.AXIAL else stored[:, :, :, _MIDDLE - slices // 2 : _MIDDLE + slices // 2 + 1], view)
        mean, deviation = grey.mean((-3, -2, -1), keepdims=True), grey.std((-3, -2, -1), keepdims=True)
        grey = (grey - mean) / np.maximum(deviation, 1e-3 * 255)
        if masks is not None:
            middle = masks[view][:, :, :, masks[view].shape[3] // 2]
            grey = np.concatenate([grey, _seen(mask_channels(middle) * np.uint8(255), view) / 255], axis=3)
        there = present[:, :, list(SLOTS_OF[view])]
        result[view.value] = np.where(there[..., None, None, None], grey, 0).astype(np.float32)
    return result


def study_inputs(studies: StudySet, chosen: NDArray[np.int64], wanted: InputOptions) -> Arrays:
    """Inputs of a network for some studies without augmentation; zeros for views that their source lacks."""
    rows = studies.rows[chosen]
    images = {v: studies.images[v][rows] if v in studies.images else np.zeros((len(rows), *SHAPES[v]), np.uint8) for v in View}
    classes = {v: studies.masks[v][rows] for v in View} if wanted.masks and studies.masks is not None else None
    measures = None if studies.measures is None else studies.measures[rows]
    return network_arrays(images, studies.present[chosen], classes, measures, wanted.slices)


def mask_channels(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(…, 3, rows, columns) 0 or 1 for vertebra, disc and canal from classes (…, rows, columns)."""
    return np.stack([classes == value for value in range(1, MASKS + 1)], axis=-3).astype(np.uint8)


def measure_inputs(measures: NDArray[np.float32] | None, count: int) -> NDArray[np.float32]:
    """(n, 5, 2 × measures): standardised values, 0 where missing; then 1 where there is one."""
    if measures is None:
        return np.zeros((count, len(LEVELS), 2 * len(MEASURES)), np.float32)
    known = np.isfinite(measures)
    values = np.where(known, np.clip((measures - _USUAL[:, 0]) / _USUAL[:, 1], -4, 4), 0)
    return np.concatenate([values, known], axis=-1).astype(np.float32)


_MIDDLE = SAGITTAL_SLICES // 2


def _seen(stored: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
    """The network input from stored images (…, rows, columns)."""
    rows, columns = stored.shape[-2:]
    size, margin = ((CROP_COLUMNS, CROP_ROWS), 0.0) if view is View.AXIAL else ((SEEN_PIXELS, SEEN_PIXELS), 0.5 - 0.5 * SEEN_MM / FIELD_MM)
    box = (margin * columns, margin * rows, (1 - margin) * columns, (1 - margin) * rows)
    flat = stored.reshape(-1, rows, columns)
    resized = np.stack([np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box=box), dtype=np.float32) for image in flat])
    return resized.reshape(*stored.shape[:-2], size[1], size[0])
