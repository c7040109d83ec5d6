"""Agreement of a mask with a reference mask, label by label, in patient space."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.metrics.surface import compare_surfaces

_SAME_PLACE = 0.05  # share of a voxel by which two grids may differ: files store positions with seven digits


@dataclass(frozen=True)
class LabelScore:
    """Agreement on one label. For a label missing from both masks, the measures are None and the volumes 0."""

    label: int
    dice: float | None  # 0 if only one mask has the label
    surface_dice_1mm: float | None  # defined in `metrics/surface.py`; 0 if only one mask has the label
    surface_dice_2mm: float | None
    hd95_mm: float | None  # None unless both masks have the label
    assd_mm: float | None
    reference_volume_ml: float
    prediction_volume_ml: float

    @property
    def volume_error_ml(self) -> float:
        """Prediction minus reference."""
        return self.prediction_volume_ml - self.reference_volume_ml


def score_labels(reference: Volume, prediction: Volume, labels: Sequence[int]) -> tuple[LabelScore, ...]:
    """Compare two label volumes in patient space, one score a label in the order of `labels`.

    Raises:
        GeometryError: the masks lie on different grids (other than by flipped or swapped axes).
    """
    other = brought_onto(reference.grid, prediction).array
    spacing = reference.grid.spacing_mm
    voxel_ml = float(np.prod([spacing[0] or 1.0, *spacing[1:]])) / 1000
    scores = []
    for label in labels:
        a, b = reference.array == label, other == label
        surface = compare_surfaces(a, b, spacing)
        distances = (surface.surface_dice_1mm, surface.surface_dice_2mm, surface.hd95_mm, surface.assd_mm)
        scores.append(LabelScore(label, dice(a, b), *distances, int(a.sum()) * voxel_ml, int(b.sum()) * voxel_ml))
    return tuple(scores)


def dice(reference: NDArray[np.bool_], prediction: NDArray[np.bool_]) -> float | None:
    """2·|A∩B| / (|A|+|B|) of two masks of one shape (Dice 1945); None if both are empty."""
    size = int(reference.sum()) + int(prediction.sum())
    return 2 * int((reference & prediction).sum()) / size if size else None


def brought_onto(grid: Grid, volume: Volume) -> Volume:
    """`volume` with its axes flipped and permuted so that it lies on `grid`: the same voxels at the same points, no resampling.

    Raises:
        GeometryError: no flip or permutation makes the grids equal; the message gives the difference.
    """
    for axes in permutations(range(3)):
        if tuple(volume.grid.shape[axis] for axis in axes) != grid.shape or (axes[0] != 0 and not volume.grid.even):
            continue
        for bits in range(8):
            flips = (bool(bits & 4), bool(bits & 2), bool(bits & 1))
            moved = volume.rearranged((axes[0], axes[1], axes[2]), flips)
            if same_place(grid, moved.grid):
                return moved
    raise GeometryError(
        f"the volumes lie on different grids, so voxels cannot be compared ({_difference(grid, volume.grid)}); resample one onto the other first"
    )


def same_place(a: Grid, b: Grid) -> bool:
    """Whether two grids put every voxel at the same point, to a twentieth of a voxel."""
    if a.shape != b.shape:
        return False
    corners = np.array([[0, r, c] for r in (0, a.rows - 1) for c in (0, a.columns - 1)], float)
    slices = np.arange(a.shape[0])
    index = corners[None] + np.stack([slices, 0 * slices, 0 * slices], axis=-1)[:, None]
    apart = np.abs(a.points_mm(index) - b.points_mm(index)).max()
    return bool(apart <= _SAME_PLACE * min(a.spacing_mm[1:]))


def _difference(a: Grid, b: Grid) -> str:
    if sorted(a.shape) != sorted(b.shape):
        return f"shapes {a.shape} and {b.shape}"
    rounded = [sorted(round(step, 2) for step in grid.spacing_mm) for grid in (a, b)]
    if rounded[0] != rounded[1]:
        return f"spacings {rounded[0]} and {rounded[1]} mm"
    apart = float(np.linalg.norm(a.center_mm - b.center_mm))
    return f"their centres are {apart:.1f} mm apart" if apart > 0.1 else "their axes have other directions"
