"""The spine network applied to every sagittal slice of a volume."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import AddedClass, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.imaging.intensity import standardized
from lumbar.imaging.orient import SAGITTAL_AXES, to_sagittal, turned_back
from lumbar.imaging.resample import resize_image, resized_grid
from lumbar.spine.context import in_context, neighbour_step
from lumbar.spine.network import Network, SpineNetwork
from lumbar.spine.slab import around_spine, sagittal_slab

PIXEL_MM = 0.75  # pixel size of the training images
_DIVISOR = 32  # rows and columns must be multiples of it
_BATCH = 2  # slices that are padded alike and hold probabilities in full precision at a time
_SMALLEST_MM = 80.0  # smallest craniocaudal extent that shows two levels
_FRAME_MARGIN_MM = 24.0  # around the spine as found in the middle slices
_FRAME_LEAST_MM = (120.0, 60.0)  # rows, columns: a smaller spine in the middle slices may lie elsewhere
_LEAST = np.float32(2**-14)  # smaller probabilities count as 0: numpy converts numbers below the normal range of half precision 20 times more slowly
_KEPT = (AddedClass.S1_BELOW_STRIP, AddedClass.NEURAL_FORAMEN)  # added classes whose probabilities are measured on
_NEIGHBOUR_WEIGHT = 0.15  # weight of each neighbouring slice at 4 mm; less at larger distances


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A volume on the network's grid (slices right to left, rows head to foot, columns front to back) with the network's output."""

    image: Volume  # float32, PIXEL_MM in plane
    probabilities: NDArray[np.float16]  # (slices, classes, rows, columns)
    labels: NDArray[np.uint8]  # (slices, rows, columns), values of SpineClass
    source: Grid  # grid of the input volume
    added: NDArray[np.uint8] | None = None  # (slices, rows, columns), values of AddedClass where one wins, else 0; None: the network has none of them
    foramen: NDArray[np.float16] | None = None  # (slices, rows, columns) probability of a neural foramen; None: the network does not know them
    s1: NDArray[np.float16] | None = None  # (slices, rows, columns) probability of S1 below the strip `SpineClass.SACRUM`; None likewise

    @property
    def grid(self) -> Grid:
        """The network's grid."""
        return self.image.grid


def segment(volume: Volume, network: Network, plane: Plane, progress: Callable[[int, int], None] | None = None) -> Segmentation:
    """Segment `volume`, which may have any plane; volumes that are not sagittal are resliced first.

    Raises:
        GeometryError: the volume is too short from head to foot to show two levels.
    """
    sagittal = sagittal_slab(volume, plane)
    rows_mm = sagittal.grid.spacing_mm[1] * sagittal.grid.rows
    if rows_mm < _SMALLEST_MM:
        raise GeometryError(f"the volume covers {rows_mm:.0f} mm from head to foot; naming levels needs at least {_SMALLEST_MM:.0f} mm")
    known = network if isinstance(network, SpineNetwork) else SpineNetwork(network)
    image = around_spine(_resized(sagittal), lambda images: _output(images, known, np.inf, None)[0][:, : len(SpineClass)].argmax(axis=1).astype(np.uint8))
    everything, added = _output(np.asarray(image.array, dtype=np.float32), known, image.grid.spacing_mm[0], progress)
    everything = _with_neighbours(everything, image.grid)
    probabilities = everything[:, : len(SpineClass)]
    labels = probabilities.argmax(axis=1).astype(np.uint8)
    added[labels != SpineClass.BACKGROUND] = 0  # the neighbouring slices can decide otherwise
    kept = {kind: everything[:, len(SpineClass) + number] for number, kind in enumerate(_kept(known))}
    foramen, s1 = kept.get(AddedClass.NEURAL_FORAMEN), kept.get(AddedClass.S1_BELOW_STRIP)
    return Segmentation(image, probabilities, labels, volume.grid, added if any(known.added) else None, foramen, s1)


def _kept(network: SpineNetwork) -> list[AddedClass]:
    return [kind for kind in _KEPT if kind in network.added]


