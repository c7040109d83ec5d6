"""Fat fraction of the muscles from grey values of an image with bright fat (T1, or T2 without fat suppression).

The grey values of all muscles of a stack are classified together, so that lean muscle and fat are defined alike in each of them. A class contributes its
position between lean muscle (0) and pure fat (1), as most voxels of an infiltrated muscle contain both. The constants were tuned on phantoms (synthetic)
of the seeds 2000 to 2008; `recipes/muscle/infiltration.py` measures the errors on others.
"""

import math

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
_AROUND_MM = 15.0  # distance from the muscles within which there is always fat
_FEW = 30  # fewest voxels for an estimate


def reference_fat(image: NDArray[np.float32], muscles: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float | None:
    """Grey value of the fat around the muscles: the upper quartile within `_AROUND_MM`; None without muscles."""
    margin = [math.ceil(_AROUND_MM / step) for step in spacing_mm[1:]]
    values = []
    for k, mask in enumerate(muscles):
        for box in ndimage.find_objects(mask.astype(np.int8)):
            part = tuple(slice(max(0, side.start - by), side.stop + by) for side, by in zip(box, margin, strict=True))
            away = ndimage.distance_transform_edt(~mask[part], sampling=spacing_mm[1:])
            values.append(image[k][part][(away > 0) & (away < _AROUND_MM)])
    around = np.concatenate(values) if values else np.empty(0)
    return float(np.quantile(around, 0.75)) if around.size else None


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
