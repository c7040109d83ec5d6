"""Fitting of the occlusion baseline: mean crops of groups of training studies."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans, vq

from lumbar.age.crops import LEVELS
from lumbar.age.occlusion_baseline import BIN_CENTRES_MM, rows_beside_discs
from lumbar.age.store import MARGIN, CropStore, unpacked

_LEAST_STUDIES = 12  # behind a group's means
_COARSE = 4  # studies are compared on means over so many pixels


def fit_baseline(store: CropStore, groups: int = 6, most: int = 600) -> NDArray[np.float32]:
    """(groups, levels, places, rows, columns) mean crops of clusters of similar studies; of at most `most` studies, spread evenly over the store."""
    chosen = np.unique(np.linspace(0, len(store) - 1, min(most, len(store))).astype(int))
    means, counts = zip(*(_by_place(store, int(number)) for number in chosen), strict=True)
    total, count = np.array(means), np.array(counts)
    beside = rows_beside_discs(store.options)
    looks = np.array([_look(sums[..., beside, :], number) for sums, number in zip(total, count, strict=True)])
    label = _cluster(looks, max(1, min(groups, len(chosen) // _LEAST_STUDIES)))
    overall = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)[..., None, None]
    result = []
    for name in np.unique(label):
        own, seen = total[label == name].sum(axis=0), count[label == name].sum(axis=0)
        # A position that no study of a group shows takes the mean of all studies.
        result.append(np.where(seen[..., None, None] > 0, own / np.maximum(seen, 1)[..., None, None], overall))
    return np.array(result, dtype=np.float32)


def _by_place(store: CropStore, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Sums (levels, places, rows, columns) and numbers (levels, places) of one study's crops."""
    crops = unpacked(store.crops[number, :, :, MARGIN:-MARGIN, MARGIN:-MARGIN])
    sums = np.zeros((len(LEVELS), len(BIN_CENTRES_MM), *crops.shape[2:]), dtype=np.float32)
    count = np.zeros(sums.shape[:2], dtype=np.int64)
    place = np.abs(store.position_mm[number][..., None] - np.array(BIN_CENTRES_MM)).argmin(axis=-1)
    for level, k in np.argwhere(store.present[number] > 0):
        sums[level, place[level, k]] += crops[level, k]
        count[level, place[level, k]] += 1
    return sums, count


def _look(sums: NDArray[np.float32], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """Coarse mean of a study over its levels and slices."""
    mean = sums.sum(axis=(0, 1)) / max(int(count.sum()), 1)
    rows, columns = (n // _COARSE for n in mean.shape)
    return np.asarray(mean[: rows * _COARSE, : columns * _COARSE].reshape(rows, _COARSE, columns, _COARSE).mean(axis=(1, 3)).ravel(), dtype=np.float64)


def _cluster(points: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """(n,) group of each point: k-means from points that lie far apart (each the farthest from those before it).

    Groups of few points are dissolved, smallest first: the mean of a few unusual studies is no baseline.
    """
    centres = [points[np.square(points - points.mean(axis=0)).sum(axis=1).argmin()]]
    while len(centres) < count:
        away = np.min([np.square(points - centre).sum(axis=1) for centre in centres], axis=0)
        centres.append(points[away.argmax()])
    middle = np.array(centres)
    while True:
        middle, _ = kmeans(points, middle)
        label, _ = vq(points, middle)
        size = np.bincount(label, minlength=len(middle))
        if len(middle) == 1 or size.min() >= _LEAST_STUDIES:
            return np.asarray(label, np.int64)
        middle = np.delete(middle, int(size.argmin()), axis=0)
