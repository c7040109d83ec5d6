"""One grade of a foramen from neighbouring slices, of which nobody has said which one shows it best.

On a neighbour of the slice that readers chose, the networks are often wrong and less certain. Slices are therefore pooled by the geometric mean, in which a
certain slice counts more than an uncertain one, with weights that fall with the entropy of the grade. `recipes/severity/foramen_slices.py` prints the gain on
foramina that the public images show on two slices.
"""

import numpy as np
from numpy.typing import NDArray

CERTAINTY = 2.0  # weights fall by this power of e for each nat of entropy
_SMALLEST = 1e-6  # probabilities are clipped to this


def pooled_slices(probabilities: NDArray[np.float64], weights: NDArray[np.float64], certainty: float = CERTAINTY) -> NDArray[np.float64]:
    """(n, conditions, 3) from probabilities (slices, n, conditions, 3) and the weights (n, slices) of their distance to the foramen, 0 where there is none.

    The first condition, the foramen, decides how much a slice counts; `certainty` 0 leaves the weights as they are.
    """
    log = np.log(np.clip(probabilities, _SMALLEST, 1))
    entropy = -(probabilities[:, :, 0] * log[:, :, 0]).sum(axis=-1)
    counted = weights.T * np.exp(-certainty * entropy)
    mean = np.einsum("sn,sncg->ncg", counted / counted.sum(axis=0), log)
    result = np.exp(mean)
    return np.asarray(result / result.sum(axis=-1, keepdims=True))
