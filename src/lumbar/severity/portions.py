"""Portions of a long list of crops: whole studies, as the crops of a study attend to each other."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_CROPS_AT_ONCE = 60


def portions(owners: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows of whole studies, about `_CROPS_AT_ONCE` at a time; `owners` (n,) numbers the study of each crop."""
    waiting: list[NDArray[np.int64]] = []
    order = np.argsort(owners, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(owners[order])) + 1):
        waiting.append(members)
        if sum(map(len, waiting)) >= _CROPS_AT_ONCE:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)
