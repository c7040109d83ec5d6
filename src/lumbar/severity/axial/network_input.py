"""Input of the grading network from a cropped image of a disc level."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CROP_ROWS = 96  # about the native size of the crops (median 84 × 124 pixels)
CROP_COLUMNS = 136

CropImage = NDArray[np.uint8]  # (rows, columns, 3): three neighbouring slices, the disc level in the middle

# Views of test-time augmentation as (left, top, right, bottom) fractions: the whole crop, and four slightly magnified off-centre views.
_VIEWS = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.93, 0.93), (0.07, 0.0, 1.0, 0.93), (0.0, 0.07, 0.93, 1.0), (0.07, 0.07, 1.0, 1.0))
VIEWS = len(_VIEWS)


def network_input(image: CropImage, view: int = 0) -> NDArray[np.float32]:
    """(3, 96, 136) of zero mean and unit variance from `image` of any size; `view` 0 is the whole image, 1 to 4 are magnified and off centre."""
    rows, columns = image.shape[:2]
    left, top, right, bottom = _VIEWS[view]
    box = (left * columns, top * rows, right * columns, bottom * rows)
    resized = Image.fromarray(image).resize((CROP_COLUMNS, CROP_ROWS), Image.Resampling.BILINEAR, box=box)
    array = np.asarray(resized, dtype=np.float32).transpose(2, 0, 1)
    return np.asarray((array - array.mean()) / max(float(array.std()), 1e-3), dtype=np.float32)
