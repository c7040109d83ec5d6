"""Positions of the foramina from the levels of the spine model."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level, Side
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import BACK
from lumbar.severity.foramina.crops import level_distance

Foramen = tuple[Level, Side]

# From the middle of the canal, in the frame of the disc (its own plane and the direction from the disc to the canal): aside, backwards, upwards. The nerve
# root exits below the pedicle, above the height of the disc and in front of the middle of the canal.
_BACK_MM, _UP_MM = -5.0, 6.0
# The sides move apart downwards: 16.5 mm on average, by level as on the slices that readers chose in 1,535 studies (`recipes/severity/foramen_sides.py`).
_ASIDE_MM = dict(zip(Level, (14.7, 15.4, 16.4, 17.5, 18.6), strict=True))
_BACK_L5_S1_MM = -8.0  # epidural fat widens the canal posteriorly there
_CANAL_BEHIND_DISC_MM = 25.0  # where the canal was not found
_USUAL_LEVEL_MM = 34.0  # from one lumbar disc to the next


def foramen_points(levels: Sequence[LevelFinding]) -> dict[Foramen, NDArray[np.float64]]:
    """LPS points (3,) of both foramina of each of `levels`."""
    result = {}
    for found in levels:
        disc = np.array(found.center_mm, dtype=np.float64)
        canal = np.array(found.canal_center_mm, dtype=np.float64) if found.canal_center_mm else disc + _CANAL_BEHIND_DISC_MM * np.array(BACK)
        back = canal - disc
        back[0] = 0.0  # left and right are the patient's, whatever the curve of the column
        back /= max(float(np.linalg.norm(back)), 1e-6)
        up = np.array([0.0, -back[2], back[1]])
        ahead = _BACK_L5_S1_MM if found.level is Level.L5_S1 else _BACK_MM
        for side, sign in ((Side.LEFT, 1.0), (Side.RIGHT, -1.0)):
            result[found.level, side] = canal + ahead * back + _UP_MM * up + np.array([sign * _ASIDE_MM[found.level], 0.0, 0.0])
    return result


def level_distance_mm(points: Mapping[Foramen, NDArray[np.float64]]) -> float:
    """The distance between neighbouring levels in sagittal projection, as in the table of labelled points."""
    sides = [{level: point[1:] for (level, own), point in points.items() if own is side} for side in Side]
    return level_distance(sides, _USUAL_LEVEL_MM)
