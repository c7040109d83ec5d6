"""Arrays for training and evaluation from the axial crop table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumbar.datasets.axial_crops import AxialCrop, read_image
from lumbar.datasets.rsna2024_grades import Grades
from lumbar.domain.anatomy import Condition, Level, Severity

STORED_ROWS = 112  # larger than the network input, to leave a margin for augmentation
STORED_COLUMNS = 160
UNLABELLED = -1
LEVELS = tuple(Level)
GRADE_ORDER = tuple(Severity)


def stored_images(crops: Sequence[AxialCrop], folder: Path) -> NDArray[np.uint8]:
    """(n, 112, 160, 3) images of `crops`, all at one size."""
    result = np.empty((len(crops), STORED_ROWS, STORED_COLUMNS, 3), np.uint8)
    for place, crop in enumerate(crops):
        image = Image.fromarray(read_image(folder / crop.file))
        result[place] = np.asarray(image.resize((STORED_COLUMNS, STORED_ROWS), Image.Resampling.BILINEAR))
    return result


def targets(crops: Sequence[AxialCrop], grades: Grades | None = None) -> NDArray[np.int64]:
    """(n, 5) grades 0 … 2 in the order of `Condition`, −1 where unlabelled; conditions that the crop table lacks come from `grades` where given."""
    result = np.full((len(crops), len(Condition)), UNLABELLED, np.int64)
    for row, crop in enumerate(crops):
        more = (grades or {}).get(crop.study_id, {})
        for column, condition in enumerate(Condition):
            grade = crop.grades[condition] if condition in crop.grades else more.get(f"{condition.value}_{crop.level.slug}")
            if grade is not None:
                result[row, column] = GRADE_ORDER.index(grade)
    return result


def level_numbers(crops: Sequence[AxialCrop]) -> NDArray[np.int64]:
    """(n,) 0 for L1/L2 to 4 for L5/S1."""
    return np.array([LEVELS.index(crop.level) for crop in crops], np.int64)


def read_grey_image(path: Path) -> NDArray[np.float32]:
    """The image in `path` as grey values (rows, columns).

    Raises:
        UnreadableInput: the image is missing or cannot be decoded.
    """
    return np.asarray(Image.fromarray(read_image(path)).convert("L"), dtype=np.float32)
