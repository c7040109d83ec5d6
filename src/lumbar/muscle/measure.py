"""Size and fat of each muscle from a mask, for example one corrected by hand, without segmenting again.

Areas are in the plane of the slices (not perpendicular to the muscle). A slice represents half the distance to each neighbour, so that uneven spacing is
accounted for. A mask that touches the border of the image is not extrapolated.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level, Side
from lumbar.domain.findings import LevelFinding, MuscleFinding, MuscleLevel, MuscleSlice
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import sample
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.axial import restore, slice_thickness_mm, to_axial
from lumbar.muscle.fat.dixon import pair, swapped
from lumbar.muscle.fat.infiltration import fat_shares, reference_fat
from lumbar.muscle.fat.mixture import Method
from lumbar.muscle.fat.partial_volume import core, mean_without_partial_volume
from lumbar.muscle.labels import LABELS

METHODS = {"gmm3": "mixture of 3 normal distributions", "gmm2": "mixture of 2 normal distributions", "kmeans3": "3-means clusters"}


@dataclass(frozen=True, eq=False)
class Measurement:
    """Measurements and warnings."""

    findings: tuple[MuscleFinding, ...]  # in the order of the labels; none for labels missing from the mask
    warnings: tuple[str, ...]
    fat: Volume | None = None  # fat fraction in [0, 1] of each muscle voxel, 0 elsewhere, on the grid of the mask; by the findings' `method`


@dataclass(frozen=True, eq=False)
class MeasureOptions:
    """Options of the measurement."""

    levels: tuple[LevelFinding, ...] = ()  # for areas by level: at the slice nearest to the middle of the disc
    discs: Volume | None = None  # disc labels 1…5 of `levels.nii.gz`, for the ratio of muscle to disc area
    method: Method = "gmm3"  # for images without a Dixon pair
    inner_mm: float = 0.0  # fat fractions are measured this far inside the outline, beyond the partial-volume border


@dataclass(frozen=True, eq=False)
class _Scene:
    """Inputs on one axial grid."""

    grid: Grid
    labels: NDArray[np.uint8]
    image: NDArray[np.float32]
    fat: NDArray[np.float32] | None  # of a Dixon pair with `image` as water
    options: MeasureOptions

    @property
    def pixel_mm2(self) -> float:
        return float(np.prod(self.grid.spacing_mm[1:]))

    @cached_property
    def thickness_mm(self) -> NDArray[np.float64]:
        return slice_thickness_mm(self.grid)

    @cached_property
    def heights_mm(self) -> NDArray[np.float64]:
        """(slices,) z of the middle of each slice."""
        middle = np.array([0, (self.grid.rows - 1) / 2, (self.grid.columns - 1) / 2])
        index = np.arange(self.grid.shape[0])[:, None] * np.array([1, 0, 0]) + middle
        return np.asarray(self.grid.points_mm(index)[:, 2])

    @cached_property
    def fat_fraction(self) -> NDArray[np.float32] | None:
        """Fat / (fat + water), NaN where both are 0."""
        if self.fat is None:
            return None
        total = self.image + self.fat
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(total > 0, self.fat / total, np.nan), dtype=np.float32)

    @cached_property
    def infiltration(self) -> NDArray[np.float32] | None:
        """Fat fraction of each muscle voxel from its grey value, 0 elsewhere; None if this image does not allow it."""
        inside = self.labels > 0
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
        for number, level in enumerate(Level, start=1):
            k = next((slice_at(self.grid, f) for f in self.options.levels if f.level is level), None)
            if k is not None:
                plane = Grid(self.grid.origins_mm[k : k + 1], self.grid.row_step_mm, self.grid.column_step_mm, self.grid.rows, self.grid.columns)
                points = plane.points_mm(np.moveaxis(np.indices(plane.shape), 0, -1))
                areas[level] = float((sample(self.options.discs, points, order=0) == number).sum()) * self.pixel_mm2
        return areas


@dataclass(frozen=True, eq=False)
class _Slices:
    """Measurements of one muscle by slice."""

    area_mm2: NDArray[np.float64]
    lean_mm2: NDArray[np.float64]
    fat_fraction: tuple[float | None, ...]


def measure(image: Volume, mask: Volume, fat: Volume | None = None, options: MeasureOptions | None = None) -> Measurement:
    """Measure every muscle of `mask` on `image` (Dixon water if `fat` is given, else T1 or T2).

    Raises:
        GeometryError: the mask or the fat lies on another grid, or there is only one slice.
        InputError: the volume was not acquired in axial slices.
    """
    scene, warnings = _scene(image, mask, fat, options or MeasureOptions())
    found = [label for label in LABELS if (scene.labels == label).any()]
    missing = [_name(label) for label in LABELS if label not in found]
    if missing:
        warnings.append(f"the mask has no {' and no '.join(missing)}, so it was not measured")
    warnings += _wrong_side(scene)
    share = scene.fat_share
    if share is None:
        warnings.append("fat is not clearly brighter than muscle on this image (fat suppression?), so fat infiltration was not measured")
        share = np.zeros(scene.labels.shape, np.float32)
    findings = _with_asymmetry([_measure_one(scene, label, share) for label in found])
    return Measurement(findings, tuple(warnings), None if scene.fat_share is None else restore(share, mask))


def slice_at(grid: Grid, level: LevelFinding) -> int | None:
    """The slice nearest to the middle of the disc, if the disc lies within the stack."""
    along = float(grid.indices(np.array(level.center_mm))[0])
    return int(np.clip(round(along), 0, grid.shape[0] - 1)) if -1 < along < grid.shape[0] else None


def _scene(image: Volume, mask: Volume, fat: Volume | None, options: MeasureOptions) -> tuple[_Scene, list[str]]:
    axial = to_axial(image)
    pixels = np.asarray(axial.array, np.float32)
    labels = np.asarray(brought_onto(axial.grid, mask).array, np.uint8)
    if fat is None:
        return _Scene(axial.grid, labels, pixels, None, options), []
    paired = pair(image, fat)
    fat_array = np.asarray(to_axial(Volume(paired.array, image.grid)).array, np.float32)
    return _Scene(axial.grid, labels, pixels, fat_array, options), [*paired.warnings, *swapped(pixels, fat_array, labels > 0)]


def _measure_one(scene: _Scene, label: int, share: NDArray[np.float32]) -> MuscleFinding:
    muscle, side = LABELS[label]
    inside = scene.labels == label
    area = inside.sum(axis=(1, 2)) * scene.pixel_mm2
    deep = core(inside, scene.grid.spacing_mm, scene.options.inner_mm)
    fraction = scene.fat_fraction
    mean = ratio = corrected = infiltration = None
    if scene.fat is not None and fraction is not None:
        how = "Dixon fat / (fat + water)"
        mean = _mean(fraction[deep])
        corrected = mean_without_partial_volume(fraction, inside, scene.grid.spacing_mm)
        total = float((scene.fat[deep] + scene.image[deep]).sum(dtype=np.float64))
        ratio = float(scene.fat[deep].sum(dtype=np.float64)) / total if total > 0 else None
    else:
        how = METHODS[scene.options.method]
        infiltration = None if scene.infiltration is None or not deep.any() else max(0.0, float(scene.infiltration[deep].mean(dtype=np.float64)))
    if scene.options.inner_mm > 0:
        how += f", more than {scene.options.inner_mm:g} mm within the outline"
    means = tuple(None if fraction is None else _mean(fraction[k][deep[k]]) for k in range(len(area)))
    slices = _Slices(area, area - np.where(inside, share, 0).sum(axis=(1, 2), dtype=np.float64) * scene.pixel_mm2, means)
    return MuscleFinding(
        muscle,
        side,
        volume_ml=float(area @ scene.thickness_mm) / 1000,
        csa_max_mm2=float(area.max()),
        fat_fraction_mean=mean,
        fat_fraction_ratio=ratio,
        fat_fraction_corrected=corrected,
        fat_infiltration=infiltration,
        method=how,
        per_level=_at_levels(scene, slices),
        per_slice=tuple(MuscleSlice(float(scene.heights_mm[k]), float(area[k]), means[k], float(slices.lean_mm2[k])) for k in np.flatnonzero(area)),
        lean_volume_ml=float(slices.lean_mm2 @ scene.thickness_mm) / 1000,
        csa_lean_max_mm2=float(slices.lean_mm2.max()),
    )


def _at_levels(scene: _Scene, slices: _Slices) -> tuple[MuscleLevel, ...]:
    found = []
    for level in scene.options.levels:
        k = slice_at(scene.grid, level)
        if k is not None and slices.area_mm2[k] > 0:
            area, disc = float(slices.area_mm2[k]), scene.disc_areas_mm2.get(level.level)
            found.append(MuscleLevel(level.level, area, slices.fat_fraction[k], float(slices.lean_mm2[k]), area / disc if disc else None))
    return tuple(found)


def _wrong_side(scene: _Scene) -> list[str]:
    """Right muscles have smaller x than left ones in the patient's space."""
    columns: dict[Side, list[float]] = {side: [] for side in Side}
    for label, (_, side) in LABELS.items():
        where = np.argwhere(scene.labels == label)
        if where.size:
            columns[side].append(float(scene.grid.points_mm(where.mean(axis=0))[0]))
    if columns[Side.LEFT] and columns[Side.RIGHT] and np.mean(columns[Side.LEFT]) < np.mean(columns[Side.RIGHT]):
        return ["the mask's right muscles lie on the patient's left: its labels or its orientation are mirrored; sides are as the mask has them"]
    return []


def _with_asymmetry(findings: list[MuscleFinding]) -> tuple[MuscleFinding, ...]:
    """Each finding with (own − other side) / mean of both volumes."""
    volumes = {(f.muscle, f.side): f.volume_ml for f in findings}
    done = []
    for finding in findings:
        other = volumes.get((finding.muscle, Side.LEFT if finding.side is Side.RIGHT else Side.RIGHT))
        total = finding.volume_ml + (other or 0)
        done.append(replace(finding, volume_asymmetry=2 * (finding.volume_ml - other) / total if other is not None and total > 0 else None))
    return tuple(done)


def _mean(values: NDArray[np.float32]) -> float | None:
    values = values[np.isfinite(values)]
    return float(values.mean(dtype=np.float64)) if values.size else None


def _name(label: int) -> str:
    muscle, side = LABELS[label]
    return f"{side.value} {muscle.value.replace('_', ' ')}"
