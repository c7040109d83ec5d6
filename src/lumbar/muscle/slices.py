"""Selection of the slices of an axial file between L1/L2 and L5/S1, without other series."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import LumbarError
from lumbar.muscle.axial import to_axial
from lumbar.spine.network import Network
from lumbar.spine.spine_map import map_spine

LONGEST_MM = 220.0  # the distance from L1/L2 to L5/S1 is at most about 170 mm: a longer file shows more than the lumbar spine


@dataclass(frozen=True)
class FoundLevels:
    """The discs of an axial file, found on reformatted sagittal slices."""

    levels: tuple[LevelFinding, ...]
    both_ends: bool  # they include L1/L2 and L5/S1, with certain names
    warnings: tuple[str, ...]


def is_long(image: Volume) -> bool:
    """Whether `image` shows more of the body than L1/L2 to L5/S1, so that slices must be selected."""
    grid = to_axial(image).grid
    return float(np.ptp(grid.origins_mm @ grid.normal)) > LONGEST_MM


def find_levels(image: Volume, network: Network, progress: Callable[[int, int], None] | None = None) -> FoundLevels:
    """The discs in `image`, from the spine network `network` on reformatted sagittal slices."""
    try:
        spine = map_spine(image, Plane.AXIAL, Weighting.UNKNOWN, network, progress=progress)
    except LumbarError as error:
        return FoundLevels((), False, (f"the levels were not found in the file: {error}",))
    names = {finding.level for finding in spine.finding.levels}
    certain = spine.finding.numbering.confident and {Level.L1_L2, Level.L5_S1} <= names
    warnings = () if spine.finding.numbering.confident else (f"level names are not certain: {spine.finding.numbering.note}",)
    return FoundLevels(tuple(spine.finding.levels), certain, warnings)
