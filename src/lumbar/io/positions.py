"""Positions that cannot be right: all at one place, in another unit, or in another order than the images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.io.stacks import SliceImage, mean_directions

_FEWEST = 3  # slices that say something about their spacing
_SAME_MM = 0.05
_OF_THICKNESS = (0.2, 12.0)  # spacing in slice thicknesses: interpolated slices overlap by half, localizers leave wide gaps
_SPACING_MM = (0.2, 60.0)  # where the thickness is unknown
_FEWEST_IN_ORDER = 8  # slices from which on their order is looked at
_IN_ORDER = 0.75  # share of slices that resemble a neighbour most: 0.94 and more in every series measured, below 0.5 in long ones that were shuffled
_COHERENT = 0.45  # correlation with the most similar slice below which images say nothing about their order
_CLEARLY = 0.05  # by which the best correlation exceeds that with a neighbour
_SMALL = 48  # pixels along the edge of the compared images


def misplaced(images: Sequence[SliceImage]) -> str:
    """Why the positions of parallel slices cannot be right, or ""."""
    slices = [one for one, _ in images]
    if len(slices) < _FEWEST:
        return ""
    normal = mean_directions(slices)[2]
    along = np.sort(np.array([one.center_mm for one in slices]) @ normal)
    spread = np.ptp([one.center_mm for one in slices], axis=0).max()
    remedy = "send the series again from the archive, or convert it from its source"
    if spread < _SAME_MM and len({one.instance_number for one in slices}) == len(slices):
        return f"all {len(slices)} slices have the same image position (0020,0032), so they cannot be put in order; {remedy}"
    gaps = np.diff(along)
    gaps = gaps[gaps > 1e-6]
    gap = float(np.median(gaps)) if gaps.size else 0.0
    thickness = next((one.thickness_mm for one in slices if one.thickness_mm is not None), None)
    low, high = (_OF_THICKNESS[0] * thickness, _OF_THICKNESS[1] * thickness) if thickness else _SPACING_MM
    if gaps.size and not low <= gap <= high and not (gap < low and np.ptp(along) > 10 * low):
        stated = f"slices of {thickness:g} mm" if thickness else "slices"
        return f"its image positions (0020,0032) put {stated} {gap:.3g} mm apart: they are damaged or in another unit than millimetres; {remedy}"
    if out_of_order(images, normal):
        return f"its image positions (0020,0032) put the images in an order in which neighbours do not resemble each other; {remedy}"
    return ""


def out_of_order(images: Sequence[SliceImage], normal: NDArray[np.float64]) -> bool:
    """Whether most slices resemble others more than those next to them; only where each place has one image."""
    along = np.array([one.center_mm @ normal for one, _ in images])
    order = np.argsort(along, kind="stable")
    if len(images) < _FEWEST_IN_ORDER or np.diff(along[order]).min() < _SAME_MM:
        return False
    small = np.stack([_small(images[k][1]) for k in order])
    spread = small.std(axis=1)
    full = spread > 0.05 * spread.max(initial=0.0)
    if full.sum() < _FEWEST_IN_ORDER:
        return False
    small = small[full] - small[full].mean(axis=0)  # what all slices share says nothing about their order
    small = small - small.mean(axis=1, keepdims=True)
    small /= np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-9)
    alike = small @ small.T
    np.fill_diagonal(alike, -2.0)
    best = np.argsort(-alike, axis=1)[:, :2]
    near = (np.abs(best - np.arange(len(alike))[:, None]) == 1).any(axis=1)
    beside = np.diagonal(alike, 1)
    neighbour = np.maximum(np.append(beside, -1.0), np.append(-1.0, beside))
    coherent = np.median(alike.max(axis=1)) > _COHERENT
    return bool(coherent and near.mean() < _IN_ORDER and np.median(alike.max(axis=1) - neighbour) > _CLEARLY)


def _small(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    image = np.asarray(pixels, np.float32)
    top = max(float(np.quantile(image, 0.99)), 1e-6)
    return np.asarray(Image.fromarray(np.clip(image / top, 0, 1)).resize((_SMALL, _SMALL), Image.Resampling.BOX), np.float64).ravel()
