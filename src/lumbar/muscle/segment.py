"""The muscle network applied to every slice of an axial volume, whatever its contrast."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import softmax

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.imaging.components import largest_component
from lumbar.imaging.intensity import standardized
from lumbar.imaging.resample import resize_image
from lumbar.muscle.agreement import DOUBTFUL, MaskAgreement, agreement_of
from lumbar.muscle.axial import restore, to_axial
from lumbar.muscle.fat.dixon import pair
from lumbar.muscle.labels import BACK
from lumbar.muscle.mirror_averaging import both_ways
from lumbar.muscle.postprocess import clean

# Images (batch, 1, rows, columns) of zero mean and unit variance → logits (batch, classes, rows, columns), or those of several networks (batch, networks, …).
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Frame = tuple[slice, slice]  # rows and columns passed to the network

_DIVISOR = 32
_WHOLE_MM = (224, 256)  # images up to this size are processed whole
_SMALLEST_MM = (152, 204)  # the training view: a crop is never smaller
_MARGIN_MM = 15
_RECOGNISED = 0.85  # expected Dice of the back muscles of a slice turned by 180° above which it was stored with the back in front
_ALONG_MM = 5.0  # standard deviation of the smoothing of probabilities along the spine; chosen on a person left out of training


@dataclass(frozen=True, eq=False)
class MuscleNetwork:
    """A network and its pixel size."""

    run: Network
    pixel_mm: float
    withheld: tuple[int, ...] = ()  # labels of insufficient accuracy; their probability is added to the background
    both_ways: bool = True  # mirror test-time augmentation; not for networks with built-in mirroring


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on the grid of the input, and warnings about them."""

    mask: Volume
    warnings: tuple[str, ...]
    agreement: MaskAgreement | None = None  # of several networks, or of one with mirror test-time augmentation


def segment(
    image: Volume, network: MuscleNetwork, fat: Volume | None = None, keep: NDArray[np.bool_] | None = None, progress: Callable[[int, int], None] | None = None
) -> Segmentation:
    """Label the muscles of an axial `image`, and the vertebral body if the network has this class; of a Dixon pair (`fat` given) both images are used.

    `keep` (slices of `to_axial(image)`,) selects slices; the others remain empty.

    Raises:
        InputError: the volume was not acquired in axial slices, or all its voxels are equal.
        GeometryError: water and fat do not match.
    """
    axial = to_axial(image)
    contrasts = [np.asarray(axial.array, np.float32)]
    warnings: list[str] = []
    if fat is not None:
        paired = pair(image, fat)
        contrasts.append(np.asarray(to_axial(Volume(paired.array, image.grid)).array, np.float32))
        warnings += paired.warnings
    if np.ptp(contrasts[0]) == 0:
        raise InputError(f"every voxel of the image has the value {contrasts[0].flat[0]:g}: there is nothing to label; export it again")
    wanted = np.arange(len(axial.array)) if keep is None else np.flatnonzero(keep)
    labels = np.zeros(axial.array.shape, np.uint8)
    agreement = None
    if wanted.size:
        labels[wanted], masks, chances = _label(axial.grid, [contrast[wanted] for contrast in contrasts], network, progress)
        agreement = agreement_of(masks, chances, wanted, len(labels)) if len(masks) > 1 else None
        if agreement is not None and _expected(agreement) < DOUBTFUL and _turned(axial.grid, [contrast[wanted] for contrast in contrasts], network):
            warnings.append(
                "the images are stored with the back in front: the orientation in the file is wrong, the masks are wrong, and left and right cannot be known"
            )
    labels, odd = clean(labels, axial.grid)
    return Segmentation(restore(labels, image), (*warnings, *odd), agreement)


def _expected(agreement: MaskAgreement) -> float:
    """Mean Dice to expect of the back muscles; 0 for one without a mask."""
    return float(np.mean([agreement.expected_dice(label) or 0.0 for label in BACK]))


def _turned(grid: Grid, contrasts: Sequence[NDArray[np.float32]], network: MuscleNetwork) -> bool:
    """Whether the network recognises the middle slice when it is turned by 180°."""
    middle = len(contrasts[0]) // 2
    _, masks, chances = _label(grid, [np.ascontiguousarray(contrast[middle : middle + 1, ::-1, ::-1]) for contrast in contrasts], network, None)
    return _expected(agreement_of(masks, chances, np.array([0]), 1)) > _RECOGNISED


def _label(
    grid: Grid, contrasts: Sequence[NDArray[np.float32]], network: MuscleNetwork, progress: Callable[[int, int], None] | None
) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]], NDArray[np.float32]]:
    """Labels (slices, rows, columns) on the pixels of `grid`; within the frame those of each network (slices, …) and probabilities (slices, classes, …)."""
    shape = tuple(max(1, round(n * mm / network.pixel_mm)) for n, mm in zip((grid.rows, grid.columns), grid.spacing_mm[1:], strict=True))
    resized = [np.stack([resize_image(image, (shape[0], shape[1])) for image in contrast]) for contrast in contrasts]
    frame = find_frame(resized[0], network)
    count = len(contrasts[0])
    means, own = [], []
    for k in range(count):
        each = np.mean([_each(np.ascontiguousarray(contrast[k][frame]), network) for contrast in resized], axis=0)
        for label in network.withheld:
            each[:, 0] += each[:, label]
            each[:, label] = 0
        means.append(each.mean(axis=0))
        own.append(each.argmax(axis=1).astype(np.uint8))
        if progress:
            progress(k + 1, count)
    steady = _with_neighbours(np.asarray(means, np.float32), grid.spacing_mm[0])
    labels = np.stack([_upsampled(chances, grid, (shape[0], shape[1]), frame) for chances in steady])
    return labels, list(np.stack(own, axis=1)), steady


