"""The canal at the height of a disc, and whether its width there can be trusted.

The antero-posterior diameter is the narrowest width of the canal at the height of the disc, perpendicular to the canal (after Verbiest, J Bone Joint Surg
Br 1954;36:230, who measured bone; here it is the canal as the masks have it, close to the dural sac).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.measurement_errors import within_error
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline, Vector, width_mm

_CANAL_REACH_MM = 16.0
_STEP_MM = 0.5  # between the places along the canal at which its width is taken
_BEYOND_MM = 2.0  # above and below the disc: the mask has to go on there, as it tapers where it ends
_OFF_CENTRE_MM = 4.0  # beyond, the section of a sac 16 mm wide is more than an eighth too narrow
_BORDER_MM = 5.0  # from the middle of the canal to the edge of the stack: with less, more than a third of the canal may be out of view
_ASIDE_MM = 16.0  # to either side of the section: where the canal is looked for
_HALF_DEPTH_MM = 10.0  # in front of the middle of the canal and behind it
_WIDE_SHARE = 0.5  # of the largest width in a slice: slices with less lie beside the canal


@dataclass(frozen=True)
class Canal:
    """The canal at one disc level."""

    center: Vector  # (2,) mm in the midplane
    ap_mm: float
    area_mm2: float
    doubt: str | None = None  # why diameter and area may be far too small; None where nothing speaks against them


def canal_at(midplane: Midplane, disc: Outline) -> Canal | None:
    """The canal behind a disc, or None where it was not detected."""
    probability = midplane.probabilities[SpineClass.CANAL]
    back = disc.center + (disc.offsets_mm[-1] + 2.0) * disc.across
    pixels = np.argwhere(midplane.labels == SpineClass.CANAL) * PIXEL_MM
    near = pixels[np.linalg.norm(pixels - (back + 6.0 * disc.across), axis=1) < 18.0]
    if len(near) < 30:
        return None
    along, across = _directions(near)
    half = max(2.0, 0.5 * disc.height_at_mm(0.8))
    start = back + 6.0 * disc.across

    def width_at(shift_mm: float) -> tuple[float, Vector] | None:
        return width_mm(probability, start + shift_mm * along, across, _CANAL_REACH_MM)

    found = [width_at(shift) for shift in np.arange(-half, half + _STEP_MM / 2, _STEP_MM)]
    seen = [f for f in found if f is not None]
    if len(seen) < len(found) / 2:
        return None
    widths = ndimage.median_filter(np.array([width for width, _ in seen]), 3, mode="nearest")
    at = int(np.argmin(widths))
    narrowest = float(widths[at])
    doubt: str | None
    if None in (found[0], found[-1], width_at(-half - _BEYOND_MM), width_at(half + _BEYOND_MM)):
        doubt = "its mask ends at the disc"
    elif len(seen) < len(found) and not within_error(narrowest):
        doubt = "its mask is interrupted at the disc"
    else:
        doubt = _section_doubt(midplane, seen[at][1])
    return Canal(seen[at][1], narrowest, float(np.sum(widths) * _STEP_MM), doubt)


def _directions(pixels: NDArray[np.float64]) -> tuple[Vector, Vector]:
    """Unit vectors along the canal, downwards, and across it, backwards, from its pixels (n, 2)."""
    _, _, axes = np.linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    along = axes[0] * (1 if axes[0][0] > 0 else -1)
    across = np.array([-along[1], along[0]])
    return np.asarray(along), across if across[1] > 0 else -across


def _section_doubt(midplane: Midplane, place_mm: Vector) -> str | None:
    """Why the midplane may not pass through the middle of the canal at a place (2,) of it; None where it does.

    The canal is looked for in the slices on both sides, so that a protrusion in the middle, which leaves it wider beside, does not raise a doubt. A single
    slice cannot be checked.
    """
    row, column = (round(v) for v in place_mm / PIXEL_MM)
    half, gap = round(_HALF_DEPTH_MM / PIXEL_MM), midplane.segmentation.grid.spacing_mm[0]
    window = midplane.segmentation.probabilities[:, SpineClass.CANAL, max(row - 1, 0) : row + 2, max(column - half, 0) : column + half + 1]
    widths = window.astype(np.float32).mean(axis=1).sum(axis=1)
    aside_mm = (np.arange(len(widths)) - midplane.slice_of_row[min(row, len(midplane.slice_of_row) - 1)]) * gap
    near = np.abs(aside_mm) <= _ASIDE_MM
    wide = near & (widths > _WIDE_SHARE * widths[near].max(initial=0))
    if len(widths) == 1:
        return None
    if not wide.any() or abs(np.average(aside_mm[wide], weights=widths[wide])) > _OFF_CENTRE_MM:
        return "the section does not pass through its middle"
    edges = aside_mm[[0, -1]] + np.array([-gap, gap]) / 2
    if (wide[[0, -1]] & (np.abs(edges) < _BORDER_MM)).any():
        return "the stack of slices ends beside its middle"
    return None
