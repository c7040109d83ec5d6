"""Pseudo-labels on axial strips of sagittal images of people without reference masks.

A sagittal scan of the lumbar spine shows the multifidus and the medial half of the erector spinae, with columns as wide as its slices are thick. The
errors of a network trained on few people vary with position, mirroring and magnification. The mean of its predictions over neighbouring slices, mirror
images and magnifications is more reliable than each of them and serves as training target (self-training; Xie et al. 2020). Pixels with a low mean
probability are excluded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import softmax

from lumbar.domain.volume import Volume
from lumbar.imaging.intensity import standardized
from lumbar.imaging.orient import AXIAL_AXES, turned
from lumbar.imaging.resample import resize_image
from lumbar.muscle.labels import MIRRORED
from lumbar.muscle.learn.views import MUSCLE_GREY, UNKNOWN, AxialSlice, FloatImage, Labels, Origin
from lumbar.muscle.mirror_averaging import mirror_averaged

# One image (1, 1, rows, columns) of zero mean and unit variance → logits (1, 5, rows, columns).
Network = Callable[[FloatImage], FloatImage]

PIXEL_MM = 1.25
VIEW = (128, 192)  # rows and columns of the network input
BEHIND_MM = 15.0  # of air from the skin to the edge of the view
_SKIN = 0.15  # threshold of the skin between air and bright tissue
_EVERY_MM = 3.0  # between slices
_ALONG_MM = 6.0  # spread of the mean along the spine
_MAGNIFIED = (0.88, 1.0, 1.14)
_SURE = 0.6  # least mean probability of a pseudo-labelled pixel
_LEAST_KNOWN = 0.65  # least confident share of the possible muscle area
_LEAST_MM2 = 800.0  # of muscle on a slice
_OTHER_GREY = 1.6  # factor between a slice's muscle and the person's


@dataclass(frozen=True, eq=False)
class Strip:
    """The images of one person, foot to head, rows front to back, on pixels of `PIXEL_MM`."""

    images: tuple[FloatImage, ...]
    height_mm: tuple[float, ...]


def strips(image: Volume, mask: Volume, vertebrae: tuple[int, int], every_mm: float = _EVERY_MM, beyond_mm: float = 0.0) -> Strip:
    """Axial images cut from a sagittal `image` between the middles of two `vertebrae` (labels in `mask`), and up to `beyond_mm` below the lower one."""
    image, mask = turned(image, AXIAL_AXES), turned(mask, AXIAL_AXES)
    step, row_mm, column_mm = image.grid.spacing_mm
    ends = sorted(float(np.flatnonzero((mask.array == number).any(axis=(1, 2))).mean()) for number in vertebrae)
    low = max(0.0, ends[0] - beyond_mm / step)
    numbers = np.unique(np.arange(low, ends[1], every_mm / step).round().astype(int))
    images = []
    for k in numbers:
        axial = np.ascontiguousarray(image.array[k], dtype=np.float32)
        small = resize_image(axial, (round(len(axial) * row_mm / PIXEL_MM), round(axial.shape[1] * column_mm / PIXEL_MM)))
        air, bright = np.quantile(small, (0.01, 0.99))  # air is not always 0
        skin = int(np.flatnonzero(small.max(axis=1) > air + _SKIN * (bright - air))[-1])
        stop = min(len(small), skin + round(BEHIND_MM / PIXEL_MM))
        images.append(small[max(0, stop - VIEW[0]) : stop])
    return Strip(tuple(images), tuple(float(k * step) for k in numbers))


def probabilities(image: FloatImage, network: Network) -> FloatImage:
    """(5, rows, columns) of one strip, padded with the image minimum as in training, with mirror test-time augmentation."""
    seen = standardized(image)
    whole = np.full(VIEW, seen.min(), np.float32)
    high, wide = min(VIEW[0], seen.shape[0]), min(VIEW[1], seen.shape[1])
    rows, left = slice(VIEW[0] - high, VIEW[0]), (VIEW[1] - wide) // 2
    columns = slice(left, left + wide)
    whole[rows, columns] = seen[-high:, :wide]
    mean = mirror_averaged(whole, lambda one: softmax(network(one[None, None])[0], axis=0))
    out = np.zeros((len(mean), *seen.shape), np.float32)
    out[0] = 1
    out[:, -high:, :wide] = mean[:, rows, columns]
    return out


def pseudo_labelled_slices(name: str, strip: Strip, network: Network) -> list[AxialSlice]:
    """The slices of a strip with pseudo-labels from test-time augmentation; uncertain pixels are `UNKNOWN`. Fat is estimated from the lack of water.

    Slices with many unknown pixels, and those far brighter or darker than the others, are left out.
    """
    mean = _along(_place_together(strip, [_magnified(image, network) for image in strip.images]), strip.height_mm)
    labels = [_sure(maps[:, -len(image) :]) for image, maps in zip(strip.images, mean, strict=True)]
    greys = np.array([_muscle_grey(image, labelled) for image, labelled in zip(strip.images, labels, strict=True)])
    if np.isnan(greys).all():
        return []
    usual = float(np.nanmedian(greys))
    found = []
    for image, labelled, grey in zip(strip.images, labels, greys, strict=True):
        if np.isnan(grey) or max(grey / usual, usual / grey) > _OTHER_GREY:
            continue
        water = image * np.float32(MUSCLE_GREY / grey)
        found.append(AxialSlice(name, water, _guessed_fat(water), labelled, PIXEL_MM, Origin.STRIP))
    return found


def _sure(maps: FloatImage) -> Labels:
    return np.where(maps.max(axis=0) >= _SURE, maps.argmax(axis=0), UNKNOWN).astype(np.uint8)


def _muscle_grey(image: FloatImage, labels: Labels) -> float:
    """Median grey value of the pseudo-labelled muscle; NaN where there is too little."""
    muscle, unknown = (labels > 0) & (labels != UNKNOWN), labels == UNKNOWN
    if muscle.sum() < _LEAST_KNOWN * (muscle | unknown).sum() or muscle.sum() * PIXEL_MM**2 < _LEAST_MM2:
        return float("nan")
    return max(float(np.median(image[muscle])), 1e-6)


def _magnified(image: FloatImage, network: Network) -> FloatImage:
    """Mean probabilities over magnifications."""
    rows, columns = image.shape
    total = np.zeros((len(MIRRORED), rows, columns), np.float32)
    for factor in _MAGNIFIED:
        seen = probabilities(resize_image(image, (round(rows * factor), round(columns * factor))), network)
        total += np.stack([resize_image(np.ascontiguousarray(plane), (rows, columns)) for plane in seen])
    return np.asarray(total / len(_MAGNIFIED), np.float32)


def _place_together(strip: Strip, maps: list[FloatImage]) -> FloatImage:
    """(slices, 5, rows, columns): all slices with as many rows, aligned at the back edge."""
    rows = max(len(image) for image in strip.images)
    out = np.zeros((len(maps), len(MIRRORED), rows, strip.images[0].shape[1]), np.float32)
    out[:, 0] = 1
    for k, one in enumerate(maps):
        out[k, :, rows - one.shape[1] :] = one
    return out


def _along(maps: FloatImage, height_mm: tuple[float, ...]) -> FloatImage:
    step = float(np.median(np.diff(height_mm))) if len(height_mm) > 1 else 1.0
    return np.asarray(ndimage.gaussian_filter1d(maps, _ALONG_MM / step, axis=0, mode="nearest"))


def _guessed_fat(water: FloatImage) -> FloatImage:
    """Fat estimated where there is no water inside the body; this includes air and cortical bone, which lie in front of the muscles or are thin."""
    body = ndimage.binary_fill_holes(np.vstack([np.ones((1, water.shape[1]), bool), ndimage.gaussian_filter(water, 1.0) > 0.12]))[1:]
    lowest = np.maximum.accumulate(body[::-1], axis=0)[::-1]  # everything in front of the skin
    fat = np.clip(1 - water / 0.6, 0, 1) * lowest * np.float32(0.9)
    return np.asarray(ndimage.gaussian_filter(fat, 0.5), np.float32)
