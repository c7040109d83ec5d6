"""Distances between the surfaces of two masks: surface Dice, HD95 and ASSD, all on one definition of a surface.

The surface is that of Nikolov et al. (2018, arXiv:1809.04430; 2021, J Med Internet Res 23(7):e26151): the mask is seen through all cubes of 2×2×2
neighbouring voxel centres; a cube that is neither all inside nor all outside holds a piece of surface, placed at the middle of the cube and weighted
by its marching-cubes area (vertices at the middles of the cube's edges; on an ambiguous face the inside corners are kept apart; a loop of more than
three vertices is fanned from its centroid). Every measure is weighted by area, so it hardly changes when a slice is cut into more voxels.

A mask of one slice is measured in its plane: the slice is extruded along its normal, and only the side walls count.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

_CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])  # corner number = 4i + 2j + k
_FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))  # corners of each face in turn


@dataclass(frozen=True)
class SurfaceScore:
    """How far two surfaces lie apart; distances are None where a surface is missing."""

    surface_dice_1mm: float | None  # share of both surfaces within 1 mm of the other; None if both masks are empty, 0 if one is
    surface_dice_2mm: float | None
    hd95_mm: float | None  # the larger of the two directed 95th percentiles of distance
    assd_mm: float | None  # mean distance over both surfaces together


@dataclass(frozen=True, eq=False)
class _Directed:
    distance_mm: NDArray[np.float64]  # of every piece of one surface from the nearest piece of the other, rising
    area_mm2: NDArray[np.float64]


def compare_surfaces(reference: Mask, prediction: Mask, spacing_mm: Spacing) -> SurfaceScore:
    """Compare two masks (slices, rows, columns) on one grid of `spacing_mm` (between slices, rows, columns)."""
    found = reference | prediction
    if not found.any():
        return SurfaceScore(None, None, None, None)
    if not (reference.any() and prediction.any()):
        return SurfaceScore(0.0, 0.0, None, None)
    box = ndimage.find_objects(found.astype(np.uint8))[0]
    spacing = (spacing_mm[0] or 1.0, spacing_mm[1], spacing_mm[2])
    codes = [_codes(mask[box]) for mask in (reference, prediction)]
    area = surface_areas_mm2(spacing)
    there, back = _directed(codes[0], codes[1], spacing, area), _directed(codes[1], codes[0], spacing, area)
    total = there.area_mm2.sum() + back.area_mm2.sum()
    dice = [sum(float(d.area_mm2[d.distance_mm <= tolerance].sum()) for d in (there, back)) / total for tolerance in (1.0, 2.0)]
    mean = sum(float((d.distance_mm * d.area_mm2).sum()) for d in (there, back)) / total
    return SurfaceScore(float(dice[0]), float(dice[1]), max(_percentile(there), _percentile(back)), float(mean))


def _codes(mask: Mask) -> NDArray[np.uint8]:
    """For each cube of 2×2×2 voxels, which of its corners are inside, as a number of eight bits."""
    flat = mask.shape[0] == 1
    padded = np.pad(np.repeat(mask, 2, axis=0), ((0, 0), (1, 1), (1, 1))) if flat else np.pad(mask, 1)
    n = np.array(padded.shape) - 1
    code = np.zeros(n, np.uint8)
    for bit, (i, j, k) in enumerate(_CORNERS):
        code |= padded[i : i + n[0], j : j + n[1], k : k + n[2]].astype(np.uint8) << np.uint8(bit)
    return code


def _directed(source: NDArray[np.uint8], target: NDArray[np.uint8], spacing_mm: Spacing, area_mm2: NDArray[np.float64]) -> _Directed:
    away = ndimage.distance_transform_edt((target == 0) | (target == 255), sampling=spacing_mm)
    border = (source != 0) & (source != 255)
    distance = away[border]
    order = np.argsort(distance, kind="stable")
    return _Directed(distance[order], area_mm2[source[border]][order])


def _percentile(directed: _Directed, share: float = 0.95) -> float:
    along = np.cumsum(directed.area_mm2) / directed.area_mm2.sum()
    return float(directed.distance_mm[min(int(np.searchsorted(along, share)), along.size - 1)])


@cache
def surface_areas_mm2(spacing_mm: Spacing) -> NDArray[np.float64]:
    """(256,) marching-cubes area of a cube by the bits of its inside corners (corner (i, j, k) is bit 4i + 2j + k)."""
    area = np.zeros(256)
    for code in range(1, 255):
        for loop in _loops(code):
            points = _CORNERS[np.array(loop)].mean(axis=1) * spacing_mm  # (vertices, 3)
            if len(points) == 3:
                area[code] += np.linalg.norm(np.cross(points[1] - points[0], points[2] - points[0])) / 2
            else:
                spokes = points - points.mean(axis=0)
                area[code] += np.linalg.norm(np.cross(spokes, np.roll(spokes, -1, axis=0)), axis=1).sum() / 2
    area.flags.writeable = False
    return area


def _loops(code: int) -> list[list[tuple[int, int]]]:
    """The closed polygons that part a cube's inside corners from its outside ones; a vertex is a cube edge (pair of corners)."""
    next_to: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for face in _FACES:
        for a, b in _segments(face, code):
            next_to.setdefault(a, []).append(b)
            next_to.setdefault(b, []).append(a)
    loops = []
    while next_to:
        start = min(next_to)
        loop, here = [start], next_to[start][0]
        before = start
        while here != start:
            loop.append(here)
            first, second = next_to[here]
            before, here = here, second if first == before else first
        for vertex in loop:
            del next_to[vertex]
        loops.append(loop)
    return loops


def _segments(face: tuple[int, int, int, int], code: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    inside = [bool(code >> corner & 1) for corner in face]
    edges = [(min(face[n], face[(n + 1) % 4]), max(face[n], face[(n + 1) % 4])) for n in range(4)]
    crossed = [n for n in range(4) if inside[n] != inside[(n + 1) % 4]]
    if len(crossed) == 2:
        return [(edges[crossed[0]], edges[crossed[1]])]
    if len(crossed) == 4:  # two inside corners across from each other: each is cut off on its own
        return [(edges[n - 1], edges[n]) for n in range(4) if inside[n]]
    return []
