"""Segmentations made from reference masks instead of network output, to test measurements without segmentation errors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.spider import PIXEL_MM as SPIDER_PIXEL_MM
from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.imaging.orient import to_sagittal
from lumbar.imaging.resample import resize_image, resized_grid
from lumbar.phantom.labels import BODY, CANAL, DISC, POSTERIOR
from lumbar.spine.segment import PIXEL_MM, Segmentation
from lumbar.training.examples import LabelledSlice

SPIDER_GAP_MM = 2.0  # between the available slices of SPIDER T2 SPACE
_S1_STRIP_MM = 6.0  # of the first sacral body below its endplate, as in the training masks


def segmentation_of(labels: Volume, image: Volume | None = None) -> Segmentation:
    """The output of a perfect network: the fraction of each class (values of `SpineClass`) on the network's grid.

    Args:
        labels: (slices, rows, columns) of any orientation whose slices are sagittal.
        image: the image on the same grid; where it is missing, the labels take its place.
    """
    turned = to_sagittal(labels)
    _, row_mm, column_mm = turned.grid.spacing_mm
    shape = round(turned.grid.rows * row_mm / PIXEL_MM), round(turned.grid.columns * column_mm / PIXEL_MM)
    shares = np.stack([[resize_image((s == kind).astype(np.float32), shape) for kind in SpineClass] for s in turned.array])
    source = to_sagittal(image).array if image else turned.array
    pixels = np.stack([resize_image(np.asarray(s, dtype=np.float32), shape) for s in source])
    grid = resized_grid(turned.grid, shape)
    return Segmentation(Volume(pixels, grid), shares.astype(np.float16), shares.argmax(axis=1).astype(np.uint8), labels.grid)


def spider_volumes(slices: Sequence[LabelledSlice]) -> tuple[Volume, Volume]:
    """Image and labels of one SPIDER T2 SPACE patient."""
    origins = np.arange(len(slices))[:, None] * np.array([SPIDER_GAP_MM, 0, 0])
    grid = Grid(origins, np.array([0, 0, -SPIDER_PIXEL_MM]), np.array([0, SPIDER_PIXEL_MM, 0]), *slices[0].image.shape)
    return Volume(np.stack([s.image for s in slices]), grid), Volume(np.stack([s.labels for s in slices]), grid)


def phantom_labels(labels: Volume) -> Volume:
    """A phantom's label volume in values of `SpineClass`; S1 is reduced to its upper strip, as in reader-derived masks."""
    table = np.zeros(256, dtype=np.uint8)
    for name, number in BODY.items():
        table[number] = SpineClass.SACRUM if name == "S1" else SpineClass.BODY
    for number in POSTERIOR.values():
        table[number] = SpineClass.POSTERIOR
    for number in DISC.values():
        table[number] = SpineClass.DISC
    table[CANAL] = SpineClass.CANAL
    array = table[labels.array]
    return Volume(_only_upper_strip(array, labels.grid), labels.grid)


def _only_upper_strip(array: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
    heights = grid.points_mm(np.indices(array.shape).reshape(3, -1).T.astype(float))[:, 2].reshape(array.shape)
    disc = array == SpineClass.DISC
    sacrum = array == SpineClass.SACRUM
    if not sacrum.any() or not disc.any():
        return array
    lowest = heights[disc].min()
    out = array.copy()
    out[sacrum & (heights < lowest - _S1_STRIP_MM)] = 0
    return out
