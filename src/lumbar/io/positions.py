"""Positions that cannot be right: all at one place, in another unit, or in another order than the images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.io.quantiles import quantiles
from lumbar.io.stacks import SliceImage, mean_directions

_FEWEST = 3  # slices needed to check their spacing
_SAME_MM = 0.05
_OF_THICKNESS = (0.2, 12.0)  # spacing in slice thicknesses: interpolated slices overlap by half, localizers leave wide gaps
_SPACING_MM = (0.2, 60.0)  # where the thickness is unknown
_FEWEST_IN_ORDER = 8  # slices needed to check their order
_IN_ORDER = 0.75  # share of slices that resemble a neighbour most: 0.94 and more in every series measured, below 0.5 in long ones that were shuffled
_COHERENT = 0.45  # correlation with the most similar slice below which images do not determine their order
_CLEARLY = 0.05  # by which the best correlation exceeds that with a neighbour
# What another order may gain in the sum of correlations between neighbours, and in slices of drop of that correlation. In order: at most 0.2 and 0.6
# in 77 series; sorted by name as text (1, 10, 11, …): 1.3 and 3.0 and more.
_GAIN = 0.35
_GAIN_IN_SLICES = 0.75
_WHOLE_GAP = 1.6  # of the median gap: beyond, neighbours need not resemble each other,
_NEAR_MM = 7.0  # nor at larger gaps than these
_SYMMETRIC = 0.75  # share of slices whose most similar slice, neighbours left out, is the mirrored one
_FEWEST_MIRRORED = 6  # slices needed for this test
_EQUAL = 0.99  # correlation of identical drawings; noise keeps that of scanned slices below it
_SMOOTHER = 0.4  # roughness of brightness over that of the other order, below which brightness supports the given order
_STRAY = 0.1  # by which the slices on both sides of a stray one correlate better with each other than with it: below 0 in all sound series measured
_RESEMBLE = 0.6  # correlation of the slices on both sides of it, 0.72 and more in sound series; unrelated images do not reach it
_FEWEST_EXCHANGED = 6  # slices needed to notice that two of them are exchanged
# What two adjacent slices gain in the sum of correlations with their neighbours by an exchange: at most −0.014 in 59 real series and 0.012 in 138 series of
# phantoms; after an exchange 0.03 and more in 95 % of both (recipes/quality/slice_order.py).
_EXCHANGED = 0.03
_SMALL = 48  # pixels along the edge of the compared images


def misplaced(images: Sequence[SliceImage]) -> str:
    """Why the positions of parallel slices cannot be right, or ""."""
    slices = [one for one, _ in images]
    if len(slices) < _FEWEST:
        return ""
    normal = mean_directions(slices)[2]
    along = np.array([one.center_mm for one in slices]) @ normal
    spread = np.ptp([one.center_mm for one in slices], axis=0).max()
    remedy = "send the series again from the archive, or convert it from its source"
    if spread < _SAME_MM and len({one.instance_number for one in slices}) == len(slices):
        return f"all {len(slices)} slices have the same image position (0020,0032), so they cannot be put in order; {remedy}"
    gaps = np.diff(np.sort(along))
    gaps = gaps[gaps > 1e-6]
    gap = float(np.median(gaps)) if gaps.size else 0.0
    thickness = next((one.thickness_mm for one in slices if one.thickness_mm is not None), None)
    low, high = (_OF_THICKNESS[0] * thickness, _OF_THICKNESS[1] * thickness) if thickness else _SPACING_MM
    if gaps.size and not low <= gap <= high and not (gap < low and np.ptp(along) > 10 * low):
        stated = f"slices of {thickness:g} mm" if thickness else "slices"
        return f"its image positions (0020,0032) put {stated} {gap:.3g} mm apart: they are damaged or in another unit than millimetres; {remedy}"
    if order_is_wrong([pixels for _, pixels in images], along):
        return f"its image positions (0020,0032) put the images in an order in which neighbours do not resemble each other, as they do in another; {remedy}"
    return ""


def neighbour_warnings(images: Sequence[SliceImage]) -> list[str]:
    """Warnings on single slices that do not fit between their neighbours: of another person or place, or exchanged with the next slice."""
    slices = [one for one, _ in images]
    normal = mean_directions(slices)[2]
    along = np.array([one.center_mm for one in slices]) @ normal
    order = np.argsort(along, kind="stable")
    if len(images) < _FEWEST or np.diff(along[order]).min() < _SAME_MM:
        return []
    alike = similarities([images[k][1] for k in order])
    names = [slices[k].name for k in order]
    return _strays(alike, names) or _exchanged(alike, names)


def _strays(alike: NDArray[np.float64], names: Sequence[str]) -> list[str]:
    """A warning on slices that resemble neither neighbour while these resemble each other, as an image of another person or place does."""
    across = np.diagonal(alike, 2)
    own = np.maximum(np.diagonal(alike, 1)[:-1], np.diagonal(alike, 1)[1:])
    found = [names[k + 1] for k in np.flatnonzero((across > _RESEMBLE) & (across - own > _STRAY)).tolist()]
    if not found:
        return []
    what = "1 slice resembles" if len(found) == 1 else f"{len(found)} slices resemble"
    return [f"{what} neither neighbour, although these resemble each other (first: {found[0]}): it may show another person or place"]


def _exchanged(alike: NDArray[np.float64], names: Sequence[str]) -> list[str]:
    """A warning on two adjacent slices that fit their surroundings better in exchanged places."""
    k = exchanged_pair(alike)
    if k is None:
        return []
    return [f"two adjacent slices seem to have each other's positions ({names[k]} and {names[k + 1]}): each resembles the other's neighbour more than its own"]


def exchanged_pair(alike: NDArray[np.float64]) -> int | None:
    """The first of two adjacent slices that seem exchanged, from the correlations (slices, slices) in the order of their places; None where there are none."""
    if len(alike) < _FEWEST_EXCHANGED:
        return None
    beside, across = np.diagonal(alike, 1), np.diagonal(alike, 2)
    gain = across[:-1] + across[1:] - beside[:-2] - beside[2:]  # of the slices 1 and 2, 2 and 3, …
    gain = np.where(np.minimum(across[:-1], across[1:]) > _RESEMBLE, gain, -1.0)
    k = int(np.argmax(gain))
    return k + 1 if gain[k] > _EXCHANGED else None


def similarities(images: Sequence[NDArray[np.generic]]) -> NDArray[np.float64]:
    """(slices, slices) correlations of images (rows, columns) that were made small."""
    return _correlations(np.stack([_small(image) for image in images]))


def order_is_wrong(images: Sequence[NDArray[np.generic]], along_mm: NDArray[np.float64]) -> bool:
    """Whether images fit another order much better than that of their places; only where each place has one image.

    Slices resemble their neighbours. In a wrong order most slices resemble others more (shuffled), or a few neighbours do not resemble each other at all
    while the ends of the pieces fit (sorted by name, halves exchanged). Left and right sagittal slices and neighbouring levels resemble each other, too:
    the mirrored place is left out where an order is symmetric, and brightness, which is no part of the comparison, must not be smoother in it.

    Args:
        images: (rows, columns) each, of one size.
        along_mm: (images,) their places along the normal.
    """
    order = np.argsort(along_mm, kind="stable")
    if len(images) < _FEWEST_IN_ORDER or np.diff(along_mm[order]).min() < _SAME_MM:
        return False
    small = np.stack([_small(images[k]) for k in order])
    spread = small.std(axis=1)
    full = spread > 0.05 * spread.max(initial=0.0)
    if full.sum() < _FEWEST_IN_ORDER:
        return False
    alike = _correlations(small[full] - small[full].mean(axis=0))  # the mean image carries no information on their order
    if _are_drawn(alike):
        return False
    alike = _without_mirrored(alike)
    other = _smoothest_order(alike)
    return (
        bool(np.median(alike.max(axis=1)) > _COHERENT)
        and _gains(alike, other, _GAIN)
        and _gains(_correlations(small[full]), other, 0.0)  # on both sides of the mean image neighbours differ by construction
        and not _brightness_supports_order(np.array([float(np.mean(images[k])) for k in order])[full], other)
        and (_is_shuffled(alike) if _share_in_order(alike) < _IN_ORDER else _is_dense(along_mm[order][full]))
    )


def _gains(alike: NDArray[np.float64], other: Sequence[int], least: float) -> bool:
    """Whether neighbours resemble each other much more in another order: by `least`, and by what neighbours differ."""
    found = alike[np.ix_(other, other)]
    drop = max(float(np.diagonal(found, 1).mean() - np.diagonal(found, 2).mean()), 0.0)
    gain = float(np.diagonal(found, 1).sum() - np.diagonal(alike, 1).sum())
    return gain > least and gain > _GAIN_IN_SLICES * drop


def _brightness_supports_order(brightness: NDArray[np.float64], other: Sequence[int]) -> bool:
    """Whether the brightness of slices runs much more smoothly than in another order."""
    return _roughness(brightness) < _SMOOTHER * _roughness(brightness[list(other)])


def _share_in_order(alike: NDArray[np.float64]) -> float:
    """Share of slices of which one of the two most similar ones is a neighbour."""
    best = np.argsort(-alike, axis=1)[:, :2]
    return float((np.abs(best - np.arange(len(alike))[:, None]) == 1).any(axis=1).mean())


def _is_shuffled(alike: NDArray[np.float64]) -> bool:
    """Whether slices resemble others clearly more than their neighbours; images that repeat along an axis do not."""
    beside = np.diagonal(alike, 1)
    neighbour = np.maximum(np.append(beside, -1.0), np.append(-1.0, beside))
    return bool(np.median(alike.max(axis=1) - neighbour) > _CLEARLY)


def _is_dense(along_mm: NDArray[np.float64]) -> bool:
    """Whether slices lie so close that each must resemble the next; separate blocks need not."""
    gaps = np.diff(along_mm)
    return bool(gaps.max() < min(_WHOLE_GAP * float(np.median(gaps)), _NEAR_MM))


def _are_drawn(alike: NDArray[np.float64]) -> bool:
    """Whether most slices equal a distant one, as in drawings without noise: those fit many orders."""
    index = np.arange(len(alike))
    distant = np.where(np.abs(index[:, None] - index) > 2, alike, -1.0)
    return bool(np.median(distant.max(axis=1)) > _EQUAL)


def _without_mirrored(alike: NDArray[np.float64]) -> NDArray[np.float64]:
    """The correlations without those of mirrored places, if there is a middle on both sides of which most slices resemble each other."""
    count = len(alike)
    index = np.arange(count)
    apart = np.abs(index[:, None] - index)
    far = np.where(apart > 2, alike, -3.0)
    most = far.argmax(axis=1)
    best = None
    for middle in range(count // 2, count + count // 2):  # sum of the numbers of two mirrored slices
        mirror = middle - index
        rows = (mirror >= 0) & (mirror < count) & (np.abs(mirror - index) > 2)
        if rows.sum() >= _FEWEST_MIRRORED and (best is None or np.mean(np.abs(most - mirror)[rows] <= 1) > best[0]):
            best = float(np.mean(np.abs(most - mirror)[rows] <= 1)), middle
    if best is None or best[0] < _SYMMETRIC:
        return alike
    return np.where((np.abs(index[:, None] + index - best[1]) <= 1) & (apart > 1), -1.0, alike)


def _correlations(small: NDArray[np.float64]) -> NDArray[np.float64]:
    """(slices, slices) correlation of images (slices, pixels); -2 on the diagonal."""
    own = small - small.mean(axis=1, keepdims=True)
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9)
    alike = own @ own.T
    np.fill_diagonal(alike, -2.0)
    return np.asarray(alike)


def _smoothest_order(alike: NDArray[np.float64]) -> list[int]:
    """An order in which neighbours resemble each other: the most similar pairs are joined first, as long as they make one chain."""
    count = len(alike)
    first, second = np.triu_indices(count, 1)
    beside: list[list[int]] = [[] for _ in range(count)]
    chain = list(range(count))  # number of the chain that each slice belongs to
    for pair in np.argsort(-alike[first, second], kind="stable"):
        a, b = int(first[pair]), int(second[pair])
        if len(beside[a]) < 2 and len(beside[b]) < 2 and chain[a] != chain[b]:
            beside[a].append(b)
            beside[b].append(a)
            chain = [chain[a] if number == chain[b] else number for number in chain]
    order = [next(k for k in range(count) if len(beside[k]) == 1)]
    while len(order) < count:
        order.append(next(k for k in beside[order[-1]] if k not in order[-2:]))
    return order


def _roughness(values: NDArray[np.float64]) -> float:
    """Squared steps over the variance (von Neumann's ratio): 2 for values in no order, near 0 for a trend."""
    return float((np.diff(values) ** 2).sum() / max(((values - values.mean()) ** 2).sum(), 1e-12))


def _small(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    image = np.asarray(pixels, np.float32)
    top = max(quantiles(pixels, (0.99,))[0], 1e-6)
    return np.asarray(Image.fromarray(np.clip(image / top, 0, 1)).resize((_SMALL, _SMALL), Image.Resampling.BOX), np.float64).ravel()
