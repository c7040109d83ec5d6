"""Weighting from the image alone, for series without it in the header, by whether cerebrospinal fluid is bright (T2, STIR) or dark (T1).

In a sagittal slice the canal is an upright, smooth band. The brightest and the darkest such band between the middle and the back of the body are followed
from top to bottom; how strong each is, how it stands out from what lies before and behind it, and how smooth it is goes into a logistic function. Its
numbers were fitted on SPIDER's mid-sagittal images by `recipes/io/csf_brightness.py`, which prints its accuracy. The weighting of an image unlike
those, or of an ambiguous one, remains unknown.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.volume import Volume

SURE_LOG_ODDS = 3.5  # 97 %
_FARTHEST = 4.5  # spreads by which a feature may differ from the training images
CLIPPED = 2.5  # spreads beyond which a feature counts no more
_PIXEL_MM = 2.0
_BAND_PX = 3.5  # scale of the band's profile: the canal is 12 to 18 mm wide

# Means, spreads and weights of the twelve features, then the offset; printed by the recipe.
_MEANS = (0.1013, -0.0031, 0.7511, 0.3083, 0.1284, 0.2871, 0.1079, -0.0063, -0.3523, -1.1518, 0.2338, 0.2866)
_SPREADS = (0.1184, 0.1340, 0.5170, 0.4755, 0.0692, 0.1116, 0.0958, 0.1161, 0.4315, 0.5612, 0.0998, 0.0942)
_WEIGHTS = (1.6800, 0.0541, -0.5513, 0.3120, 0.4510, 1.0466, -0.3179, 0.3755, 0.4822, 0.0892, 1.9695, -0.5229)
_OFFSET = 0.7027


def log_odds_of_bright_csf(volume: Volume) -> float | None:
    """Log-odds that fluid is bright in a sagittal volume, averaged over its middle slices; None where they are unlike the training images."""
    upright = _upright(volume)
    count = len(upright.array)
    middle = upright.array[count // 3 : max(count - count // 3, count // 3 + 1)]
    pixel_mm = upright.grid.spacing_mm[1], upright.grid.spacing_mm[2]
    odds = [one for image in middle if (one := _log_odds(features(image.astype(np.float32), pixel_mm))) is not None]
    return float(np.mean(odds)) if len(odds) > len(middle) / 2 else None


def _log_odds(found: NDArray[np.float64] | None) -> float | None:
    if found is None:
        return None
    spreads = (found - np.array(_MEANS)) / np.array(_SPREADS)
    if np.abs(spreads).max() > _FARTHEST:
        return None
    return float(np.clip(spreads, -CLIPPED, CLIPPED) @ np.array(_WEIGHTS) + _OFFSET)


def features(image: NDArray[np.float32], pixel_mm: tuple[float, float]) -> NDArray[np.float64] | None:
    """(12,) features that distinguish T1 from T2 in one sagittal slice with the head up and the back at the right; None without a visible body.

    For the bright band, then the dark one: mean and low strength, its log brightness against the 20 mm before it and the 16 mm behind it, and the
    unevenness along itself and along what lies before it.
    """
    zoomed = ndimage.zoom(image - image.min(), (pixel_mm[0] / _PIXEL_MM, pixel_mm[1] / _PIXEL_MM), order=1)
    top = float(np.percentile(zoomed, 99)) if zoomed.size else 0.0
    searched = _behind_the_middle(_largest(ndimage.gaussian_filter(zoomed, 2) > 0.06 * top))
    rows = slice(int(0.15 * len(zoomed)), int(0.7 * len(zoomed)))
    if top <= 0 or len(zoomed) < 40 or searched[rows].any(axis=1).mean() < 0.5:
        return None
    # Tissue near the coils is bright; subtracting a wide blur of the logarithm corrects that.
    flat = np.log(zoomed + 0.01 * top)
    flat = flat - ndimage.gaussian_filter(flat, (6, 20))
    along = ndimage.gaussian_filter1d(flat, 5, axis=0)
    uneven = ndimage.gaussian_filter1d(np.abs(flat - along), 5, axis=0)[rows]
    bandness = -(_BAND_PX**2) * ndimage.gaussian_filter1d(along[rows], _BAND_PX, axis=1, order=2)
    found: list[float] = []
    for sign in (1, -1):
        strength = np.where(searched[rows], np.clip(sign * bandness, -1.5, 1.5) - uneven, -2.0)
        path = _best_path(strength)
        followed = strength[np.arange(len(path)), path]
        inside, before, behind = (_beside(flat[rows], path, low, high) for low, high in ((-1, 2), (-16, -6), (6, 14)))
        found += [followed.mean(), np.percentile(followed, 20), np.median(inside - before), np.median(inside - behind)]
        found += [_beside(uneven, path, -1, 2).mean(), _beside(uneven, path, -14, -6).mean()]
    return np.array(found)


def _upright(volume: Volume) -> Volume:
    """The volume with rows from head to foot and columns from front to back, slices as they are."""
    rows, columns = volume.grid.row_step_mm, volume.grid.column_step_mm
    swap = abs(rows[2]) * np.linalg.norm(columns) < abs(columns[2]) * np.linalg.norm(rows)
    down, back = (columns, rows) if swap else (rows, columns)
    return volume.rearranged((0, 2, 1) if swap else (0, 1, 2), (False, bool(down[2] > 0), bool(back[1] < 0)))


def _largest(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(ndimage.binary_fill_holes(body))
    sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax()) & (sizes.max() > 0)


def _behind_the_middle(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where the canal can be: from 130 to 24 mm before the skin of the back, not in the front 30 mm of the body."""
    searched = np.zeros_like(body)
    for row, inside in enumerate(body):
        places = np.flatnonzero(inside)
        if len(places) > 20:
            searched[row, max(places[0] + 15, places[-1] - 65) : max(0, places[-1] - 12)] = True
    return searched


def _best_path(strength: NDArray[np.float64]) -> NDArray[np.intp]:
    """Column in each row of the path from top to bottom, moving by one column a row at most, along which strengths add up highest."""
    total = strength.copy()
    steps = np.zeros(strength.shape, np.intp)
    for row in range(1, len(strength)):
        above = np.pad(total[row - 1], 1, constant_values=-np.inf)
        choices = np.stack([above[:-2], above[1:-1], above[2:]])
        steps[row] = choices.argmax(axis=0) - 1
        total[row] += choices.max(axis=0)
    columns = np.empty(len(strength), np.intp)
    columns[-1] = total[-1].argmax()
    for row in range(len(strength) - 1, 0, -1):
        columns[row - 1] = columns[row] + steps[row, columns[row]]
    return columns


def _beside(values: NDArray[np.float64], columns: NDArray[np.intp], low: int, high: int) -> NDArray[np.float64]:
    """Mean of `values` in each row from `low` to `high` pixels beside the path."""
    reach = np.clip(columns[:, None] + np.arange(low, high), 0, values.shape[1] - 1)
    return np.asarray(np.take_along_axis(values, reach, axis=1).mean(axis=1), dtype=np.float64)
