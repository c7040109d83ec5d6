"""The crops of one study at the levels of its spine, with masks and measurements for graders that need them."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.domain.study import Study
from lumbar.domain.volume import Volume
from lumbar.severity.studies.spots import spine_spots
from lumbar.severity.studies.view_cut import cut_views
from lumbar.severity.studies.views import LEVELS, MEASURES, StudyCrops


def spine_crops(study: Study, levels: Sequence[LevelFinding], tissue: Volume | None = None) -> StudyCrops:
    """The crops of `study` at `levels`; with the tissue mask of the spine, also its crops and the measurements of the levels."""
    crops = cut_views(spine_spots(study, levels), tissue)
    return crops if tissue is None else replace(crops, measures=measured(levels))


def measured(levels: Sequence[LevelFinding]) -> NDArray[np.float32]:
    """(5 levels, measures) measurements of the spine model, NaN where missing; heights are those of the discs' masks, which graders are trained with."""
    result = np.full((len(LEVELS), len(MEASURES)), np.nan, np.float32)
    for finding in levels:
        values = asdict(finding) | _mask_heights(finding)
        if finding.level is Level.L5_S1:
            values["slip_mm"] = None  # graders are trained without the slip of L5
        result[LEVELS.index(finding.level)] = [np.nan if values[name] is None else values[name] for name in MEASURES]
    return result


def _mask_heights(finding: LevelFinding) -> dict[str, float | None]:
    heights = finding.disc_mask_heights_mm
    return {
        "disc_height_mm": sum(heights) / 3 if heights else None,
        "disc_height_posterior_mm": heights[2] if heights else None,
        "disc_height_index": finding.disc_mask_height_index,
    }
