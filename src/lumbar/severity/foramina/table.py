"""Arrays for grading, training and evaluation from the table of foraminal points."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.foramina import GRID_PIXELS, ForamenPoint
from lumbar.datasets.rsna2024_grades import Grades
from lumbar.domain.anatomy import Condition, Level, Severity, Side
from lumbar.severity.axial.data import UNLABELLED, read_grey_image
from lumbar.severity.foramina.crops import LEVEL_PIXELS, SIDES, STORED_SIZE, USUAL_LEVEL_SHARE, cut_stored, level_distance
from lumbar.severity.foramina.grader import Foramina

_LEAST_MARGIN = 0.7  # required margin around the point on a neighbouring image, relative to the distance between levels
_LEVELS, _GRADES = tuple(Level), tuple(Severity)
_RECESS = {Side.LEFT: Condition.LEFT_SUBARTICULAR_STENOSIS, Side.RIGHT: Condition.RIGHT_SUBARTICULAR_STENOSIS}


def from_points(points: Sequence[ForamenPoint], folder: Path, progress: Iterable[int] | None = None) -> Foramina:
    """The grader's inputs for `points`; arguments as of `stored_crops`."""
    _, studies = np.unique([point.study_id for point in points], return_inverse=True)
    return Foramina(stored_crops(points, folder, progress), level_numbers(points), side_numbers(points), studies)


def distances(points: Sequence[ForamenPoint]) -> dict[str, float]:
    """Study → distance between its disc levels, in the units of `ForamenPoint.position`."""
    by_side: dict[str, dict[Side, dict[Level, NDArray[np.float64]]]] = {}
    for point in points:
        by_side.setdefault(point.study_id, {}).setdefault(point.side, {})[point.level] = point.position
    return {study: level_distance(list(sides.values()), USUAL_LEVEL_SHARE * GRID_PIXELS) for study, sides in by_side.items()}


def stored_crops(points: Sequence[ForamenPoint], folder: Path, progress: Iterable[int] | None = None) -> NDArray[np.uint8]:
    """(n, 96, 96) crops of `points`, whose images lie in `folder`; `progress` yields the numbers 0 … n − 1, as a progress bar does.

    Raises:
        UnreadableInput: an image is missing or cannot be decoded.
    """
    result = np.empty((len(points), STORED_SIZE, STORED_SIZE), np.uint8)
    distance = distances(points)
    kept = "", np.zeros((1, 1), np.float32)
    for place in progress if progress is not None else range(len(points)):
        point = points[place]
        if kept[0] != point.file:
            kept = point.file, read_grey_image(folder / point.file)
        result[place] = cut_stored(kept[1], point.y, point.x, *_steps(point, distance[point.study_id]))
    return result


def crops_on_neighbours(points: Sequence[ForamenPoint], folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(m, 96, 96) crops of the same foramina on the slice before or after, where its image covers them, and (m,) the index of the point of each.

    Images were cut around their own points, so that only some foramina are covered by a neighbouring slice.
    """
    distance = distances(points)
    images = {(point.study_id, point.series_id, point.instance_number): point for point in points if point.instance_number is not None}
    crops, numbers = [], []
    for number, point in enumerate(points):
        for by in (-1, 1):
            other = images.get((point.study_id, point.series_id, (point.instance_number or 0) + by))
            if other is None:
                continue
            image = read_grey_image(folder / other.file)
            row, column = point.top + point.y - other.top, point.left + point.x - other.left
            down, across = _steps(point, distance[point.study_id])
            margin = min(row / down, (image.shape[0] - row) / down, column / across, (image.shape[1] - column) / across)
            if margin >= _LEAST_MARGIN * LEVEL_PIXELS:
                crops.append(cut_stored(image, row, column, down, across))
                numbers.append(number)
    return np.array(crops, np.uint8).reshape(-1, STORED_SIZE, STORED_SIZE), np.array(numbers, np.int64)


def _steps(point: ForamenPoint, distance: float) -> tuple[float, float]:
    """Rows and columns of the image per pixel of the crop."""
    step, longer = distance / LEVEL_PIXELS, max(point.native_rows, point.native_columns)
    return step * longer / point.native_rows, step * longer / point.native_columns


def level_numbers(points: Sequence[ForamenPoint]) -> NDArray[np.int64]:
    """(n,) 0 for L1/L2 to 4 for L5/S1."""
    return np.array([_LEVELS.index(point.level) for point in points], np.int64)


def side_numbers(points: Sequence[ForamenPoint]) -> NDArray[np.int64]:
    """(n,) 0 for the patient's left, 1 for the right."""
    return np.array([SIDES.index(point.side) for point in points], np.int64)


def targets(points: Sequence[ForamenPoint]) -> NDArray[np.int64]:
    """(n,) grades 0 … 2, −1 where unlabelled."""
    return np.array([UNLABELLED if point.severity is None else _GRADES.index(point.severity) for point in points], np.int64)


def related_targets(points: Sequence[ForamenPoint], grades: Grades) -> NDArray[np.int64]:
    """(n, 2) grades 0 … 2 of the canal at the level of each foramen and of the recess on its side, −1 where unlabelled."""
    result = np.full((len(points), 2), UNLABELLED, np.int64)
    for row, point in enumerate(points):
        for column, condition in enumerate((Condition.SPINAL_CANAL_STENOSIS, _RECESS[point.side])):
            grade = grades.get(point.study_id, {}).get(f"{condition.value}_{point.level.slug}")
            if grade is not None:
                result[row, column] = _GRADES.index(grade)
    return result
