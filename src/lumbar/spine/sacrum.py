"""The upper end of S1 in the midplane, against which the slip of L5 is measured.

The strip `SpineClass.SACRUM` was drawn by rule below the lowest disc in the training masks of people, so that its back end is that of the disc, not a wall.
Where L5 has slipped forwards, S1 reaches further back than the disc: networks with the class `AddedClass.S1_BELOW_STRIP` label that part as well.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.midplane import Midplane
from lumbar.spine.shape import Outline, outline


def sacral_outline(midplane: Midplane, strip: NDArray[np.bool_], disc: Outline) -> Outline | None:
    """The outline of S1 in the frame of the disc above it; None where the network labels its strip only, or it is not seen.

    Args:
        midplane: with the probability of S1 below its strip.
        strip: (rows, columns) the strip below the disc.
        disc: L5/S1.
    """
    if midplane.s1 is None:
        return None
    probability = midplane.probabilities[SpineClass.SACRUM] + midplane.s1
    parts, _ = ndimage.label(probability > 0.5)
    sizes = np.bincount(parts[strip], minlength=1)
    sizes[0] = 0
    return outline(parts == sizes.argmax(), probability, disc.across) if sizes.any() else None
