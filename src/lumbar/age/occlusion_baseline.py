"""The occlusion baseline: mean crops that replace an occluded region.

A grey patch is out of distribution for the network, and the mean of the region itself would keep what is to be occluded (a dark disc stays
dark). So the region takes its mean appearance in training studies of similar contrast: one mean is stored per group of studies that
look alike, and those similar to the study are blended. Similarity is measured outside the discs only: groups differ in contrast, not in degeneration
of discs. The result is the age that the spine would have if it were average in that region.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.age.crops import CropOptions, SliceSet
from lumbar.errors import ModelError

FILE = "typical.npy"
_DISC_HALF_MM = 10.0  # rows this near to the middle of the disc are excluded from the comparison of contrast
_NEARNESS = 4.0  # a group twice as far (in mean square) counts 2⁴ times less
BIN_CENTRES_MM = (-14.0, -7.0, 0.0, 7.0, 14.0)  # to the left of the middle


@dataclass(frozen=True, eq=False)
class OcclusionBaseline:
    """Mean crops of groups of studies."""

    crops: NDArray[np.float32]  # (groups, levels, places, rows, columns), places as BIN_CENTRES_MM

    def like(self, slices: SliceSet) -> NDArray[np.float32]:
        """(5, slices, rows, columns) mean crops of similar groups, at the positions of its slices.

        Groups are blended, not selected, so that nearly equal studies get nearly equal maps.
        """
        places = np.abs(slices.position_mm[..., None] - np.array(BIN_CENTRES_MM)).argmin(axis=-1)
        levels = np.arange(places.shape[0])[:, None]
        there = slices.present > 0
        choices = self.crops[:, levels, places]
        beside = rows_beside_discs(slices.options)
        distance = np.array([np.square((choice[there] - slices.images[there])[:, beside]).mean() for choice in choices], dtype=np.float64)
        nearness = (max(float(distance.min()), 1e-12) / np.maximum(distance, 1e-12)) ** _NEARNESS
        return np.asarray(np.tensordot(nearness / nearness.sum(), choices, axes=1), dtype=np.float32)


def rows_beside_discs(options: CropOptions) -> NDArray[np.bool_]:
    """(rows,) whether a row of a crop shows vertebrae and not the disc."""
    return np.asarray(np.abs(np.arange(options.rows) - options.middle[0]) * options.pixel_mm > _DISC_HALF_MM)


def read_baseline(folder: Path) -> OcclusionBaseline:
    """The occlusion baseline of a model folder.

    Raises:
        ModelError: the file is missing or has the wrong shape.
    """
    try:
        crops = np.load(folder / FILE, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / FILE} cannot be read ({error}); export the model again") from error
    if crops.ndim != 5 or crops.shape[2] != len(BIN_CENTRES_MM):
        raise ModelError(f"{folder / FILE} has the shape {crops.shape}; an occlusion baseline has five axes, the third of {len(BIN_CENTRES_MM)} places")
    return OcclusionBaseline(crops.astype(np.float32))
