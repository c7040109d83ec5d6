"""SPIDER's T2 SPACE images as labelled sagittal slices (van der Graaf et al. 2024, CC BY 4.0).

The images are sagittal slices of 384 × 480 pixels of 0.625 mm, two millimetres apart, with grey masks: 29 disc, 76 vertebra with its posterior
elements, 150 spinal canal. Two classes are derived here that the masks do not distinguish:

* *posterior elements*: what lies behind the front border of the canal;
* *sacrum*: the strip of S1 under the lowest disc, which in this data set is always L5/S1. It anchors the level names.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.training.examples import IGNORED, LabelledSlice

PIXEL_MM = 0.625
STEP_MM = 2.0  # between the slices that are packed: every second one
_PACKED_LIMIT = 512
_GREY = {29: SpineClass.DISC, 76: SpineClass.BODY, 150: SpineClass.CANAL}
_SACRUM_DEPTH_MM = 16.0
_MIN_DISC_MM2 = 60.0
_TOUCHING_ROWS = 3
_SPINOUS_MM = 40.0


def read_space(folder: Path) -> list[LabelledSlice]:
    """All slices of the folder `t2_space`, which holds `images/` and `masks/` of equal names, ordered by patient and slice."""
    by_patient: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((folder / "images").glob("*.webp")):
        by_patient[path.name.split("_")[0]].append(path)
    examples: list[LabelledSlice] = []
    for patient, paths in sorted(by_patient.items(), key=lambda item: int(item[0])):
        paths.sort(key=_slice_number)
        images = [np.asarray(Image.open(path).convert("L"), dtype=np.float32) for path in paths]
        greys = [np.asarray(Image.open(folder / "masks" / path.name).convert("L")) for path in paths]
        fronts = _canal_fronts([grey == 150 for grey in greys])
        examples += [LabelledSlice(patient, image, _classes(grey, front), PIXEL_MM) for image, grey, front in zip(images, greys, fronts, strict=True)]
    return examples


def ignoring_unlabelled_top(examples: Sequence[LabelledSlice]) -> list[LabelledSlice]:
    """The slices of `read_space` with everything ignored that lies above the uppermost vertebra or disc of the patient that a reader labelled.

    Readers left out vertebrae at the upper border of the image, in some patients two of them: background there would be wrong. Behind the canal, where
    spinous processes hang down, the same holds for another 40 mm.
    """
    tops: dict[str, int] = {}
    for example in examples:
        rows = np.flatnonzero(np.isin(example.labels, (SpineClass.BODY, SpineClass.DISC)).any(axis=1))
        if rows.size:
            tops[example.patient] = min(int(rows[0]), tops.get(example.patient, int(rows[0])))
    return [replace(example, labels=_without_top(example.labels, tops.get(example.patient, 0))) for example in examples]


def _without_top(labels: NDArray[np.uint8], top: int) -> NDArray[np.uint8]:
    if top < _TOUCHING_ROWS:  # the uppermost vertebra that is labelled is the uppermost in view
        return labels
    out = labels.copy()
    out[:top][labels[:top] == SpineClass.BACKGROUND] = IGNORED
    hang = slice(top, top + round(_SPINOUS_MM / PIXEL_MM))
    canal = labels == SpineClass.CANAL
    behind = np.arange(labels.shape[1])[None] > np.where(canal.any(axis=1), labels.shape[1] - canal[:, ::-1].argmax(axis=1), labels.shape[1])[:, None]
    out[hang][(labels == SpineClass.BACKGROUND)[hang] & behind[hang]] = IGNORED
    return out


@dataclass(frozen=True, eq=False)
class MidsagittalImage:
    """One near-mid-sagittal image of a series; the packaging changed its contrast, and it may lie off the midline or be upside down."""

    patient: str
    series: str  # "10_t1"
    image: NDArray[np.float32]  # (rows, columns)
    pixel_mm: float


def read_midsagittal(folder: Path, overview: Path) -> list[MidsagittalImage]:
    """The images of the folder `midsagittal` whose pixel size is known: square pixels, not shrunk to the packers' limit of 512."""
    with overview.open(newline="", encoding="utf-8") as file:
        spacing = {row["new_file_name"]: [float(v) for v in row["PixelSpacing"].strip("[]").split(",")] for row in csv.DictReader(file)}
    images = []
    for path in sorted(folder.glob("*.webp")):
        row_mm, column_mm = spacing.get(path.stem, [0.0, 1.0])
        image = np.asarray(Image.open(path).convert("L"), dtype=np.float32)
        if row_mm == column_mm and max(image.shape) < _PACKED_LIMIT:
            images.append(MidsagittalImage(path.stem.split("_")[0], path.stem, image, row_mm))
    return images


