"""Metal beside the spine: signal voids with bright rims, where the field shifts signal from one place to another.

Tissue that is brighter than fluid and fat does not occur in bodies, discs and what surrounds them; beside a void it is the pile-up of a susceptibility
artefact (Hargreaves et al., AJR 2011;197:547). Voids alone are no sign: gas, vessels and thick bone have no signal either.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.quality import Check
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.spine_map import SpineMap

CHECK = "metal_artefacts"
_FRONT_MM, _BACK_MM, _ASIDE_MM = 24.0, 50.0, 26.0  # around the middle of the column: as far as screws, rods and cages reach
_CANAL_MARGIN_MM = 3.0  # fluid is bright, and its flow leaves voids
_VOID = 0.2  # of the median of the bodies
_BRIGHT = 1.15  # of the brightest tissue: the 90th percentile of the canal or the 95th of the region, whichever is higher
_RIM_MM = 3.75  # from the void
_LEAST_MM2 = 13.0  # of rim near a level, over all slices: of phantoms without metal the noisiest has 11.8, of nine with screws six have 22 or more
_TRACE_MM2 = 1.0  # of rim in at least two slices
_NEAR_MM = 30.0  # from the middle of a level to rims that concern it


@dataclass(frozen=True, eq=False)
class _Region:
    """The part of the volume around the column."""

    box: tuple[slice, slice, slice]
    mask: NDArray[np.bool_]  # of the box


def check_metal(spine: SpineMap, series_uid: str) -> tuple[Check, ...]:
    """A doubtful check for each level beside metal, or for the whole spine where no named level is near; one that passed where there is no metal."""
    rims = _rims(spine)
    per_slice = rims.sum(axis=(1, 2)) * PIXEL_MM**2
    points = spine.segmentation.grid.points_mm(np.argwhere(rims).astype(float))
    near = [level.level for level in spine.finding.levels if _amount_mm2(points, level.center_mm) >= _LEAST_MM2]
    if np.count_nonzero(per_slice >= _TRACE_MM2) < 2 or (not near and per_slice.sum() < 2 * _LEAST_MM2):
        return (Check(CHECK, "passed", "no signal void with a bright rim, as metal causes, lies near the spine"),)
    levels: list[Level | None] = [*near] or [None]
    return tuple(
        Check(CHECK, "doubtful", f"{level.value if level else 'the spine'}: signal voids with bright rims, as metal causes; positions, measurements and "
              "grades may be wrong there", series_uid, level)
        for level in levels
    )  # fmt: skip


def _amount_mm2(points: NDArray[np.float64], center: tuple[float, float, float]) -> float:
    return float(np.count_nonzero(np.linalg.norm(points - center, axis=1) <= _NEAR_MM) * PIXEL_MM**2)


def _rims(spine: SpineMap) -> NDArray[np.bool_]:
    """(slices, rows, columns) pixels of the network's grid brighter than any tissue and beside a void."""
    region = _region(spine)
    labels = spine.segmentation.labels[region.box]
    image = np.asarray(spine.segmentation.image.array[region.box], dtype=np.float32)
    canal = labels == SpineClass.CANAL
    bodies = spine.instances[region.box] >= FIRST_BODY
    rims = np.zeros(spine.segmentation.labels.shape, dtype=bool)
    if not bodies.any():
        return rims
    brightest = float(np.percentile(image[region.mask], 95))
    if (inside := canal & region.mask).any():
        brightest = max(brightest, float(np.percentile(image[inside], 90)))
    in_plane = np.ones((1, 3, 3))
    void = region.mask & (image < _VOID * np.median(image[bodies]))
    beside = ndimage.binary_dilation(void, in_plane, iterations=round(_RIM_MM / PIXEL_MM))
    fluid = ndimage.binary_dilation(canal, in_plane, iterations=round(_CANAL_MARGIN_MM / PIXEL_MM))
    rims[region.box] = region.mask & ~fluid & beside & (image > _BRIGHT * brightest)
    return rims


def _region(spine: SpineMap) -> _Region:
    grid, line = spine.segmentation.grid, spine.column.line
    rows, columns = np.arange(grid.rows), np.arange(grid.columns)
    behind_mm = (columns - np.interp(rows, line[:, 0], line[:, 1])[:, None]) * PIXEL_MM
    depth = (behind_mm > -_FRONT_MM) & (behind_mm < _BACK_MM) & ((rows >= line[0, 0]) & (rows <= line[-1, 0]))[:, None]
    slices = np.arange(len(spine.segmentation.labels))
    aside = np.abs(slices[:, None] - spine.midplane.slice_of_row) * grid.spacing_mm[0] <= _ASIDE_MM
    mask = aside[:, :, None] & depth
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return _Region(box, mask[box])
