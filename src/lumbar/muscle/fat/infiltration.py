"""Fat fraction of the muscles from grey values of an image with bright fat (T1, or T2 without fat suppression).

The grey values of all muscles of a stack are classified together, so that lean muscle and fat are defined alike in each of them. A class contributes its
position between lean muscle (0) and pure fat (1), as most voxels of an infiltrated muscle contain both. The constants were tuned on phantoms (synthetic)
of the seeds 2000 to 2008; `recipes/muscle/infiltration.py` measures the errors on others.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.muscle.fat.mixture import Method, Mixture, density, fit_mixture, responsibilities, three_means

Values = NDArray[np.float64]

# Fat within a muscle is darker than the fat around the muscles: muscle has a lower proton density (0.76 against 0.92 of CSF), and the coil lies behind
# the back. Its grey value is searched between these fractions of that of subcutaneous fat.
_DARKER = (0.6, 0.78)
_BRIGHTEST = (0.995, 0.9)  # estimate of nearly pure fat in the muscles: this quantile, times this factor
_LEAST_CONTRAST = 1.3  # fat must be this much brighter than lean muscle
_FEW = 30  # fewest voxels for an estimate


def reference_fat(image: NDArray[np.float32], muscles: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float | None:
    """Grey value of the fat around the muscles: the upper quartile within 15 mm, where there is always fat; None without muscles."""
    around = np.zeros(muscles.shape, bool)
    for k in np.flatnonzero(muscles.any(axis=(1, 2))):
        away = ndimage.distance_transform_edt(~muscles[k], sampling=spacing_mm[1:])
        around[k] = (away > 0) & (away < 15)
    return float(np.quantile(image[around], 0.75)) if around.any() else None


def fat_shares(values: Values, method: Method, fat_around: float) -> Values | None:
    """(n,) fat fraction of each muscle voxel of one stack; slightly negative where a voxel is darker than lean muscle, so that noise averages out.

    None if fat is not clearly brighter than muscle, as with fat suppression. `fat_around` is that of `reference_fat`.
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
    """The mode of the mixture: lean muscle, as long as less than half of the muscle is fat."""
    low, high = np.quantile(values, (0.001, 0.999))
    grid = np.linspace(float(low), float(high), 1000)
    return float(grid[density(mixture, grid).argmax()])
