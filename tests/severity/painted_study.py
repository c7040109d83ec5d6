"""Data sets in the RSNA 2024 layout with grey values that depend on the patient position only, so that a crop reveals its position."""

import csv
from pathlib import Path

import numpy as np

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.io.dicom_write import SeriesHeader, SliceImage, write_stripped_slice

WORDS = {Severity.NORMAL_MILD: "Normal/Mild", Severity.MODERATE: "Moderate", Severity.SEVERE: "Severe"}
LEVEL_Z_MM = {level: 60.0 - 30.0 * number for number, level in enumerate(Level)}
# Where the conditions are marked, from the middle of the canal at (0, 0, level): to the left, backwards.
MARKS_MM = {
    Condition.SPINAL_CANAL_STENOSIS: (0.0, 0.0),
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: (16.0, -4.0),
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: (-16.0, -4.0),
    Condition.LEFT_SUBARTICULAR_STENOSIS: (7.0, 0.0),
    Condition.RIGHT_SUBARTICULAR_STENOSIS: (-7.0, 0.0),
}
SERIES = {1: ("Sagittal T2/STIR", "T2"), 2: ("Sagittal T1", "T1"), 3: ("Axial T2", "T2")}


def paint(points_mm: np.ndarray) -> np.ndarray:
    """Grey values (...) of LPS points (..., 3): they rise to the left and have waves along the other axes; neighbouring slices resemble each other."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    return 1000 + 8 * x + 120 * np.sin(y / 5 + 0.3) + 120 * np.sin(z / 7) + 60 * np.cos(y / 9 + z / 60)


def write_data_set(folder: Path, studies: list[int], grades: np.ndarray | None = None) -> None:
    """Tables and images of `studies`; `grades` (studies, 5 conditions, 5 levels) 0 … 2 are painted as a bright spot at the mark."""
    graded = np.zeros((len(studies), 5, 5), int) if grades is None else grades
    columns = [f"{condition.value}_{level.slug}" for condition in Condition for level in Level]
    words = list(WORDS.values())
    table(folder / "train.csv", ["study_id", *columns], [[s, *(words[g] for g in row.ravel())] for s, row in zip(studies, graded, strict=True)])
    table(
        folder / "train_series_descriptions.csv",
        ["study_id", "series_id", "series_description"],
        [[study, 10 * study + number, kind] for study in studies for number, (kind, _) in SERIES.items()],
    )
    points = []
    for study, grade in zip(studies, graded, strict=True):
        for number, (_, text) in SERIES.items():
            target = folder / "train_images" / str(study) / str(10 * study + number)
            target.mkdir(parents=True)
            header = SeriesHeader("", number, text, "SE", 3000, 100, None, 90, 10, 4, 4)
            for image in slices(number, grade if grades is not None else None):
                write_stripped_slice(target / f"{image.instance_number}.dcm", image, header, study, 10 * study + number)
        points += marks(study)
    table(folder / "train_label_coordinates.csv", ["study_id", "series_id", "instance_number", "condition", "level", "x", "y"], points)


def slices(number: int, grade: np.ndarray | None) -> list[SliceImage]:
    """Sagittal slices run from the right (x = −24) to the left by 4 mm; axial ones from the head (z = 75) to the feet by 5 mm."""
    made = []
    for k in range(13 if number < 3 else 31):
        if number < 3:
            origin, row, column = np.array([-24.0 + 4 * k, -60, 100]), np.array([0, 0, -1.0]), np.array([0, 1.0, 0])
            shape = (200, 110)
        else:
            origin, row, column = np.array([-45.0, -40, 75 - 5 * k]), np.array([0, 0.8, 0]), np.array([0.8, 0, 0])
            shape = (100, 112)
        at = origin + np.arange(shape[0])[:, None, None] * row + np.arange(shape[1])[None, :, None] * column
        grey = paint(at)
        if grade is not None:
            grey = grey * 0.3 + spots(at, grade)
        made.append(SliceImage(np.clip(grey, 0, 4000).astype(np.uint16), origin, row, column, k + 1))
    return made


def spots(at: np.ndarray, grade: np.ndarray) -> np.ndarray:
    result = np.zeros(at.shape[:-1])
    for c, offset in enumerate(MARKS_MM.values()):
        for v, z in enumerate(LEVEL_Z_MM.values()):
            near = np.linalg.norm(at - np.array([*offset, z]), axis=-1) < 5.5
            result[near] = 1000 * grade[c, v]
    return result


def marks(study: int) -> list[list[object]]:
    rows: list[list[object]] = []
    for condition, (left, back) in MARKS_MM.items():
        for level, z in LEVEL_Z_MM.items():
            title = condition.value.replace("_", " ").title()
            if "subarticular" in condition.value:
                rows.append([study, 10 * study + 3, round((75 - z) / 5) + 1, title, level.value, (left + 45) / 0.8, (back + 40) / 0.8])
            else:
                number = 1 if condition is Condition.SPINAL_CANAL_STENOSIS else 2
                rows.append([study, 10 * study + number, round((left + 24) / 4) + 1, title, level.value, back + 60, 100 - z])
    return rows


def table(path: Path, header: list[str], rows: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
