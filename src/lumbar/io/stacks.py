"""From loose slices to stacks: parallel slices of one size in order along their normal, each position once."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid, Points
from lumbar.domain.study import Stack
from lumbar.domain.volume import Volume
from lumbar.io.pixels import scaled
from lumbar.io.slices import SliceHeader

SliceImage = tuple[SliceHeader, NDArray[Any]]  # a slice and its stored pixels

# Slices of one prescription share their directions to the last digit, while blocks that differ by 0.4 degrees are separated on purpose:
# over half a field of view of 160 mm that is already 1 mm.
_PARALLEL_DEGREES = 0.2
# Slices that continue others at the spacing of the series belong to one stack nevertheless: rounding or motion correction has rotated them.
_TURNED_DEGREES = 1.0  # between neighbouring slices
_GOES_ON = (0.4, 1.6)  # step to the neighbour, in slice spacings
_MOST_COMPARED = 2000  # slices with pairwise distances
_JUMP_MM = 25.0  # shift within the plane beyond which a slice belongs to another field of view
_SAME_PLACE_MM = 0.05
_FEWEST_SLICES_OF_BLOCK = 3
_OVERLAPPING = 0.9  # step in slice spacings below which two parallel blocks meet
_FAR_MM = 40.0  # no protocol leaves so wide a gap in a block: what lies beyond it is a block of its own, or a slip of a single header


def parallel_groups(slices: Iterable[SliceHeader]) -> list[list[SliceHeader]]:
    """Slices of equal pixels and directions together, the groups in order of their first instance.

    Groups that differ by little and lie like one stack of slices are joined: neighbours are compared with each other, not all with the first.
    """
    groups: list[list[SliceHeader]] = []
    for one in sorted(slices, key=_acquired):
        for group in groups:
            if _alike(group[0], one, _PARALLEL_DEGREES):
                group.append(one)
                break
        else:
            groups.append([one])
    return _joined(groups) if len(groups) > 1 and sum(map(len, groups)) <= _MOST_COMPARED else groups


def turned_degrees(slices: Sequence[SliceHeader]) -> float:
    """The largest angle between the directions of any slice and their mean, in the plane of the slices or out of it."""
    means = mean_directions(slices)
    own = [np.array([one.along_row for one in slices]), np.array([one.down_column for one in slices]), np.array([one.normal for one in slices])]
    cosines = np.array([directions @ mean for directions, mean in zip(own, means, strict=True)])
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1)).max()))


def mean_directions(slices: Sequence[SliceHeader]) -> tuple[Points, Points, Points]:
    """Unit vectors along rows, down columns and along the normal: those of the slices, or their mean where they differ."""
    first = slices[0]
    if all(np.array_equal(one.along_row, first.along_row) and np.array_equal(one.down_column, first.down_column) for one in slices):
        return first.along_row, first.down_column, first.normal
    along = np.mean([one.along_row for one in slices], axis=0)
    along = along / np.linalg.norm(along)
    down = np.mean([one.down_column for one in slices], axis=0)
    down = down - (down @ along) * along
    down = down / np.linalg.norm(down)
    return np.asarray(along), np.asarray(down), np.asarray(np.cross(along, down))


def _joined(groups: list[list[SliceHeader]]) -> list[list[SliceHeader]]:
    """Groups joined where two slices of theirs are neighbours in one stack."""
    everything = [one for group in groups for one in group]
    centers = np.array([one.center_mm for one in everything])
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1)
    elsewhere = np.where(apart > _SAME_PLACE_MM, apart, np.inf)
    if not np.isfinite(elsewhere).any():
        return groups
    base = float(np.median(elsewhere.min(axis=1)))
    nearest = elsewhere.argmin(axis=1)
    top = list(range(len(groups)))  # each group's representative

    def find(number: int) -> int:
        while top[number] != number:
            number = top[number]
        return number

    for index, one in enumerate(everything):
        for other in {int(nearest[index]), *np.flatnonzero(elsewhere[index] <= _GOES_ON[1] * base).tolist()}:
            a, b = find(int(numbers[index])), find(int(numbers[other]))
            if a != b and _goes_on(one, everything[other], base):
                top[max(a, b)] = min(a, b)
    joined: dict[int, list[SliceHeader]] = {}
    for number, group in enumerate(groups):
        joined.setdefault(find(number), []).extend(group)
    return list(joined.values())


def _goes_on(a: SliceHeader, b: SliceHeader, base: float) -> bool:
    """Whether two slices are neighbours of one stack."""
    if not _alike(a, b, _TURNED_DEGREES):
        return False
    step = b.center_mm - a.center_mm
    normal = a.normal + b.normal
    normal = normal / np.linalg.norm(normal)
    along = abs(float(step @ normal))
    return _GOES_ON[0] * base <= along <= _GOES_ON[1] * base and float(np.linalg.norm(step - (step @ normal) * normal)) <= max(2.0, 0.5 * base)


def acquisitions(slices: Sequence[SliceHeader], key: Mapping[int, Hashable]) -> list[list[SliceHeader]]:
    """Slices of one series parted by `key[id(slice)]`, but only where the parts show the same places, as echoes and Dixon images do.

    A tag that differs on single slices without repeating their place is a slip of the pen and parts nothing.
    """
    parts: dict[Hashable, list[SliceHeader]] = {}
    for one in sorted(slices, key=_acquired):
        parts.setdefault(key[id(one)], []).append(one)
    found: list[list[SliceHeader]] = []
    for part in sorted(parts.values(), key=len, reverse=True):
        for other in found:
            places = {_place(one) for one in other}
            if sum(_place(one) in places for one in part) < len(part) / 2:
                other.extend(part)
                break
        else:
            found.append(list(part))
    return found


def without_copies(images: Sequence[SliceImage]) -> tuple[list[SliceImage], int]:
    """Images without those that repeat an instance or its pixels at the same place, and the number left out."""
    kept: list[SliceImage] = []
    at_place: dict[Hashable, list[SliceImage]] = {}
    for one, pixels in images:
        twins = at_place.setdefault(_place(one), [])
        if any((one.sop_uid and (one.sop_uid, one.frame) == (twin.sop_uid, twin.frame)) or np.array_equal(pixels, other) for twin, other in twins):
            continue
        twins.append((one, pixels))
        kept.append((one, pixels))
    return kept, len(images) - len(kept)


def runs(images: Sequence[SliceImage]) -> list[list[SliceImage]]:
    """Images in order along their normal, in as many runs as there are fields of view and images at one place.

    Of several images at one place, the first of each go into the first run, the second into the second.
    """
    normal = mean_directions([one for one, _ in images])[2]
    found: list[list[SliceImage]] = []
    for image in sorted(images, key=lambda p: (round(float(p[0].center_mm @ normal), 1), _acquired(p[0]))):
        center = image[0].center_mm
        best: tuple[float, list[SliceImage]] | None = None
        for run in found:
            step = center - run[-1][0].center_mm
            along = float(step @ normal)
            aside = float(np.linalg.norm(step - along * normal))
            aside = 0.0 if aside < _JUMP_MM / 5 else aside  # a sheared stack
            if along > _SAME_PLACE_MM and aside <= _JUMP_MM and (best is None or aside < best[0]):
                best = aside, run
        if best:
            best[1].append(image)
        else:
            found.append([image])
    return [sorted(run, key=lambda p: float(p[0].center_mm @ normal)) for run in found]


def layers(found: Sequence[list[SliceImage]]) -> list[list[list[SliceImage]]]:
    """Runs in layers: those of one layer lie side by side, and each further layer shows the places of the one before once more."""
    stacked: list[list[list[SliceImage]]] = []
    for run in found:
        for layer in stacked:
            if not any(_same_places(run, other) for other in layer):
                layer.append(run)
                break
        else:
            stacked.append([run])
    return stacked


def _same_places(run: Sequence[SliceImage], other: Sequence[SliceImage]) -> bool:
    centers = np.array([one.center_mm for one, _ in other])
    shared = sum(bool((np.abs(centers - one.center_mm).max(axis=1) < 1.0).any()) for one, _ in run)
    return shared > len(run) / 2


def blocks(run: list[SliceImage]) -> tuple[list[list[SliceImage]], list[SliceImage]]:
    """A run cut into parallel blocks as they are put through discs, and the one or two slices that lie far from all others.

    A block ends where a gap is not a whole number of slices, or leaves the line of the slices before; gaps of missing slices do not end it, and
    blocks of fewer than three slices are not cut off unless they lie far away.
    """
    if len(run) < _FEWEST_SLICES_OF_BLOCK:
        return [run], []
    steps = np.diff([one.center_mm for one, _ in run], axis=0)
    gaps = steps @ mean_directions([one for one, _ in run])[2]
    far = gaps > max(_FAR_MM, 5 * float(np.median(gaps)))
    parts = _cut(run, far)
    near = [part for part in parts if len(part) >= _FEWEST_SLICES_OF_BLOCK]
    if not near:
        return [run], []
    strays = [image for part in parts if len(part) < _FEWEST_SLICES_OF_BLOCK for image in part]
    return [block for part in near for block in _parallel_blocks(part)], strays


def _parallel_blocks(run: list[SliceImage]) -> list[list[SliceImage]]:
    if len(run) < 2 * _FEWEST_SLICES_OF_BLOCK:
        return [run]
    steps = np.diff([one.center_mm for one, _ in run], axis=0)
    gaps = steps @ mean_directions([one for one, _ in run])[2]
    base = float(np.percentile(gaps, 50, method="lower"))  # a gap that occurs: of two different halves the mean would be like neither
    typical = steps[np.abs(gaps - base) < 0.1 * base].mean(axis=0)
    shares = gaps / base
    off_line = np.linalg.norm(steps - shares[:, None] * typical, axis=1) > max(2.0, 0.5 * base)
    overlapping = shares < _OVERLAPPING  # the next block begins before this one has ended
    parts = _cut(run, ((shares > 1.3) & ((np.abs(shares - np.round(shares)) > 0.1) | off_line)) | overlapping)
    return parts if min(map(len, parts)) >= _FEWEST_SLICES_OF_BLOCK else [run]


def _cut(run: list[SliceImage], after: NDArray[np.bool_]) -> list[list[SliceImage]]:
    """The run cut after each slice that `after` names."""
    cuts = [0, *(np.flatnonzero(after) + 1).tolist(), len(run)]
    return [run[start:stop] for start, stop in pairwise(cuts)]


def stack(run: Sequence[SliceImage]) -> Stack:
    """The stack of images that are in order along their normal, each at a place of its own."""
    first = run[0][0]
    along, down, _ = mean_directions([one for one, _ in run])
    row_step, column_step = down * first.spacing_mm[0], along * first.spacing_mm[1]
    if along is first.along_row:
        origins = np.array([one.position_mm for one, _ in run])
    else:  # turned against each other: their middles stay where they are
        origins = np.array([one.center_mm for one, _ in run]) - (first.rows - 1) / 2 * row_step - (first.columns - 1) / 2 * column_step
    grid = Grid(origins, row_step, column_step, first.rows, first.columns)
    array = np.empty(grid.shape, np.float32)
    for index, (one, pixels) in enumerate(run):
        array[index] = scaled(pixels, one)
    numbers = [one.instance_number for one, _ in run]
    known = tuple(number for number in numbers if number is not None)
    uids = tuple(one.sop_uid for one, _ in run)
    return Stack(
        volume=Volume(array, grid, stored_step=first.slope if len({one.slope for one, _ in run}) == 1 else None),
        instance_numbers=known if len(known) == len(run) else tuple(range(1, len(run) + 1)),
        sop_uids=uids if all(uids) else (),
    )


def gaps_warning(made: Stack) -> str | None:
    """A sentence on missing slices or uneven spacing, or None."""
    grid = made.volume.grid
    if len(grid.origins_mm) == 1:
        return "it has a single slice, so nothing is known between slices"
    if grid.even:
        return None
    gaps = np.abs(np.diff(grid.origins_mm @ grid.normal))
    base = grid.spacing_mm[0]
    missing = np.round(gaps / base) - 1
    if (np.abs(gaps / base - np.round(gaps / base)) < 0.1).all() and missing.sum() > 0:
        count = int(missing.sum())
        return f"{count} {'slice is' if count == 1 else 'slices are'} missing between its first and its last (base spacing {base:.2f} mm)"
    if np.ptp(gaps) < 0.02 * base:
        return "its slices are shifted against each other"
    return f"its slices are unevenly spaced, {gaps.min():.2f} to {gaps.max():.2f} mm apart"


def _alike(a: SliceHeader, b: SliceHeader, degrees: float) -> bool:
    if (a.rows, a.columns) != (b.rows, b.columns) or not np.allclose(a.spacing_mm, b.spacing_mm, rtol=1e-3):
        return False
    cosine = min(float(a.along_row @ b.along_row), float(a.down_column @ b.down_column))
    return bool(cosine >= np.cos(np.radians(degrees)))


def _place(one: SliceHeader) -> Hashable:
    return tuple(np.round(np.concatenate([one.position_mm, 10 * one.normal]), 1).tolist()), one.rows, one.columns


def _acquired(one: SliceHeader) -> tuple[int, str, str, int]:
    return (one.instance_number or 0, one.sop_uid, one.name, one.frame or 0)
