"""Disc levels from a mask of levels, as written by `segment spine`."""

import numpy as np

from lumbar.domain.findings import LevelFinding
from lumbar.domain.mask_labels import DISC_LABELS
from lumbar.domain.volume import Volume
from lumbar.errors import NoUsableSeries


def levels_of(discs: Volume) -> tuple[LevelFinding, ...]:
    """The middle of every disc (labels 1…5 = L1/L2…L5/S1; others are not discs).

    Raises:
        NoUsableSeries: the mask contains none of these labels.
    """
    found = []
    for level, number in DISC_LABELS.items():
        where = np.argwhere(discs.array == number)
        if where.size:
            x, y, z = discs.grid.points_mm(where).mean(axis=0)
            found.append(LevelFinding(level, (float(x), float(y), float(z))))
    if not found:
        raise NoUsableSeries("the mask of levels has no disc labels (1 to 5 for L1/L2 to L5/S1); give levels.nii.gz of `lumbar segment spine`")
    return tuple(found)
