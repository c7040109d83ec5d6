"""From a cropped image of a disc level to what the grading network takes."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CROP_ROWS = 96  # about the native size of the crops: their median is 84 × 124 pixels
CROP_COLUMNS = 136

CropImage = NDArray[np.uint8]  # (rows, columns, 3): three neighbouring slices, the disc's own in the middle

# Parts of the crop that are graded one by one and averaged, as (left, top, right, bottom) shares: all of it, and four a little nearer and off centre.
_VIEWS = ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.93, 0.93), (0.07, 0.0, 1.0, 0.93), (0.0, 0.07, 0.93, 1.0), (0.07, 0.07, 1.0, 1.0))
VIEWS = len(_VIEWS)


def network_input(image: CropImage, view: int = 0) -> NDArray[np.float32]:
    """(3, 96, 136) of zero mean and unit variance from `image` of any size; `view` 0 is the whole of it, 1 to 4 are nearer and off centre."""
    rows, columns = image.shape[:2]
    left, top, right, bottom = _VIEWS[view]
    box = (left * columns, top * rows, right * columns, bottom * rows)
    resized = Image.fromarray(image).resize((CROP_COLUMNS, CROP_ROWS), Image.Resampling.BILINEAR, box=box)
    array = np.asarray(resized, dtype=np.float32).transpose(2, 0, 1)
    return np.asarray((array - array.mean()) / max(float(array.std()), 1e-3), dtype=np.float32)
