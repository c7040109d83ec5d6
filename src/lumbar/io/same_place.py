"""Several images at one position that no header distinguishes: Dixon images, repeats, or images that must not be guessed.

Of a Dixon examination the in-phase image is the sum of water and fat, and the opposed-phase image their difference. The fat image is identified by the
subcutaneous layer, which is fat in all people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.io.pixels import scaled
from lumbar.io.stacks import SliceImage

Values = NDArray[np.float32]

_LOOKED_AT = 12  # slices from the middle of a run
_SUM_EXPLAINED = 0.985  # share of the variance of the in-phase image that water and fat explain
_SHARES = (0.25, 4.0)  # of water and fat in the sum, where they were scaled differently
_SAME_SCALE = 0.1
_REPEAT_CORRELATION = 0.97
_REPEAT_DIFFERENCE = 0.15  # median of |a − b| / (a + b) in the body
_DEPTHS_MM = (3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 40.0)  # borders of the layers under the skin
_FATTY = 0.75  # median share of fat in the fattest of them; 0.9 and more in the people measured
_FEW_PIXELS = 20


@dataclass(frozen=True)
class Kinds:
    """What the images at one place are."""

    kinds: tuple[str, ...]  # one per layer: water, fat, in phase, out of phase, repeat; empty if unknown
    why: str  # reason, shown by `lumbar inspect`
    scales: tuple[float, ...] = ()  # by which each layer must be multiplied so that water and fat add up to the in-phase image


def distinguished(layers: Sequence[Sequence[SliceImage]]) -> Kinds:
    """What each of the layers is, by their pixels alone."""
    images = _common(layers)
    if images is None:
        return Kinds((), "they do not show the same places")
    if _are_repeats(images):
        return Kinds(("first", *["repeat"] * (len(images) - 1)), "they are repeats of one image")
    pixel_mm = layers[0][0][0].spacing_mm
    for total in range(len(images)):
        others = [k for k in range(len(images)) if k != total]
        for a, b in combinations(others, 2):
            shares = _shares(images[total], images[a], images[b])
            if shares is None:
                continue
            fat = _fat_of(images[a] * shares[0], images[b] * shares[1], pixel_mm)
            if fat is None:
                continue
            water, fat_layer = (a, b) if fat == 1 else (b, a)
            if (found := _dixon(images, total, (water, fat_layer), dict(zip((a, b), shares, strict=True)))) is not None:
                return found
    return Kinds((), "no two of them add up to a third, as water and fat do, and they are not repeats")


def _dixon(images: Sequence[Values], total: int, pair: tuple[int, int], shares: dict[int, float]) -> Kinds | None:
    kinds = {total: "in phase", pair[0]: "water", pair[1]: "fat"}
    rest = [k for k in range(len(images)) if k not in kinds]
    if len(rest) > 1:
        return None
    for k in rest:
        difference = np.abs(images[pair[0]] * shares[pair[0]] - images[pair[1]] * shares[pair[1]])
        if np.corrcoef(images[k].ravel(), difference.ravel())[0, 1] < 0.9:
            return None
        kinds[k] = "out of phase"
    ratio = shares[pair[1]] / shares[pair[0]]
    scales = [1.0] * len(images)
    why = "water and fat add up to the in-phase image, and fat is the subcutaneous layer (according to their pixels)"
    if abs(ratio - 1) > _SAME_SCALE:
        scales[pair[1]] = ratio
        why += f"; they were scaled differently, so fat was multiplied by {ratio:.2f}"
    return Kinds(tuple(kinds[k] for k in range(len(images))), why, tuple(scales))


def _common(layers: Sequence[Sequence[SliceImage]]) -> list[Values] | None:
    """(slices, rows, columns) of each layer at places that all of them show."""
    by_place = [{tuple(np.round(one.center_mm, 0)): (one, pixels) for one, pixels in layer} for layer in layers]
    shared = [place for place in by_place[0] if all(place in places for places in by_place)]
    if len(shared) < 1:
        return None
    start = max(0, (len(shared) - _LOOKED_AT) // 2)
    picked = shared[start : start + _LOOKED_AT]
    return [np.stack([scaled(places[place][1], places[place][0]) for place in picked]) for places in by_place]


def _are_repeats(images: Sequence[Values]) -> bool:
    first = images[0]
    for other in images[1:]:
        body = (first + other) > 0.2 * np.quantile(first + other, 0.99)
        if body.sum() < 100 or np.corrcoef(first.ravel(), other.ravel())[0, 1] < _REPEAT_CORRELATION:
            return False
        if np.median(np.abs(first - other)[body] / (first + other)[body]) > _REPEAT_DIFFERENCE:
            return False
    return True


def _shares(total: Values, a: Values, b: Values) -> tuple[float, float] | None:
    """The factors by which `a` and `b` add up to `total`, or None where they do not."""
    parts = np.stack([a.ravel(), b.ravel()], axis=1).astype(np.float64)
    wanted = total.ravel().astype(np.float64)
    found, *_ = np.linalg.lstsq(parts, wanted, rcond=None)
    rest = wanted - parts @ found
    if rest.var() > (1 - _SUM_EXPLAINED) * wanted.var() or not (_SHARES[0] < found[0] < _SHARES[1] and _SHARES[0] < found[1] < _SHARES[1]):
        return None
    if np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95:  # two images of one kind add up to anything like them
        return None
    return float(found[0]), float(found[1])


def _fat_of(a: Values, b: Values, pixel_mm: tuple[float, float]) -> int | None:
    """0 if `a` is the fat image, 1 if `b` is; None if the subcutaneous layer does not decide it."""
    profiles = [profile for one, other in zip(a, b, strict=True) if (profile := _share_by_depth(one, other, pixel_mm)) is not None]
    if not profiles:
        return None
    table = np.array(profiles)
    *layer, inside = (float(np.median(column[np.isfinite(column)])) if np.isfinite(column).any() else np.nan for column in table.T)
    layer = [share for share in layer if np.isfinite(share)]
    if not layer or not np.isfinite(inside):
        return None
    if max(layer) >= _FATTY and inside < 0.5:
        return 1
    return 0 if min(layer) <= 1 - _FATTY and inside > 0.5 else None


def _share_by_depth(a: Values, b: Values, pixel_mm: tuple[float, float]) -> list[float] | None:
    """Median share of `b` in layers under the skin, the last one being the inside of the body; None where there is no body."""
    total = a + b
    bright = 0.1 * float(np.quantile(total, 0.98))
    body = ndimage.binary_fill_holes(ndimage.gaussian_filter(total, 1) > bright)
    labels, count = ndimage.label(body)
    if not count:
        return None
    body = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    depth = ndimage.distance_transform_edt(np.pad(body, 1, mode="edge"), sampling=pixel_mm)[1:-1, 1:-1]
    share = b / np.maximum(total, 1e-6)
    edges = [*_DEPTHS_MM, np.inf]
    layers = [share[(depth > low) & (depth <= high) & (total > bright)] for low, high in pairwise(edges)]
    kept = [*layers[:-2], layers[-1]]  # what lies between skin and muscles is neither
    return [float(np.median(layer)) if layer.size > _FEW_PIXELS else np.nan for layer in kept]
