"""Whether the spine leaves the stack of slices sideways, as a strongly curved one does: what is beside the last slice cannot be named or measured."""

import numpy as np

from lumbar.spine.midplane import Midplane

_AT_EDGE = 0.3  # of the distance between slices, from the first or last one
_FEWEST_SLICES = 4  # fewer do not tell
_MOST_ROWS = 0.1  # of the rows


def leaves_stack(midplane: Midplane, rows: tuple[float, float]) -> bool:
    """Whether the middle of the canal lies in the first or last slice, or beyond, in more than a tenth of the rows.

    Args:
        midplane: of the spine.
        rows: the first and the last row to look at, those of the uppermost and of the lowest disc.
    """
    last = midplane.segmentation.grid.shape[0] - 1
    if last + 1 < _FEWEST_SLICES:
        return False
    first_row, last_row = max(0, round(rows[0])), round(rows[1]) + 1
    path = midplane.slice_of_row[first_row:last_row]
    return bool(np.mean((path <= _AT_EDGE) | (path >= last - _AT_EDGE)) > _MOST_ROWS) if len(path) else False
