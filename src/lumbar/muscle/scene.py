"""An image, its muscle mask and its fat on one axial grid, with everything that is derived from them for all muscles at once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.mask_labels import DISC_LABELS
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import sample
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.agreement import MaskAgreement
from lumbar.muscle.axial import slice_thickness_mm, to_axial
from lumbar.muscle.fat.dixon import pair, swapped
from lumbar.muscle.fat.infiltration import fat_shares, reference_fat
from lumbar.muscle.fat.mixture import Method
from lumbar.muscle.labels import BACK, LABELS, VERTEBRA


@dataclass(frozen=True, eq=False)
class MeasureOptions:
    """Optional inputs of a measurement."""

    levels: tuple[LevelFinding, ...] = ()  # for areas by level: at the slice nearest to the middle of the disc
    discs: Volume | None = None  # disc labels 1…5 of `levels.nii.gz`, for the ratio of muscle to disc area
    method: Method = "gmm3"  # for images without a Dixon pair
    inner_mm: float = 0.0  # shares of fat are those of voxels further than this within the outline, which its blur does not reach
    agreement: MaskAgreement | None = None  # of the networks that made the mask
    one_scale: bool = False  # water and fat are known to have one scale, as those of a map


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything on one axial grid."""

    grid: Grid
    labels: NDArray[np.uint8]  # those of muscles; 0 elsewhere
    body: NDArray[np.bool_]  # the vertebral body, or the disc, where the slice crosses it
    image: NDArray[np.float32]
    fat: NDArray[np.float32] | None  # of a Dixon pair, whose water is `image`
    options: MeasureOptions

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel."""
        return float(np.prod(self.grid.spacing_mm[1:]))

    @cached_property
    def thickness_mm(self) -> NDArray[np.float64] | None:
        """(slices,) thickness represented by each slice; None for a single slice, whose thickness is unknown."""
        return slice_thickness_mm(self.grid) if len(self.labels) > 1 else None

    @cached_property
    def heights_mm(self) -> NDArray[np.float64]:
        """(slices,) z of the middle of each slice."""
        middle = np.array([0, (self.grid.rows - 1) / 2, (self.grid.columns - 1) / 2])
        index = np.arange(self.grid.shape[0])[:, None] * np.array([1, 0, 0]) + middle
        return np.asarray(self.grid.points_mm(index)[:, 2])

    @cached_property
    def body_mm2(self) -> NDArray[np.float64]:
        """(slices,) area of the vertebral body or disc, 0 where it is not labelled."""
        return np.asarray(self.body.sum(axis=(1, 2)) * self.pixel_mm2, np.float64)

    def area_mm2(self, label: int) -> NDArray[np.float64]:
        """(slices,) area of one muscle."""
        return np.asarray((self.labels == label).sum(axis=(1, 2)) * self.pixel_mm2, np.float64)

    @cached_property
    def fat_fraction(self) -> NDArray[np.float32] | None:
        """Fat / (fat + water), not a number where both are 0."""
        if self.fat is None:
            return None
        total = self.image + self.fat
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(total > 0, self.fat / total, np.nan), dtype=np.float32)

    @cached_property
    def infiltration(self) -> NDArray[np.float32] | None:
        """Fat fraction of each voxel of the back muscles from its grey value, 0 elsewhere; None if this image does not allow it.

        The psoas has too little fat to be measured from grey values, according to comparisons with Dixon, so it is excluded.
        """
        inside = np.isin(self.labels, BACK)
        around = reference_fat(self.image, inside, self.grid.spacing_mm)
        found = None if around is None else fat_shares(self.image[inside].astype(np.float64), self.options.method, around)
        if found is None:
            return None
        shares = np.zeros(inside.shape, np.float32)
        shares[inside] = found
        return shares

    @cached_property
    def fat_share(self) -> NDArray[np.float32] | None:
        """Fat fraction in [0, 1] of each muscle voxel, 0 elsewhere: from Dixon, or else from grey values."""
        shares = self.infiltration if self.fat_fraction is None else np.where(self.labels > 0, np.nan_to_num(self.fat_fraction), 0)
        return None if shares is None else np.asarray(np.clip(shares, 0, 1), np.float32)

    @cached_property
    def disc_areas_mm2(self) -> dict[Level, float]:
        """Areas of the discs in the plane of the slice at their level."""
        if self.options.discs is None:
            return {}
        areas = {}
        for level, number in DISC_LABELS.items():
            k = next((slice_at(self.grid, f) for f in self.options.levels if f.level is level), None)
            if k is not None:
                plane = Grid(self.grid.origins_mm[k : k + 1], self.grid.row_step_mm, self.grid.column_step_mm, self.grid.rows, self.grid.columns)
                points = plane.points_mm(np.moveaxis(np.indices(plane.shape), 0, -1))
                areas[level] = float((sample(self.options.discs, points, order=0) == number).sum()) * self.pixel_mm2
        return areas


def slice_at(grid: Grid, level: LevelFinding) -> int | None:
    """The slice nearest to the middle of the disc, if the disc lies within the stack."""
    along = float(grid.indices(np.array(level.center_mm))[0])
    return int(np.clip(round(along), 0, grid.shape[0] - 1)) if -1 < along < grid.shape[0] else None


def set_scene(image: Volume, mask: Volume, fat: Volume | None, options: MeasureOptions) -> tuple[Scene, list[str]]:
    """The scene, and warnings on its Dixon pair.

    Raises:
        GeometryError: the mask or the fat lies on another grid.
        InputError: the volume was not acquired in axial slices.
    """
    axial = to_axial(image)
    pixels = np.asarray(axial.array, np.float32)
    all_labels = np.asarray(brought_onto(axial.grid, mask).array, np.uint8)
    labels = np.where(np.isin(all_labels, tuple(LABELS)), all_labels, 0).astype(np.uint8)
    if fat is None:
        return Scene(axial.grid, labels, all_labels == VERTEBRA, pixels, None, options), []
    paired = pair(image, fat)
    fat_array = np.asarray(to_axial(Volume(paired.array, image.grid)).array, np.float32)
    scene = Scene(axial.grid, labels, all_labels == VERTEBRA, pixels, fat_array, options)
    return scene, [*(() if options.one_scale else paired.warnings), *swapped(pixels, fat_array, np.isin(labels, BACK))]
