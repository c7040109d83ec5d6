"""Heights of a disc between the endplates of its bodies.

Masks of discs and bodies rarely touch: readers leave the dark line of endplate and cartilage to neither. That line is 1.5 mm wide on average of the 30 SPIDER
T2 SPACE patients, but from 0.15 to 2.3 mm from one patient to the next (recipes/spine/borders.py), while the network leaves 1.1 to 1.6 mm in everybody. The
height of a disc's mask alone therefore depends on the reader. An endplate is taken to lie half way between the mask of the disc and that of the body.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.spine.shape import Outline, values_at

_PLACES = np.linspace(-1 / 14, 1 / 14, 9)  # around each share of the depth, as in `Outline.height_at_mm`
_GAP_MM = np.arange(-1.5, 5.0, 0.05)  # from the border of the disc: where the body is looked for
_USUAL_GAP_MM = 1.3  # between the network's masks, where the body is not found
_REACH_PIXELS = 2  # around the body's mask: where its probability is read

SHARES = (0.2, 0.5, 0.8)  # of the depth: front, middle and back


def endplate_heights(disc: Outline, above: NDArray[np.float32], below: NDArray[np.float32]) -> tuple[float, float, float]:
    """Front, middle and back height in mm between the endplates.

    Args:
        disc: outline of the disc.
        above: (rows, columns) probability of the body above it, as `body_alone` gives it.
        below: the same of the body, or the strip of the sacrum, below it.
    """
    front, middle, back = (disc.height_at_mm(share) + (_gap_mm(disc, share, above, True) + _gap_mm(disc, share, below, False)) / 2 for share in SHARES)
    return front, middle, back


def body_alone(probability: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(rows, columns) `probability` of bodies within and closely around the `mask` of one of them, 0 elsewhere."""
    return np.where(ndimage.binary_dilation(mask, iterations=_REACH_PIXELS), probability, 0).astype(np.float32)


def _gap_mm(disc: Outline, share: float, body: NDArray[np.float32], upper: bool) -> float:
    """Median distance from the border of the disc to that of the body, at a share of the depth."""
    places = disc.offsets_mm[0] + (share + _PLACES) * disc.depth_mm
    border = np.interp(places, disc.offsets_mm, disc.top_mm if upper else disc.bottom_mm)
    heights = border[:, None] + (-1 if upper else 1) * _GAP_MM
    inside = values_at(body, disc.center + places[:, None, None] * disc.across + heights[..., None] * disc.down) > 0.5
    seen = inside.any(axis=1)
    return float(np.median(_GAP_MM[inside[seen].argmax(axis=1)])) if seen.any() else _USUAL_GAP_MM
