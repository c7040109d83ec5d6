"""Training slices of every source on one grid, as 8-bit arrays: reader masks on T1 and T2, Dixon pairs, phantoms and drawn slices."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.datasets.muscle_slices import ReaderSlice
from lumbar.imaging.resample import resize_image
from lumbar.muscle.labels import BACK
from lumbar.muscle.learn.axial_slice import AxialSlice

PIXEL_MM = 0.8
SHAPE = (256, 320)  # rows, columns of the stored window: 205 × 256 mm
BEHIND_MM = 22.0  # distance of the middle of the window in front of the middle of the back muscles
_DIXON_SCALE = 100.0  # grey values per unit of a Dixon pair, whose muscle water is 0.7


class Source(Enum):
    """Where a slice and its labels come from."""

    T1 = "T1, reader masks"
    T2 = "T2, reader masks"
    DIXON = "Dixon, reader masks"
    PHANTOM = "phantom"
    DRAWN = "drawn"
    PSEUDO = "pseudo-labels"


@dataclass(frozen=True, eq=False)
class GreySlice:
    """One slice on the common grid; rows run from front to back, columns from the patient's right to the left."""

    patient: str  # splits are made by this
    source: Source
    planes: NDArray[np.uint8]  # (1 or 2, rows, columns): the image, or Dixon water and fat on one scale
    labels: NDArray[np.uint8]  # (rows, columns)
    complete: bool  # psoas and vertebra are labelled, too
    muscle: float = field(init=False)  # median grey value of the muscles on the first plane
    bright: float = field(init=False)  # grey value that is as bright as fat: the 98th percentile of the first plane

    def __post_init__(self) -> None:
        inside = np.isin(self.labels, BACK)
        object.__setattr__(self, "muscle", float(np.median(self.planes[0][inside])) if inside.any() else 60.0)
        object.__setattr__(self, "bright", max(float(np.percentile(self.planes[0], 98)), 1.0))


def from_reader(one: ReaderSlice, source: Source, complete: bool) -> GreySlice:
    """A slice with a reader's mask on the common grid."""
    return _windowed(one.patient, source, one.image[None], one.labels, one.pixel_mm, complete)


def from_dixon(one: AxialSlice, source: Source, complete: bool) -> GreySlice:
    """A Dixon-like slice (of a person, a phantom or a drawing) on the common grid."""
    planes = np.clip(np.stack([one.water, one.fat]) * _DIXON_SCALE, 0, 255)
    return _windowed(one.patient, source, planes, one.labels, one.pixel_mm, complete)


def from_pseudo(patient: str, image: NDArray[np.float32], labels: NDArray[np.uint8], complete: bool) -> GreySlice:
    """A slice on pixels of `PIXEL_MM` with pseudo-labels, which may hold `UNSURE`."""
    return _windowed(patient, Source.PSEUDO, image[None], labels, PIXEL_MM, complete)


def _windowed(patient: str, source: Source, planes: NDArray[np.float32], labels: NDArray[np.uint8], pixel_mm: float, complete: bool) -> GreySlice:
    rows, columns = (round(n * pixel_mm / PIXEL_MM) for n in labels.shape)
    resized = np.stack([resize_image(plane.astype(np.float32), (rows, columns)) for plane in planes])
    each = [resize_image((labels == n).astype(np.float32), (rows, columns)) for n in range(int(labels.max()) + 1)]
    fine = np.argmax(each, axis=0).astype(np.uint8)
    middle = np.array(ndimage.center_of_mass(np.isin(fine, BACK))) - (BEHIND_MM / PIXEL_MM, 0)
    corner = np.round(middle - np.array(SHAPE) / 2).astype(int)
    out = np.zeros((len(planes), *SHAPE), np.uint8)
    marks = np.zeros(SHAPE, np.uint8)
    low = np.maximum(corner, 0)
    high = np.minimum(corner + SHAPE, fine.shape)
    here = tuple(slice(a - c, b - c) for a, b, c in zip(low, high, corner, strict=True))
    there = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    out[(slice(None), *here)] = np.clip(np.round(resized[(slice(None), *there)]), 0, 255)
    marks[here] = fine[there]
    return GreySlice(patient, source, out, marks, complete)
