"""The surroundings of a foramen in one parasagittal slice, sampled in the frame of the disc in front of it, and the slices beside the canal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Side, SpineClass
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline

ROW_MM, COLUMN_MM = 0.5, 0.25  # distance of the samples along the disc's downward axis and from front to back
_REACH_MM = 30.0  # above and below the middle of the disc; includes both pedicles
_BEFORE_MM, _BEHIND_MM = 14.0, 32.0  # of the back of the disc, up to the most posterior position of a facet joint
_COLUMN = (SpineClass.BODY, SpineClass.DISC, SpineClass.SACRUM)
ROWS_MM = np.arange(-_REACH_MM, _REACH_MM + ROW_MM, ROW_MM)  # (rows,) from the middle of the disc, positive downwards

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]  # (rows, columns), probabilities


@dataclass(frozen=True)
class Foramen:
    """Size of one foramen."""

    height_mm: float
    width_mm: float
    area_mm2: float


@dataclass(frozen=True, eq=False)
class Window:
    """Probabilities behind a disc in one sagittal plane: rows from head to foot, columns from front to back."""

    column: Samples  # bodies, discs and sacrum
    posterior: Samples
    foramen: Samples | None  # None: the network does not know foramina

    @property
    def bone(self) -> Samples:
        """Column or posterior elements: where a pedicle joins the body, neither may reach one half, but both together do."""
        return np.asarray(self.column + self.posterior)

    def end_of_column(self) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
        """(rows,) last sample of the column, and whether the row shows any."""
        column = self.column > 0.5
        return column.shape[1] - 1 - column[:, ::-1].argmax(axis=1), np.asarray(column.any(axis=1))

    def mixed(self, other: "Window", share: float) -> "Window":
        """The plane between this one and `other` (share 1), with linearly interpolated probabilities."""
        column, posterior = ((1 - share) * ours + share * theirs for ours, theirs in ((self.column, other.column), (self.posterior, other.posterior)))
        if self.foramen is None or other.foramen is None:
            return Window(column, posterior, None)
        return Window(column, posterior, (1 - share) * self.foramen + share * other.foramen)


def window_in(probabilities: NDArray[np.float16], foramen: NDArray[np.float16] | None, disc: Outline) -> Window:
    """The window behind a disc in one slice.

    Args:
        probabilities: (classes of `SpineClass`, rows, columns) of the slice.
        foramen: (rows, columns) probability of a foramen; None where the network does not know them.
        disc: in the same rows and columns.
    """
    back = float(disc.offsets_mm[-1])
    offsets = np.arange(back - _BEFORE_MM, back + _BEHIND_MM, COLUMN_MM)
    places = (disc.center + offsets[None, :, None] * disc.across + ROWS_MM[:, None, None] * disc.down) / PIXEL_MM
    at = np.moveaxis(places, -1, 0)
    column: Samples = np.asarray(np.sum([probabilities[kind] for kind in _COLUMN], axis=0, dtype=np.float32))
    return Window(_sampled(column, at), _sampled(probabilities[SpineClass.POSTERIOR], at), None if foramen is None else _sampled(foramen, at))


def _sampled(image: NDArray[np.float16] | Samples, at: Floats) -> Samples:
    return np.asarray(ndimage.map_coordinates(image.astype(np.float32, copy=False), at, order=1, cval=0), dtype=np.float32)


def windows_beside(midplane: Midplane, disc: Outline, side: Side, range_mm: tuple[float, float]) -> tuple[Floats, list[Window]]:
    """The slices on one side whose distance from the midplane lies within `range_mm`: these distances (n,), ascending, and the windows."""
    segmentation = midplane.segmentation
    row = float(np.clip(disc.center[0] / PIXEL_MM, 0, len(midplane.slice_of_row) - 1))
    middle = float(np.interp(row, np.arange(len(midplane.slice_of_row)), midplane.slice_of_row))
    sign = 1.0 if side is Side.LEFT else -1.0  # slices run from the patient's right to the left
    aside = sign * (np.arange(segmentation.grid.shape[0]) - middle) * segmentation.grid.spacing_mm[0]
    numbers = np.flatnonzero((aside >= range_mm[0]) & (aside <= range_mm[1]))
    numbers = numbers[np.argsort(aside[numbers])]
    foramen = segmentation.foramen
    return np.asarray(aside[numbers], np.float64), [window_in(segmentation.probabilities[k], None if foramen is None else foramen[k], disc) for k in numbers]
