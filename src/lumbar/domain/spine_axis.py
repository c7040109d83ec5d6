"""Direction of the spine at each level, from the discs above and below."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding


def level_axes(levels: Sequence[LevelFinding]) -> Mapping[Level, NDArray[np.float64]]:
    """(3,) unit vector towards the head along the spine at each level; along the body where a single level was found."""
    centers = np.array([level.center_mm for level in levels], dtype=np.float64).reshape(-1, 3)
    if len(centers) < 2:
        return {level.level: np.array([0.0, 0.0, 1.0]) for level in levels}
    steps = np.asarray(np.gradient(centers, axis=0), dtype=np.float64)
    steps *= np.sign(steps[:, 2:] + 1e-12)
    return {level.level: step / np.linalg.norm(step) for level, step in zip(levels, steps, strict=True)}