def space_volumes(folder: Path) -> Iterator[tuple[str, Volume]]:
    """Patient and volume of every T2 SPACE stack in `t2_space/images`, in the order of the slice numbers: left and right are not known."""
    by_patient: dict[str, list[Path]] = defaultdict(list)
    for path in (folder / "images").glob("*.webp"):
        by_patient[path.name.split("_")[0]].append(path)
    for patient, paths in sorted(by_patient.items(), key=lambda item: int(item[0])):
        paths.sort(key=_slice_number)
        array = np.stack([np.asarray(Image.open(path).convert("L"), dtype=np.float32) for path in paths])
        origins = np.outer((np.arange(len(paths)) - (len(paths) - 1) / 2) * STEP_MM, [1.0, 0, 0])
        yield patient, Volume(array, Grid(origins, np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), *array.shape[1:]))


def _slice_number(path: Path) -> int:
    return int(path.stem.split("slice")[-1])


def _classes(grey: NDArray[np.uint8], front: NDArray[np.float64] | None) -> NDArray[np.uint8]:
    labels = np.zeros(grey.shape, dtype=np.uint8)
    for value, kind in _GREY.items():
        labels[grey == value] = kind
    if front is not None:
        behind = np.arange(grey.shape[1])[None, :] >= front[:, None]
        labels[(labels == SpineClass.BODY) & behind] = SpineClass.POSTERIOR
    _add_sacrum(labels)
    return labels


def _canal_fronts(canals: list[NDArray[np.bool_]]) -> list[NDArray[np.float64] | None]:
    """Per slice, the column of the canal's front border for each row, taken from the nearest slice that shows a canal in that row."""
    own = np.stack([_front(canal) for canal in canals])  # NaN where a slice shows none
    return [_completed(_nearest(own, index)) for index in range(len(own))]


def _front(canal: NDArray[np.bool_]) -> NDArray[np.float64]:
    width = canal.sum(axis=1)
    return np.where(width >= 6, canal.argmax(axis=1).astype(float), np.nan)


def _nearest(own: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    front = np.full(own.shape[1], np.nan)
    for other in sorted(range(len(own)), key=lambda k: abs(k - index)):
        front = np.where(np.isnan(front), own[other], front)
    return front


def _completed(front: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Smoothed, and extrapolated linearly above and below the rows that show a canal."""
    rows = np.flatnonzero(np.isfinite(front))
    if rows.size < 80:
        return None
    seen = ndimage.median_filter(front[rows], 15, mode="nearest")
    every = np.interp(np.arange(front.size), rows, seen)
    above, below = np.arange(rows[0]), np.arange(rows[-1] + 1, front.size)
    every[above] = seen[0] + np.clip(np.polyfit(rows[:60], seen[:60], 1)[0], -0.6, 0.6) * (above - rows[0])
    every[below] = seen[-1] + np.clip(np.polyfit(rows[-60:], seen[-60:], 1)[0], 0.0, 1.2) * (below - rows[-1])
    return every


def _add_sacrum(labels: NDArray[np.uint8]) -> None:
    """Mark the strip under the lowest disc, perpendicular to it, as sacrum; slices without a clear lowest disc are left as they are."""
    discs, count = ndimage.label(labels == SpineClass.DISC)
    if not count:
        return
    sizes = np.bincount(discs.ravel())[1:] * PIXEL_MM**2
    large = [i + 1 for i in range(count) if sizes[i] >= _MIN_DISC_MM2]
    if not large:
        return
    lowest = max(large, key=lambda i: float(np.nonzero(discs == i)[0].mean()))
    points = np.argwhere(discs == lowest).astype(float)
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - centre, full_matrices=False)
    along, down = axes[0], axes[1]
    down = down if down[0] > 0 else -down
    grid = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), axis=-1) - centre
    depth, across = grid @ down, grid @ along
    extent = np.abs((points - centre) @ along).max()
    floor_of_disc = np.percentile((points - centre) @ down, 95)
    strip = (depth > floor_of_disc) & (depth < floor_of_disc + _SACRUM_DEPTH_MM / PIXEL_MM) & (np.abs(across) < 0.95 * extent)
    below = labels[strip & (labels != SpineClass.DISC)]
    if np.mean(below == SpineClass.BODY) > 0.2:  # a vertebra follows: this is not the last disc of the column
        return
    labels[strip & (labels == SpineClass.BACKGROUND)] = SpineClass.SACRUM