def _each(image: NDArray[np.float32], network: MuscleNetwork) -> NDArray[np.float32]:
    """(networks, classes, rows, columns) predictions of each network; for a single one with mirror averaging also that of the mirror image."""
    look = partial(probabilities, network=network.run)
    return both_ways(image, look) if network.both_ways else look(image)


def _upsampled(chances: NDArray[np.float32], grid: Grid, shape: tuple[int, int], frame: Frame) -> NDArray[np.uint8]:
    """(rows, columns) the likeliest label of each pixel of `grid`, interpolated where the network's pixels show a label, or its neighbour does."""
    labels = np.zeros((grid.rows, grid.columns), np.uint8)
    coarse = ndimage.binary_dilation(chances[0] < 0.9, iterations=2)
    if not coarse.any():
        return labels
    found = np.argwhere(coarse)
    weights, window = [], []
    for axis, (n, size, part) in enumerate(zip((grid.rows, grid.columns), shape, frame, strict=True)):
        low, high = int(found[:, axis].min()), int(found[:, axis].max()) + 1
        start, stop = (int(np.clip((part.start + edge) * n / size, 0, n)) for edge in (low, high))
        weights.append(_weights(n, size, part)[start:stop, low:high])
        window.append((slice(start, stop), slice(low, high)))
    inner = chances[:, window[0][1], window[1][1]]
    fine = weights[0] @ inner @ weights[1].T  # (classes, rows, columns)
    labels[window[0][0], window[1][0]] = fine.argmax(axis=0)
    return labels


def probabilities(image: NDArray[np.float32], network: Network) -> NDArray[np.float32]:
    """(networks, classes, rows, columns) of one image on the network's grid."""
    rows, columns = image.shape
    padded = np.pad(standardized(image), [(0, -rows % _DIVISOR), (0, -columns % _DIVISOR)], mode="minimum")
    logits = network(padded[None, None].astype(np.float32))[0, ..., :rows, :columns]
    return np.asarray(softmax(logits if logits.ndim == 4 else logits[None], axis=1), np.float32)


def find_frame(images: NDArray[np.float32], network: MuscleNetwork) -> Frame:
    """Region of the back muscles: the whole of a small field of view, else around the muscles found on three slices of the posterior half of the body."""
    rows, columns = images.shape[1:]
    whole, smallest = (tuple(round(mm / network.pixel_mm) for mm in size) for size in (_WHOLE_MM, _SMALLEST_MM))
    if rows <= whole[0] and columns <= whole[1]:
        return slice(0, rows), slice(0, columns)
    some = images[np.unique(np.linspace(0, len(images) - 1, 5).round().astype(int)[1:-1])] if len(images) > 2 else images
    first = _behind(some.mean(axis=0), (whole[0], whole[1]), network.pixel_mm)
    seen = np.any([probabilities(image[first], network.run)[:, 1:].sum(axis=1).mean(axis=0) > 0.5 for image in some], axis=0)
    seen = ndimage.binary_opening(seen, iterations=max(1, round(3 / network.pixel_mm)))
    if seen.sum() * network.pixel_mm**2 < 400:
        return first
    found = np.argwhere(seen)
    corner = np.array([first[0].start, first[1].start])
    low, high = found.min(axis=0) + corner, found.max(axis=0) + corner
    parts = []
    for axis, size in enumerate((rows, columns)):
        length = min(size, max(smallest[axis], int(high[axis] - low[axis] + 2 * _MARGIN_MM / network.pixel_mm)))
        start = int(np.clip((low[axis] + high[axis] - length) // 2, 0, size - length))
        parts.append(slice(start, start + length))
    return parts[0], parts[1]


def _behind(image: NDArray[np.float32], size: tuple[int, int], pixel_mm: float) -> Frame:
    """The back of the body: from slightly behind the skin to 200 mm in front of it, and wide enough for localisation."""
    smooth = ndimage.gaussian_filter(image, 2 / pixel_mm)
    body = largest_component(smooth > 0.15 * np.quantile(smooth, 0.98))
    where = np.argwhere(body if body.any() else np.ones(image.shape, bool))
    back, middle = int(np.quantile(where[:, 0], 0.995)), float(where[:, 1].min() + where[:, 1].max()) / 2
    rows, columns = image.shape
    length = min(size[0], rows), min(size[1], columns)
    top = int(np.clip(back + round(16 / pixel_mm) - length[0], 0, rows - length[0]))
    left = int(np.clip(middle - length[1] / 2, 0, columns - length[1]))
    return slice(top, top + length[0]), slice(left, left + length[1])


def _with_neighbours(chances: NDArray[np.float32], gap_mm: float) -> NDArray[np.float32]:
    """The probabilities smoothed across neighbouring slices."""
    if len(chances) < 3:
        return chances
    return np.asarray(ndimage.gaussian_filter1d(chances, _ALONG_MM / max(gap_mm, 1e-6), axis=0, mode="nearest"))


def _weights(count: int, size: int, part: slice) -> NDArray[np.float32]:
    """(count, pixels of the frame) linear interpolation from the `size` pixels of the network over the field of view to `count`."""
    place = (np.arange(count) + 0.5) * size / count - 0.5
    weights = np.zeros((count, size), np.float32)
    low = np.clip(np.floor(place).astype(int), 0, max(size - 2, 0))
    share = np.clip(place - low, 0, 1).astype(np.float32)
    weights[np.arange(count), low] += 1 - share
    weights[np.arange(count), np.minimum(low + 1, size - 1)] += share
    return weights[:, part]
