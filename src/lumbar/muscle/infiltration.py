"""The share of a muscle that is fat, told from its grey values in a picture in which fat is bright (T1, T2 without fat suppression)."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.muscle.mixture import Method, fit_mixture, responsibilities, three_means

# Shares of the way from lean muscle to pure fat: the brightest group of grey values must have come this far to be called fat at all, and another group
# is fat beside it if it has come nearly all the way.
_LEAST = 0.15
_NEARLY_PURE = 0.7


def reference_fat(picture: NDArray[np.float32], muscles: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float | None:
    """Grey value of nearly pure fat: the 90th percentile within 15 mm around the muscles, where fat always lies; None without muscles."""
    around = np.zeros(muscles.shape, bool)
    for k in np.flatnonzero(muscles.any(axis=(1, 2))):
        away = ndimage.distance_transform_edt(~muscles[k], sampling=spacing_mm[1:])
        around[k] = (away > 0) & (away < 15)
    return float(np.quantile(picture[around], 0.9)) if around.any() else None


def fat_share(values: NDArray[np.float64], method: Method, fat_level: float | None) -> tuple[float, NDArray[np.float64]]:
    """(share of fat, chance of being fat of each value); `fat_level` is the grey value of pure fat, if known.

    The values are sorted into groups, and the brightest group is fat. Against `fat_level` two exceptions are made: a lean muscle that is only split by
    its noise has no fat, and where two groups are nearly as bright as pure fat, both are fat.
    """
    if values.size < 30 or np.ptp(values) == 0:
        return 0.0, np.zeros(values.shape)
    if method == "kmeans3":
        centres = three_means(values)
        chances = (np.abs(values[None] - centres[:, None]).argmin(axis=0) == np.arange(len(centres))[:, None]).astype(np.float64)
    else:
        mixture = fit_mixture(values, 3 if method == "gmm3" else 2)
        centres, chances = np.array(mixture.means), responsibilities(mixture, values)
    fat = np.arange(len(centres)) == len(centres) - 1
    if fat_level is not None and fat_level > centres[0]:
        way = (centres - centres[0]) / (fat_level - centres[0])
        fat = (fat & (way > _LEAST)) | (way > _NEARLY_PURE)
    chance = chances[fat].sum(axis=0)
    return float(chance.mean()), chance
