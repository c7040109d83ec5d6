"""Axial rotation of the vertebrae against the section in which they are measured, from where the canal lies behind the bodies.

The section is turned with the spine where its turn is sure (`spine/row_turns.py`). Elsewhere it crosses the front-back axis of a turned vertebra obliquely:
heights of discs then come out too low, as it leaves the deep middle of the endplates (recipes/spine/scoliosis.py).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass, Vertebra
from lumbar.imaging.components import voxels_by_label
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.midplane import Midplane
from lumbar.spine.segment import PIXEL_MM

LARGEST_DEGREES = 12.0  # beyond, disc heights are off by more than their stated error
_FEWEST_SLICES = 6
_WIDE_SHARE = 0.5  # of the largest area of a body in a slice: slices with less lie at its sides
_NEAR_MM = 6.0  # above and below the middle of a body: where the canal is looked for
_SMOOTHED = 3  # bodies: one alone is off by 3° (standard deviation)


def turned_bodies(midplane: Midplane, instances: NDArray[np.uint8], names: Sequence[Vertebra | None]) -> dict[Vertebra, float]:
    """Angle in degrees between each named body and the section, positive if its front points to the patient's right of it; without the sacrum."""
    voxels = voxels_by_label(instances)
    found = {
        name: turn
        for i, name in enumerate(names)
        if name is not None and name is not Vertebra.S1 and FIRST_BODY + i in voxels and (turn := _turn_degrees(midplane, voxels[FIRST_BODY + i])) is not None
    }
    smooth = ndimage.median_filter(np.array(list(found.values()), float), _SMOOTHED, mode="nearest") if found else np.zeros(0)
    return dict(zip(found, (float(turn) for turn in smooth), strict=True))


def turn_warning(turns: dict[Vertebra, float]) -> tuple[str, ...]:
    """A warning that names the vertebrae turned so far that disc heights beside them are underestimated; empty if there are none."""
    far = [name for name, turn in turns.items() if abs(turn) > LARGEST_DEGREES]
    if not far:
        return ()
    most = max(abs(turns[name]) for name in far)
    names = ", ".join(name.value for name in far)
    return (f"{names}: turned by about {most:.0f}° against the section in which they are measured; heights of the discs there may be up to 3 mm too low",)


def _turn_degrees(midplane: Midplane, body: NDArray[np.int64]) -> float | None:
    """From the middle of a body's voxels (n, 3) to that of the canal behind it; None where either is not wholly in view."""
    gap = midplane.segmentation.grid.spacing_mm[0]
    areas = np.bincount(body[:, 0], minlength=len(midplane.segmentation.labels))
    wide = np.flatnonzero(areas > _WIDE_SHARE * areas.max())
    middle = body[:, 1:].mean(axis=0)
    near = round(_NEAR_MM / PIXEL_MM)
    top = max(round(middle[0]) - near, 0)
    canal = np.argwhere(midplane.labels[top : round(middle[0]) + near + 1] == SpineClass.CANAL)
    cut_off = wide[0] == 0 or wide[-1] == len(areas) - 1
    if len(wide) < _FEWEST_SLICES or cut_off or not len(canal):
        return None
    rows = np.arange(len(midplane.slice_of_row))
    aside = ((wide[0] + wide[-1]) / 2 - np.interp(middle[0], rows, midplane.slice_of_row)) * gap
    behind = (canal[:, 1].mean() - middle[1]) * PIXEL_MM
    section = np.degrees(np.interp(middle[0], rows, midplane.turns.radians)) if midplane.turns else 0.0
    return float(np.degrees(np.arctan2(-aside, behind)) - section)
