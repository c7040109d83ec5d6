"""The fat around the nerve root of a foramen, measured on the sagittal T1 slice nearest to it.

Readers grade a foramen by the amount of remaining fat (Lee et al., AJR 2010;194:1095). Fat is brighter than half way from the median to the
90th percentile of the crop; it is counted within a disc around the foramen's point. `recipes/severity/foramen_fat.py` prints how the area follows the
grades of readers on 1,551 studies, and the effect of a misplaced point.
"""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Severity
from lumbar.domain.findings import ForamenFat
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS, STORED_SIZE
from lumbar.severity.foramina.cut import NEIGHBOURS, ForamenCrop

RADIUS_PIXELS = 6.0  # of the disc, in pixels of a crop: 32 from level to level, so about 6.4 mm
_BRIGHT_PERCENTILE = 90.0
# Median area of 15,484 foramina at readers' points, by grade; alone it separates severe from other foramina with an AUC of 0.94.
USUAL_AREA_MM2 = {Severity.NORMAL_MILD: 53.0, Severity.MODERATE: 23.0, Severity.SEVERE: 5.0}


def fat_mask(stored: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(…, 96, 96) where stored crops (…, 96, 96) show fat within the disc around their middle."""
    margins = [(STORED_SIZE - size) // 2 for size in (CROP_ROWS, CROP_COLUMNS)]
    seen = stored[..., margins[0] : STORED_SIZE - margins[0], margins[1] : STORED_SIZE - margins[1]].reshape(*stored.shape[:-2], -1)
    half_way = (np.median(seen, axis=-1) + np.percentile(seen, _BRIGHT_PERCENTILE, axis=-1)) / 2
    away = np.arange(STORED_SIZE) - (STORED_SIZE - 1) / 2
    return np.asarray((stored > half_way[..., None, None]) & (np.hypot(away[:, None], away) < RADIUS_PIXELS))


def measured_fat(crop: ForamenCrop) -> ForamenFat:
    """The fat of one foramen on the slice nearest to it."""
    mask = fat_mask(crop.images[len(NEIGHBOURS) // 2])
    across = mask.sum(axis=1)
    pixel = crop.pixel_mm
    return ForamenFat(float(across.sum()) * pixel**2, float((across > 0).sum()) * pixel, float(across.max()) * pixel)
