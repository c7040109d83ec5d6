"""Inference of nnU-Net v2 models without nnU-Net: cropping, normalisation, resampling, tiling and back (Isensee et al. 2021, version 2.8).

All steps that affect the labels are reproduced: cubic resampling slice by slice where voxels are longer than three times their width, tiles that overlap by
half and are weighted by a Gaussian, 16-bit sums, linear resampling of the logits.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.errors import ModelError

Floats = NDArray[np.float32]
# Tiles (batch, channels, …) → logits (batch, classes, …).
Network = Callable[[Floats], Floats]

_ANISOTROPY = 3.0  # nnU-Net's threshold above which the longest axis is resampled separately
_STEP = 0.5  # step between tiles as a fraction of their size


@dataclass(frozen=True)
class NnunetPlan:
    """The part of an nnU-Net plan needed for inference; axes are (slice, row, column) after `transpose`."""

    spacing_mm: tuple[float, ...]  # two numbers for a 2-D network, three for a 3-D one
    patch: tuple[int, ...]
    normalization: tuple[str, ...]  # one scheme per channel
    masked: tuple[bool, ...]  # one per channel: normalise within the nonzero part only
    intensity: tuple[dict[str, float], ...]  # one per channel: mean, std and percentiles of the training data's foreground
    transpose: tuple[int, int, int]
    labels: tuple[int, ...]  # the label of each logit
    mirror: tuple[int, ...]  # axes that may be mirrored at prediction; empty for left/right labels
    separate_axis: bool | None  # whether the longest axis is resampled separately; None: depends on the spacing
    order: int = 3  # of the images' resampling
    order_along: int = 0  # along the separately resampled axis
    logit_order: int = 1
    logit_order_along: int = 0


def plan_from_card(parameters: Mapping[str, Any]) -> NnunetPlan:
    """The plan on the card of an imported model.

    Raises:
        ModelError: the plan is missing or incomplete.
    """
    try:
        values: dict[str, Any] = dict(parameters["nnunet"])
        kept: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return NnunetPlan(**kept)
    except (KeyError, TypeError) as error:
        raise ModelError(f"the model's card has no complete nnU-Net plan ({error}); import the model again") from error


def predict_labels(images: Floats, spacing_mm: tuple[float, float, float], network: Network, plan: NnunetPlan) -> NDArray[np.uint8]:
    """Labels (slices, rows, columns) of `images` (channels, slices, rows, columns)."""
    axes = plan.transpose
    data = np.asarray(images, np.float32).transpose(0, *(axis + 1 for axis in axes))
    own = [spacing_mm[axis] for axis in axes]
    box, nonzero = _nonzero(data)
    data = np.stack([_normalized(channel[box], nonzero[box], n, plan) for n, channel in enumerate(data)])
    wanted = [own[0], *plan.spacing_mm] if len(plan.spacing_mm) == 2 else list(plan.spacing_mm)
    cropped = data.shape[1:]
    shape = tuple(round(a / b * n) for a, b, n in zip(own, wanted, cropped, strict=True))
    data = _resampled(data, shape, own, wanted, plan, (plan.order, plan.order_along))
    logits = _tiled(data, network, plan)
    logits = _resampled(logits, cropped, wanted, own, plan, (plan.logit_order, plan.logit_order_along))
    found = np.array(plan.labels, np.uint8)[logits.argmax(axis=0)]
    whole = np.zeros(nonzero.shape, np.uint8)
    whole[box] = found
    return np.ascontiguousarray(whole.transpose(np.argsort(axes)))


def _nonzero(data: Floats) -> tuple[tuple[slice, ...], NDArray[np.bool_]]:
    mask = np.asarray(ndimage.binary_fill_holes((data != 0).any(axis=0)))
    if not mask.any():
        return tuple(slice(0, n) for n in mask.shape), mask
    return ndimage.find_objects(mask.astype(np.uint8))[0], mask


def _normalized(image: Floats, nonzero: NDArray[np.bool_], channel: int, plan: NnunetPlan) -> Floats:
    scheme, facts = plan.normalization[channel], plan.intensity[channel]
    image = image.copy()
    if scheme == "ZScoreNormalization":
        part = nonzero if plan.masked[channel] else np.ones(image.shape, bool)
        mean, spread = image[part].mean(), image[part].std()
        image[part] = (image[part] - mean) / max(spread, 1e-8)
    elif scheme == "CTNormalization":
        np.clip(image, facts["percentile_00_5"], facts["percentile_99_5"], out=image)
        image = (image - np.float32(facts["mean"])) / np.float32(max(facts["std"], 1e-8))
    elif scheme == "RescaleTo01Normalization":
        image = image - image.min()
        image = image / max(float(image.max()), 1e-8)
    elif scheme != "NoNormalization":
        raise ModelError(f"the model normalises its images by {scheme}, which is not supported")
    return np.asarray(image, np.float32)


def _resampled(data: Floats, shape: tuple[int, ...], own: list[float], wanted: list[float], plan: NnunetPlan, orders: tuple[int, int]) -> Floats:
    """(channels, …) on another number of voxels over the same field of view."""
    if data.shape[1:] == tuple(shape):
        return data
    axis = _separate_axis(own, wanted, plan.separate_axis)
    if axis is None:
        return np.stack([_resize(channel, shape, orders[0]) for channel in data]).astype(np.float32)
    done = []
    for channel in data:
        planes = np.moveaxis(channel, axis, 0)
        flat = tuple(n for k, n in enumerate(shape) if k != axis)
        fine = np.stack([_resize(plane, flat, orders[0]) for plane in planes])
        if shape[axis] != len(planes):
            place = np.clip((np.arange(shape[axis]) + 0.5) * len(planes) / shape[axis] - 0.5, 0, len(planes) - 1)
            fine = ndimage.map_coordinates(fine, np.meshgrid(place, *(np.arange(n) for n in flat), indexing="ij"), order=orders[1], mode="nearest")
        done.append(np.moveaxis(fine, 0, axis))
    return np.stack(done).astype(np.float32)


def _separate_axis(own: list[float], wanted: list[float], forced: bool | None) -> int | None:
    """The separately resampled axis, if there is exactly one longest."""
    if forced is False:
        return None
    spacing = own if forced or max(own) / min(own) > _ANISOTROPY else wanted
    if not forced and max(spacing) / min(spacing) <= _ANISOTROPY:
        return None
    longest = [k for k, step in enumerate(spacing) if max(spacing) / step == 1]
    return longest[0] if len(longest) == 1 else None


def _resize(array: NDArray[Any], shape: tuple[int, ...], order: int) -> NDArray[np.float64]:
    """Spline interpolation over pixel areas, edge values repeated, clipped to the range of the input."""
    if array.shape == tuple(shape):
        return np.asarray(array, np.float64)
    array = np.asarray(array, np.float64)
    factors = [1 / (n / m) for n, m in zip(array.shape, shape, strict=True)]
    return np.asarray(np.clip(ndimage.zoom(array, factors, order=order, mode="nearest", grid_mode=True), array.min(), array.max()))


def _tiled(data: Floats, network: Network, plan: NnunetPlan) -> Floats:
    """Logits (classes, …) of `data` (channels, …), tile by tile."""
    flat = len(plan.patch) == 2
    need = (1, *plan.patch) if flat else plan.patch
    low = [max(0, n - m) // 2 for n, m in zip(need, data.shape[1:], strict=True)]
    padding = [(0, 0), *((a, max(0, n - m) - a) for a, n, m in zip(low, need, data.shape[1:], strict=True))]
    padded = np.pad(data, padding)
    weight = _gaussian(plan.patch)
    total = np.zeros((len(plan.labels), *padded.shape[1:]), np.float16)
    count = np.zeros(padded.shape[1:], np.float16)
    starts = [list(range(padded.shape[1]))] if flat else []
    starts += [_starts(n, m) for n, m in zip(padded.shape[1 + flat :], plan.patch, strict=True)]
    for start in itertools.product(*starts):
        window: tuple[Any, ...] = tuple(slice(s, s + m) for s, m in zip(start[flat:], plan.patch, strict=True))
        window = (start[0], *window) if flat else window
        logits = _mirrored(np.ascontiguousarray(padded[(slice(None), *window)])[None], network, plan.mirror)[0]
        total[(slice(None), *window)] += (logits * weight.astype(np.float32)).astype(np.float16)
        count[window] += weight
    inside = tuple(slice(a, a + m) for a, m in zip(low, data.shape[1:], strict=True))
    return np.asarray((total / count)[(slice(None), *inside)], np.float32)


def _mirrored(tile: Floats, network: Network, axes: tuple[int, ...]) -> Floats:
    total = network(tile)
    flips = [c for n in range(1, len(axes) + 1) for c in itertools.combinations([axis + 2 for axis in axes], n)]
    for flip in flips:
        total = total + np.flip(network(np.ascontiguousarray(np.flip(tile, flip))), flip)
    return np.asarray(total / (len(flips) + 1), np.float32)


def _starts(size: int, tile: int) -> list[int]:
    count = int(np.ceil((size - tile) / (tile * _STEP))) + 1
    step = (size - tile) / (count - 1) if count > 1 else 0.0
    return [int(np.round(step * k)) for k in range(count)]


@cache
def _gaussian(tile: tuple[int, ...]) -> NDArray[np.float16]:
    """Weight of each voxel of a tile: 10 in the middle, a spread of an eighth of the tile, nowhere 0."""
    peak = np.zeros(tile)
    peak[tuple(n // 2 for n in tile)] = 1
    weight = ndimage.gaussian_filter(peak, [n / 8 for n in tile], mode="constant")
    weight = (weight / weight.max() * 10).astype(np.float16)
    weight[weight == 0] = weight[weight > 0].min()
    return np.asarray(weight)
