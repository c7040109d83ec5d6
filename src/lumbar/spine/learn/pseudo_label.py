"""Pseudo-labels for unlabelled images: confident predictions of a trained network, kept where they are anatomically plausible.

Training on them adds scanners and diseases that the labelled cases lack (self-training; Yarowsky 1995, Xie et al. 2020).
"""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.errors import InputError
from lumbar.spine.chain import find_chain
from lumbar.spine.column import straighten
from lumbar.spine.instances import midplane_instances
from lumbar.spine.midplane import find_midplane
from lumbar.spine.network import Network
from lumbar.spine.segment import PIXEL_MM, segment_image
from lumbar.spine.shape import outline
from lumbar.training.examples import IGNORED, LabelledSlice

_SURE = 0.75  # least probability of a pseudo-labelled pixel
_FEWEST_DISCS = 5
_LEAST_TILT_DEGREES = 12.0  # of L5/S1
_BESIDE_MM = 25.0  # bone and fluid further than this from the column and the canal are ignored


def pseudo_label(patient: str, image: NDArray[np.float32], pixel_mm: float, network: Network) -> LabelledSlice | None:
    """The image with pseudo-labels, or None where no plausible spine down to the sacrum was found (an upside-down image, for example)."""
    try:
        midplane = find_midplane(segment_image(image, pixel_mm, network))
        column = straighten(midplane)
        chain = find_chain(column, midplane)
    except InputError:
        return None
    if len(chain.discs) < _FEWEST_DISCS or chain.sacrum_mm is None or chain.doubts or any(d.inferred or d.strength < 0.6 for d in chain.discs):
        return None
    instances = midplane_instances(midplane, column, chain)
    first, last = (outline(instances == number, midplane.probabilities[SpineClass.DISC]) for number in (1, len(chain.discs)))
    # An upside-down image begins with the steep L5/S1 and ends in a thoracic disc, which lies flat.
    if first is None or last is None or first.tilt_degrees < -20 or last.tilt_degrees < _LEAST_TILT_DEGREES:
        return None
    labels = np.where(midplane.probabilities.max(axis=0) >= _SURE, midplane.labels, IGNORED).astype(np.uint8)
    in_column = np.isin(midplane.labels, (SpineClass.BODY, SpineClass.DISC, SpineClass.SACRUM))
    labels[in_column & ~column.mask] = IGNORED
    away = _distance(column.line, labels.shape) > 2 * _BESIDE_MM
    labels[away & (midplane.labels != SpineClass.BACKGROUND)] = IGNORED
    return LabelledSlice(patient, midplane.segmentation.image.array[0].astype(np.float32), labels, PIXEL_MM)


def _distance(line: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(rows, columns) horizontal distance in mm from the centre line."""
    rows, columns = np.indices(shape)
    middle = np.interp(rows, line[:, 0], line[:, 1])
    return np.asarray(np.abs(columns - middle) * PIXEL_MM)
