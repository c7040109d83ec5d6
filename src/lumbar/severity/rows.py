"""Submission rows of graded crops."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.axial_crops import AXIAL_CONDITIONS, AxialCrop
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.domain.anatomy import Condition, Level


def crop_rows(crops: Sequence[AxialCrop], metric: NDArray[np.float64]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Rows of the canal and both recesses from probabilities (n, 5, 3), studies in the order of the table, the mean where a level has several crops."""
    places: dict[str, dict[Level, list[int]]] = {}
    for place, crop in enumerate(crops):
        places.setdefault(crop.study_id, {}).setdefault(crop.level, []).append(place)
    order = list(Condition)
    for study, by_level in places.items():
        for condition in AXIAL_CONDITIONS:
            for level in Level:
                if level in by_level:
                    yield row_id(study, condition, level), metric[by_level[level], order.index(condition)].mean(axis=0)
