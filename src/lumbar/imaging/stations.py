"""Stations of one long examination joined into one volume."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume

_PARALLEL = 0.9999
_SAME_SLICES_MM = 0.5
_LARGEST_GAP_MM = 5.0
_LONGER = 1.15  # a union that is not longer than this share of its longest part is a repeat, not stations


def joined(volumes: Sequence[Volume]) -> Volume | None:
    """One volume of the stations `volumes`, which share slices and pixels and follow each other along their rows; None where they do not.

    Where two stations show the same place, the one whose middle is nearer counts.
    """
    first = volumes[0].grid
    down, step = first.row_step_mm / np.linalg.norm(first.row_step_mm), first.spacing_mm[1]
    if len(volumes) < 2 or not all(_fits(first, volume.grid) for volume in volumes[1:]):
        return None
    starts = np.array([(volume.grid.origins_mm[0] - first.origins_mm[0]) @ down for volume in volumes])
    ends = starts + np.array([(volume.grid.rows - 1) * step for volume in volumes])
    order = np.argsort(starts)
    if (starts[order][1:] - np.maximum.accumulate(ends[order])[:-1] > _LARGEST_GAP_MM).any():
        return None
    rows = round((ends.max() - starts.min()) / step) + 1
    if rows < _LONGER * max(volume.grid.rows for volume in volumes):
        return None
    grid = Grid(first.origins_mm + starts.min() * down, first.row_step_mm, first.column_step_mm, rows, first.columns)
    points = grid.points_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    along = starts.min() + step * np.arange(rows)
    inside = np.array([(along >= a - step / 2) & (along <= b + step / 2) for a, b in zip(starts, ends, strict=True)])
    away = np.where(inside, np.abs(along - ((starts + ends) / 2)[:, None]), np.inf)
    nearest = away.argmin(axis=0)
    array = np.zeros(grid.shape, np.float32)
    for number, volume in enumerate(volumes):
        mine = nearest == number
        index = np.moveaxis(volume.grid.indices(points[:, mine]), -1, 0)
        # Outermost voxels count up to their edge: rounding may put their middles outside by a hair.
        array[:, mine] = ndimage.map_coordinates(np.asarray(volume.array, np.float32), index, order=1, mode="nearest")
    return Volume(array, grid)


def _fits(a: Grid, b: Grid) -> bool:
    if a.shape[0] != b.shape[0] or not np.allclose(a.spacing_mm, b.spacing_mm, rtol=0.01):
        return False
    units = [(g.row_step_mm / g.spacing_mm[1], g.column_step_mm / g.spacing_mm[2]) for g in (a, b)]
    if min(float(u @ v) for u, v in zip(*units, strict=True)) < _PARALLEL:
        return False
    apart = np.abs((b.origins_mm - a.origins_mm) @ a.normal).max()
    aside = abs(float((b.origins_mm[0] - a.origins_mm[0]) @ units[0][1]))
    return bool(apart <= _SAME_SLICES_MM and aside <= 0.5 * a.columns * a.spacing_mm[2])
