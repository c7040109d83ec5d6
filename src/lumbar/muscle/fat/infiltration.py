"""The share of the muscles that is fat, told from their grey values in an image in which fat is bright (T1, T2 without fat suppression).

All muscles of a stack are sorted into groups of grey values together, so that lean muscle and fat mean the same in each of them. A group counts with its
place between lean muscle (0) and pure fat (1), as most voxels of an infiltrated muscle hold both. The constants were set on phantoms (synthetic) of the
seeds 2000 to 2008; `recipes/muscle/infiltration.py` measures the errors on others.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.muscle.fat.mixture import Method, Mixture, density, fit_mixture, responsibilities, three_means

Values = NDArray[np.float64]

# Fat within a muscle is darker than the fat around the muscles: muscle holds fewer protons (0.76 against 0.92 of those of CSF), and the coil lies behind
# the back. Its grey value is looked for between these shares of that fat.
_DARKER = (0.6, 0.78)
_BRIGHTEST = (0.995, 0.9)  # where in the muscles nearly pure fat is looked for: this quantile, times this
_LEAST_CONTRAST = 1.3  # fat must be this much brighter than lean muscle
_FEW = 30  # voxels that say nothing


def reference_fat(image: NDArray[np.float32], muscles: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float | None:
    """Grey value of the fat around the muscles: the upper quartile within 15 mm, where fat always lies; None without muscles."""
    around = np.zeros(muscles.shape, bool)
    for k in np.flatnonzero(muscles.any(axis=(1, 2))):
        away = ndimage.distance_transform_edt(~muscles[k], sampling=spacing_mm[1:])
        around[k] = (away > 0) & (away < 15)
    return float(np.quantile(image[around], 0.75)) if around.any() else None


def fat_shares(values: Values, method: Method, fat_around: float) -> Values | None:
    """(n,) share of fat of each voxel of the muscles of one stack; a little below 0 where a voxel is darker than lean muscle, so that noise cancels.

    None if fat is not clearly brighter than muscle, as with fat suppression, so that its share cannot be told. `fat_around` is that of `reference_fat`.
    """
    if values.size < _FEW or np.ptp(values) == 0:
        return np.zeros(values.shape)
    if method == "kmeans3":
        centres = three_means(values)
        lean = float(centres[0])
    else:
        mixture = fit_mixture(values, 3 if method == "gmm3" else 2)
        centres, lean = np.array(mixture.means), commonest(mixture, values)
    if fat_around < _LEAST_CONTRAST * lean:
        return None
    quantile, share = _BRIGHTEST
    pure = float(np.clip(share * np.quantile(values, quantile), _DARKER[0] * fat_around, _DARKER[1] * fat_around))
    place = np.minimum((centres - lean) / max(pure - lean, 1e-6), 1.0)
    if method == "kmeans3":
        return np.asarray(place[np.abs(values[None] - centres[:, None]).argmin(axis=0)])
    return np.asarray(place @ responsibilities(mixture, values))


def commonest(mixture: Mixture, values: Values) -> float:
    """The grey value at which the mixture is densest: lean muscle, as long as less than half of the muscles is fat."""
    low, high = np.quantile(values, (0.001, 0.999))
    grid = np.linspace(float(low), float(high), 1000)
    return float(grid[density(mixture, grid).argmax()])