def segment_image(image: NDArray[np.float32], pixel_mm: float, network: Network) -> Segmentation:
    """Segment one sagittal image (rows head to foot, columns front to back) with square pixels and no patient position; its plane is x = 0."""
    grid = Grid(np.zeros((1, 3)), np.array([0, 0, -pixel_mm]), np.array([0, pixel_mm, 0]), *image.shape)
    return segment(Volume(image[None].astype(np.float32), grid), network, Plane.SAGITTAL)


def _resized(volume: Volume) -> Volume:
    _, row_mm, column_mm = volume.grid.spacing_mm
    shape = round(volume.grid.rows * row_mm / PIXEL_MM), round(volume.grid.columns * column_mm / PIXEL_MM)
    array = np.stack([resize_image(np.asarray(image, dtype=np.float32), shape) for image in volume.array])
    return Volume(array, resized_grid(volume.grid, shape))


def _output(
    images: NDArray[np.float32], network: SpineNetwork, between_mm: float, progress: Callable[[int, int], None] | None
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Probabilities (slices, classes, rows, columns), and (slices, rows, columns) the values of `AddedClass` where one wins.

    The classes are those of `SpineClass`, then those of `_KEPT` that the network knows, which count as background as well.
    Middle slices are segmented whole, the others only around the spine found in them.
    """
    classes = len(SpineClass) + len(_kept(network))
    out = np.zeros((len(images), classes, *images.shape[1:]), dtype=np.float16)
    out[:, SpineClass.BACKGROUND] = 1
    added = np.zeros(images.shape, dtype=np.uint8)
    middle = len(images) // 2
    first = np.arange(max(0, middle - 1), min(len(images), middle + 2))
    rest = np.setdiff1d(np.arange(len(images)), first)
    whole = (slice(0, images.shape[1]), slice(0, images.shape[2]))
    done = 0
    for numbers in (first, rest):
        frame = whole if numbers is first else _frame(out[first], whole)
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH]
            out[batch, :, frame[0], frame[1]], added[batch, frame[0], frame[1]] = _softmax(network, _seen(images, batch, frame, network, between_mm))
            done += len(batch)
            if progress:
                progress(done, len(images))
    return out, added


def _seen(images: NDArray[np.float32], batch: NDArray[np.int_], frame: tuple[slice, slice], network: SpineNetwork, between_mm: float) -> NDArray[np.float32]:
    """(batch, channels, rows, columns) input of the network: each slice, with its neighbours where the network takes them."""
    if network.apart_mm is None:
        return np.stack([standardized(images[k])[frame] for k in batch])[:, None]
    step = neighbour_step(network.apart_mm, between_mm)
    return np.stack([in_context(lambda n: standardized(images[n])[frame], int(k), len(images), step) for k in batch])


def _softmax(network: SpineNetwork, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Probabilities (batch, classes of `_output`, rows, columns) of images (batch, channels, rows, columns), and the winners of `AddedClass`."""
    rows, columns = images.shape[2:]
    padding = [(0, 0), (0, 0), (0, -rows % _DIVISOR), (0, -columns % _DIVISOR)]
    # Padding with the image minimum, as for air, whatever the edge of the image shows.
    padded = np.pad(images, padding, constant_values=float(images.min()))
    padded[~images.any(axis=(2, 3))] = 0  # slices that do not exist
    # One slice per call: the activations of several exceed the cache of a processor, and take more memory.
    logits = np.concatenate([network(image[None]) for image in padded])[:, :, :rows, :columns]
    np.exp(logits - logits.max(axis=1, keepdims=True), out=logits)
    known = len(SpineClass)
    added = np.zeros((len(logits), rows, columns), dtype=np.uint8)
    for kind, own in zip(network.added, np.moveaxis(logits[:, known:], 1, 0), strict=False):
        if kind is not None:
            added[own == 1] = kind  # exp(0): no other class has more
    logits /= logits.sum(axis=1, keepdims=True)
    if logits.shape[1] > known:
        logits[:, SpineClass.BACKGROUND] += logits[:, known:].sum(axis=1)
        kept = [known + network.added.index(kind) for kind in _kept(network)]
        logits = logits[:, [*range(known), *kept]]
    logits[logits < _LEAST] = 0
    return logits, added


def _frame(seen: NDArray[np.float16], whole: tuple[slice, slice]) -> tuple[slice, slice]:
    """Rows and columns around the spine in the middle slices, with a margin for scoliosis; the whole image where little of it is found."""
    found = (seen[:, SpineClass.BACKGROUND] < 0.5).sum(axis=0) > 0
    parts, count = ndimage.label(ndimage.binary_dilation(found, iterations=3))
    if not count:
        return whole
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    limits = []
    for axis, side in enumerate(whole):
        span = np.flatnonzero(largest.any(axis=1 - axis))
        if np.ptp(span) * PIXEL_MM < _FRAME_LEAST_MM[axis]:
            return whole
        margin = round(_FRAME_MARGIN_MM / PIXEL_MM)
        limits.append(slice(max(0, int(span[0]) - margin), min(side.stop, int(span[-1]) + 1 + margin)))
    return limits[0], limits[1]


def _with_neighbours(probabilities: NDArray[np.float16], grid: Grid) -> NDArray[np.float16]:
    """The probabilities smoothed across neighbouring slices."""
    if len(probabilities) < 3:
        return probabilities
    side = np.float32(_NEIGHBOUR_WEIGHT * min(1.0, 4.0 / max(grid.spacing_mm[0], 1e-6)))
    mixed = np.empty_like(probabilities)
    last = len(probabilities) - 1
    before = own = probabilities[0].astype(np.float32)  # one slice at a time in single precision: half precision is slow
    for k in range(last + 1):
        after = probabilities[k + 1].astype(np.float32) if k < last else own
        sum_of_both = before + after
        sum_of_both *= side
        sum_of_both += (1 - 2 * side) * own
        sum_of_both[sum_of_both < _LEAST] = 0
        mixed[k] = sum_of_both
        before, own = own, after
    return mixed


def labels_on_source(segmentation: Segmentation, labels: NDArray[np.uint8], plane: Plane) -> Volume:
    """`labels` (slices, rows, columns of the network's grid) on the grid of the input volume, as uint8."""
    target = segmentation.source
    if plane is Plane.SAGITTAL:
        return _back_in_plane(segmentation, labels)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in target.shape), indexing="ij"), axis=-1)
    array = np.empty(target.shape, dtype=np.uint8)
    for k in range(target.shape[0]):
        points = segmentation.grid.indices(target.points_mm(index[k]))
        array[k] = ndimage.map_coordinates(labels, np.moveaxis(points, -1, 0), order=0, cval=0)
    return Volume(array, target)


def _back_in_plane(segmentation: Segmentation, labels: NDArray[np.uint8]) -> Volume:
    """Labels from linearly interpolated label fractions (argmax): outlines are smoother than with nearest-neighbour interpolation."""
    turned = to_sagittal(Volume(np.zeros(segmentation.source.shape, dtype=np.uint8), segmentation.source))
    count, *shape = turned.array.shape
    corners = turned.grid.points_mm(np.stack([np.arange(count), np.zeros(count), np.zeros(count)], axis=1))
    nearest = np.rint(segmentation.grid.indices(corners)[:, 0]).astype(int)
    array = np.zeros(turned.array.shape, dtype=np.uint8)
    for number in set(nearest) & set(range(len(labels))):
        array[nearest == number] = _enlarged(labels[number], (shape[0], shape[1]))
    return turned_back(array, segmentation.source, SAGITTAL_AXES)


def _enlarged(labels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    out = np.zeros(shape, dtype=np.uint8)
    best = np.full(shape, 0.5, dtype=np.float32)
    for value in np.unique(labels[labels > 0]):
        share = resize_image((labels == value).astype(np.float32), shape)
        out[share > best] = value
        best = np.maximum(best, share)
    return out
