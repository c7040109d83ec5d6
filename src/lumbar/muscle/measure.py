"""Size and fat of each muscle from a mask, for example one corrected by hand, without segmenting again.

Areas are in the plane of the slices (not perpendicular to the muscle). A slice represents half the distance to each neighbour, so that uneven spacing is
accounted for. A mask that touches the border of the image is not extrapolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Muscle, Side
from lumbar.domain.findings import MuscleFinding, MuscleLevel, MuscleSlice
from lumbar.domain.volume import Volume
from lumbar.imaging.components import voxels_by_label
from lumbar.muscle.agreement import DOUBTFUL
from lumbar.muscle.axial import restore
from lumbar.muscle.fat.partial_volume import core, mean_without_partial_volume
from lumbar.muscle.labels import BACK, LABELS, MIRRORED, label_name
from lumbar.muscle.scene import MeasureOptions, Scene, set_scene, slice_at

METHODS = {"gmm3": "mixture of 3 normal distributions", "gmm2": "mixture of 2 normal distributions", "kmeans3": "3-means clusters"}


@dataclass(frozen=True, eq=False)
class Measurement:
    """Measurements and warnings."""

    findings: tuple[MuscleFinding, ...]  # in the order of the labels; none for labels missing from the mask
    warnings: tuple[str, ...]
    fat: Volume | None = None  # fat fraction in [0, 1] of each muscle voxel, 0 elsewhere, on the grid of the mask; by the findings' `method`


@dataclass(frozen=True, eq=False)
class _Slices:
    """Measurements of one muscle by slice."""

    area_mm2: NDArray[np.float64]
    lean_mm2: NDArray[np.float64] | None
    fat_fraction: tuple[float | None, ...]
    asymmetry: NDArray[np.float64]
    body_ratio: NDArray[np.float64]
    label: int


def measure(image: Volume, mask: Volume, fat: Volume | None = None, options: MeasureOptions | None = None) -> Measurement:
    """Measure every muscle of `mask` on `image` (Dixon water if `fat` is given, else T1 or T2).

    Raises:
        GeometryError: the mask or the fat lies on another grid.
        InputError: the volume was not acquired in axial slices.
    """
    scene, warnings = set_scene(image, mask, fat, options or MeasureOptions())
    found = [label for label in LABELS if (scene.labels == label).any()]
    expected = [label for label in LABELS if label in BACK or any(LABELS[other][0] is LABELS[label][0] for other in found)]
    missing = [label_name(label) for label in expected if label not in found]
    if missing:
        warnings.append(f"the mask has no {' and no '.join(missing)}, so it was not measured")
    warnings += _wrong_side(scene)
    if scene.thickness_mm is None:
        warnings.append("the image is a single slice, so muscles have areas and fat, but no volume")
    share = scene.fat_share
    if share is None:
        warnings.append("fat is not clearly brighter than muscle on this image (fat suppression?), so fat infiltration was not measured")
        share = np.zeros(scene.labels.shape, np.float32)
    findings = with_asymmetry([_measure_one(scene, label, share) for label in found])
    return Measurement(findings, tuple(warnings), None if scene.fat_share is None else restore(share, mask))


def _measure_one(scene: Scene, label: int, share: NDArray[np.float32]) -> MuscleFinding:
    muscle, side = LABELS[label]
    inside = scene.labels == label
    area = scene.area_mm2(label)
    fat = _fat(scene, inside, muscle)
    lean_known = muscle is not Muscle.PSOAS or scene.fat is not None
    lean = area - np.where(inside, share, 0).sum(axis=(1, 2), dtype=np.float64) * scene.pixel_mm2 if lean_known else None
    slices = _Slices(area, lean, fat.by_slice, _asymmetries(area, scene.area_mm2(MIRRORED[label])), _ratios(area, scene.body_mm2), label)
    agreement = scene.options.agreement
    expected = agreement.expected_dice(label) if agreement else None
    return MuscleFinding(
        muscle,
        side,
        volume_ml=_volume_ml(area, scene),
        csa_max_mm2=float(area.max()),
        fat_fraction_mean=fat.mean,
        fat_fraction_ratio=fat.ratio,
        fat_fraction_corrected=fat.corrected,
        fat_infiltration=fat.infiltration,
        method=fat.method,
        per_level=_at_levels(scene, slices),
        per_slice=tuple(_at_slice(scene, slices, int(k)) for k in np.flatnonzero(area)),
        lean_volume_ml=None if lean is None else _volume_ml(lean, scene),
        csa_lean_max_mm2=None if lean is None else float(lean.max()),
        mask_agreement=agreement.of(label) if agreement else None,
        mask_expected_dice=expected,
        mask_doubtful=None if expected is None else expected < DOUBTFUL,
    )


@dataclass(frozen=True)
class _Fat:
    """Fat of one muscle."""

    mean: float | None
    ratio: float | None
    corrected: float | None
    infiltration: float | None
    method: str
    by_slice: tuple[float | None, ...]


def _fat(scene: Scene, inside: NDArray[np.bool_], muscle: Muscle) -> _Fat:
    deep = core(inside, scene.grid.spacing_mm, scene.options.inner_mm)
    where = f", more than {scene.options.inner_mm:g} mm within the outline" if scene.options.inner_mm > 0 else ""
    fraction = scene.fat_fraction
    if scene.fat is None or fraction is None:
        unknown = muscle is Muscle.PSOAS or scene.infiltration is None or not deep.any()
        infiltration = None if unknown else max(0.0, float(scene.infiltration[deep].mean(dtype=np.float64)))  # type: ignore[index]
        return _Fat(None, None, None, infiltration, METHODS[scene.options.method] + where, (None,) * len(inside))
    total = float((scene.fat[deep] + scene.image[deep]).sum(dtype=np.float64))
    return _Fat(
        mean=_mean(fraction[deep]),
        ratio=float(scene.fat[deep].sum(dtype=np.float64)) / total if total > 0 else None,
        corrected=mean_without_partial_volume(fraction, inside, scene.grid.spacing_mm),
        infiltration=None,
        method="Dixon fat / (fat + water)" + where,
        by_slice=tuple(_mean(fraction[k][deep[k]]) for k in range(len(inside))),
    )


def _volume_ml(area_mm2: NDArray[np.float64], scene: Scene) -> float | None:
    return None if scene.thickness_mm is None else float(area_mm2 @ scene.thickness_mm) / 1000


def _asymmetries(own: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(own − other side) / mean of both, not a number where one of them is missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((own > 0) & (other > 0), 2 * (own - other) / (own + other), np.nan)


def _ratios(area: NDArray[np.float64], body: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(body > 0, area / body, np.nan)


def _at_slice(scene: Scene, slices: _Slices, k: int) -> MuscleSlice:
    lean = None if slices.lean_mm2 is None else float(slices.lean_mm2[k])
    agreement = scene.options.agreement
    return MuscleSlice(
        float(scene.heights_mm[k]),
        float(slices.area_mm2[k]),
        slices.fat_fraction[k],
        lean,
        _known(slices.asymmetry[k]),
        _known(slices.body_ratio[k]),
        agreement.of(slices.label, k) if agreement else None,
        agreement.expected_dice(slices.label, k) if agreement else None,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _at_levels(scene: Scene, slices: _Slices) -> tuple[MuscleLevel, ...]:
    found = []
    for level in scene.options.levels:
        k = slice_at(scene.grid, level)
        if k is not None and slices.area_mm2[k] > 0:
            here, disc = _at_slice(scene, slices, k), scene.disc_areas_mm2.get(level.level)
            found.append(
                MuscleLevel(
                    level.level,
                    here.csa_mm2,
                    here.fat_fraction_mean,
                    here.csa_lean_mm2,
                    here.csa_mm2 / disc if disc else None,
                    here.csa_asymmetry,
                    here.muscle_body_ratio,
                    here.mask_agreement,
                    here.mask_expected_dice,
                )
            )
    return tuple(found)


def _wrong_side(scene: Scene) -> list[str]:
    """Right muscles have smaller x than left ones in the patient's space."""
    columns: dict[Side, list[float]] = {side: [] for side in Side}
    for label, where in voxels_by_label(scene.labels).items():
        columns[LABELS[label][1]].append(float(scene.grid.points_mm(where.mean(axis=0))[0]))
    if columns[Side.LEFT] and columns[Side.RIGHT] and np.mean(columns[Side.LEFT]) < np.mean(columns[Side.RIGHT]):
        return ["the mask's right muscles lie on the patient's left: its labels or its orientation are mirrored; sides are as the mask has them"]
    return []


def with_asymmetry(findings: Sequence[MuscleFinding]) -> tuple[MuscleFinding, ...]:
    """Each finding with (own − other side) / mean of both volumes."""
    volumes = {(f.muscle, f.side): f.volume_ml for f in findings}
    done = []
    for finding in findings:
        other = volumes.get((finding.muscle, Side.LEFT if finding.side is Side.RIGHT else Side.RIGHT))
        own = finding.volume_ml
        known = own is not None and other is not None and own + other > 0
        done.append(replace(finding, volume_asymmetry=2 * (own - other) / (own + other) if known else None))  # type: ignore[operator]
    return tuple(done)


def _mean(values: NDArray[np.float32]) -> float | None:
    values = values[np.isfinite(values)]
    return float(values.mean(dtype=np.float64)) if values.size else None
