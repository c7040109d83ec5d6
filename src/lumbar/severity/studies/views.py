"""The three views for grading a study, and the sizes of their stored crops and network inputs.

A sagittal crop has five neighbouring slices of `FIELD_MM` × `FIELD_MM`, rows from head to foot, columns from front to back: for the canal from the
patient's right to left on T2, for a foramen from the middle outwards on T1, so that both sides are alike. An axial crop has three slices as in
`severity/axial/cut.py`, with the patient's left at the right edge.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level, Side
from lumbar.severity.axial.data import STORED_COLUMNS, STORED_ROWS

SAGITTAL_SLICES = 5  # stored; three of them are network input
SAGITTAL_PIXELS = 96
FIELD_MM = 48.0
SEEN_MM = 36.0  # network input: the rest is a margin for augmentation
SEEN_PIXELS = 64
AXIAL_SLICES = 3
LEVELS = tuple(Level)

MASKS = 3  # classes of the mask channels: vertebra, disc, canal
MEASURES = ("canal_ap_mm", "canal_area_mm2", "disc_height_mm", "disc_height_posterior_mm", "disc_height_index", "disc_signal_ratio", "slip_mm")


class View(Enum):
    """The crops of a level, and the kind of series they are cut from."""

    CANAL = "canal"  # sagittal T2 or STIR
    FORAMEN = "foramen"  # sagittal T1
    AXIAL = "axial"  # axial T2


Slot = tuple[View, Side | None]
SLOTS: tuple[Slot, ...] = ((View.CANAL, None), (View.FORAMEN, Side.LEFT), (View.FORAMEN, Side.RIGHT), (View.AXIAL, None))
SLOTS_OF = {View.CANAL: (0,), View.FORAMEN: (1, 2), View.AXIAL: (3,)}
# Shape of one study's crops: levels, crops per level, slices, rows, columns.
SHAPES = {
    View.CANAL: (5, 1, SAGITTAL_SLICES, SAGITTAL_PIXELS, SAGITTAL_PIXELS),
    View.FORAMEN: (5, 2, SAGITTAL_SLICES, SAGITTAL_PIXELS, SAGITTAL_PIXELS),
    View.AXIAL: (5, 1, AXIAL_SLICES, STORED_ROWS, STORED_COLUMNS),
}


@dataclass(frozen=True)
class CropRecord:
    """Source of a crop, sufficient to locate its pixels in the patient."""

    view: str
    level: str
    side: str  # empty for the canal and axial crops
    series: str
    instance_number: int  # of the middle slice
    origin_mm: tuple[float, float, float]  # centre of the middle slice's first pixel, LPS
    row_step_mm: tuple[float, float, float]  # from one row of the crop to the next
    column_step_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class StudyCrops:
    """The crops of one study; zeros where `present` is false."""

    images: dict[View, NDArray[np.uint8]]  # shapes as in SHAPES
    present: NDArray[np.bool_]  # (5 levels, 4 slots)
    records: tuple[CropRecord, ...]
    masks: dict[View, NDArray[np.uint8]] | None = None  # the same shapes; 0 nothing, 1 vertebra, 2 disc, 3 canal
    measures: NDArray[np.float32] | None = None  # (5 levels, measures), NaN where not measured
