"""The RSNA 2024 lumbar spine data set as published: three tables, and images if present.

Errors in the data set do not stop the reading: all of them are listed with study and file.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lumbar.datasets.rsna2024_grades import Grades, read_grades
from lumbar.datasets.rsna2024_labels import CONDITIONS, LEVELS
from lumbar.domain.anatomy import Condition, Level
from lumbar.errors import UnreadableInput
from lumbar.io.tables import Row, read_table

SERIES_KINDS = ("Sagittal T1", "Sagittal T2/STIR", "Axial T2")
KIND_OF = {
    Condition.SPINAL_CANAL_STENOSIS: "Sagittal T2/STIR",
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: "Sagittal T1",
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: "Sagittal T1",
    Condition.LEFT_SUBARTICULAR_STENOSIS: "Axial T2",
    Condition.RIGHT_SUBARTICULAR_STENOSIS: "Axial T2",
}
IMAGES = "train_images"
Parsed = TypeVar("Parsed")
_TABLES = ("train.csv", "train_series_descriptions.csv", "train_label_coordinates.csv")


@dataclass(frozen=True)
class Problem:
    """An inconsistency in the data set."""

    study_id: str
    file: str  # relative to the data set's folder
    text: str


@dataclass(frozen=True)
class SeriesRow:
    """One row of the series table."""

    study_id: str
    series_id: str
    kind: str  # one of SERIES_KINDS


@dataclass(frozen=True)
class LabelPoint:
    """Where a grade was read, in pixels of one instance."""

    study_id: str
    series_id: str
    instance_number: int
    condition: Condition
    level: Level
    x: float
    y: float


@dataclass(frozen=True)
class Rsna2024:
    """The tables and their inconsistencies."""

    folder: Path
    grades: Grades
    series: tuple[SeriesRow, ...]
    points: tuple[LabelPoint, ...]
    problems: tuple[Problem, ...]

    @property
    def imaged_studies(self) -> tuple[str, ...]:
        """Studies with a folder of images."""
        images = self.folder / IMAGES
        return tuple(study for study in self.grades if (images / study).is_dir()) if images.is_dir() else ()

    def instance_path(self, point: LabelPoint) -> Path:
        """The file that a point lies in."""
        return self.folder / IMAGES / point.study_id / point.series_id / f"{point.instance_number}.dcm"


def read_rsna2024(folder: Path) -> Rsna2024:
    """Read the data set in `folder`. The grades are needed; a series or coordinate table that is missing is a problem in the list.

    Raises:
        UnreadableInput: train.csv is missing, or is not a table of grades.
    """
    if not (folder / "train.csv").is_file():
        raise UnreadableInput(f"{folder} has no train.csv; give the folder that holds {', '.join(_TABLES)}")
    problems: list[Problem] = []
    grades = read_grades(folder / "train.csv", lambda study, text: problems.append(Problem(study, "train.csv", text.removeprefix(f"{folder}/"))))
    series = tuple(_rows(folder, _TABLES[1], _series_row, problems))
    points = tuple(_rows(folder, _TABLES[2], _label_point, problems))
    data = Rsna2024(folder, grades, series, points, ())
    problems += [*_series_problems(data), *_point_problems(data), *_side_problems(data), *_label_problems(data), *_image_problems(data)]
    return Rsna2024(folder, grades, series, points, tuple(problems))


def _rows(folder: Path, name: str, parse: Callable[[Row], Parsed], problems: list[Problem]) -> Iterator[Parsed]:
    """The rows of a table that can be understood; the others become problems."""
    try:
        rows = list(read_table(folder / name).rows)
    except UnreadableInput as error:
        problems.append(Problem("", name, f"the table cannot be read: {str(error).removeprefix(f'{folder}/')}"))
        return
    for row in rows:
        try:
            yield parse(row)
        except (UnreadableInput, ValueError) as error:
            why = str(error).removeprefix(f"{folder / name}, line {row.line}: ")
            problems.append(Problem(row.optional("study_id") or "", name, f"line {row.line} cannot be read: {why}"))


def _series_row(row: Row) -> SeriesRow:
    kind = row.word("series_description")
    if kind not in SERIES_KINDS:
        raise ValueError(f"series_description is {kind!r}, not one of {', '.join(SERIES_KINDS)}")
    return SeriesRow(row.identifier("study_id"), row.identifier("series_id"), kind)


def _label_point(row: Row) -> LabelPoint:
    condition, level = row.word("condition"), row.word("level")
    if condition not in CONDITIONS or level not in LEVELS:
        raise ValueError(f"condition {condition!r} or level {level!r} is unknown")
    place = (CONDITIONS[condition], LEVELS[level], row.number("x"), row.number("y"))
    return LabelPoint(row.identifier("study_id"), row.identifier("series_id"), row.whole("instance_number"), *place)


def _series_problems(data: Rsna2024) -> Iterator[Problem]:
    if not data.series:
        return
    kinds = {(row.study_id, row.kind) for row in data.series}
    for study in data.grades:
        for kind in SERIES_KINDS:
            if (study, kind) not in kinds:
                yield Problem(study, _TABLES[1], f"the study has no {kind} series")
    for study in sorted({row.study_id for row in data.series} - set(data.grades)):
        yield Problem(study, _TABLES[1], "the study has series and no row in train.csv")
    for series, count in Counter(row.series_id for row in data.series).items():
        if count > 1:
            study = next(row.study_id for row in data.series if row.series_id == series)
            yield Problem(study, _TABLES[1], f"series {series} is listed {count} times")


def _point_problems(data: Rsna2024) -> Iterator[Problem]:
    kind_of = {(row.study_id, row.series_id): row.kind for row in data.series}
    for point in data.points:
        kind = kind_of.get((point.study_id, point.series_id))
        if kind_of and kind is None:
            yield Problem(point.study_id, _TABLES[2], f"a label lies in series {point.series_id}, which the series table does not list")
        elif kind is not None and kind != KIND_OF[point.condition]:
            yield Problem(point.study_id, _TABLES[2], f"{point.condition.value} at {point.level.value} is marked on {kind}, not on {KIND_OF[point.condition]}")


def _side_problems(data: Rsna2024) -> Iterator[Problem]:
    """Recesses whose left lies right of the right one, and foramina whose sides are mixed along a sagittal series."""
    recesses: dict[tuple[str, str, Level], dict[Condition, float]] = {}
    foramina: dict[tuple[str, str], dict[Condition, list[int]]] = {}
    for point in data.points:
        if KIND_OF[point.condition] == "Axial T2":
            recesses.setdefault((point.study_id, point.series_id, point.level), {})[point.condition] = point.x
        elif KIND_OF[point.condition] == "Sagittal T1":
            foramina.setdefault((point.study_id, point.series_id), {}).setdefault(point.condition, []).append(point.instance_number)
    for (study, series, level), x in recesses.items():
        if len(x) == 2 and x[Condition.LEFT_SUBARTICULAR_STENOSIS] < x[Condition.RIGHT_SUBARTICULAR_STENOSIS]:
            yield Problem(study, _TABLES[2], f"left and right recess at {level.value} look swapped in series {series}: left lies at the smaller x")
    for (study, series), numbers in foramina.items():
        if len(numbers) == 2:
            left, right = numbers[Condition.LEFT_NEURAL_FORAMINAL_NARROWING], numbers[Condition.RIGHT_NEURAL_FORAMINAL_NARROWING]
            if max(left) >= min(right) and max(right) >= min(left):
                yield Problem(study, _TABLES[2], f"left and right foramina are mixed along series {series}: left on {sorted(left)}, right on {sorted(right)}")


def _label_problems(data: Rsna2024) -> Iterator[Problem]:
    """Grades without coordinates and coordinates without a grade."""
    if not data.points:
        return
    marked = {(point.study_id, f"{point.condition.value}_{point.level.slug}") for point in data.points}
    graded = {(study, column) for study, row in data.grades.items() for column, grade in row.items() if grade is not None}
    for (study, column), file, text in [
        *((cell, _TABLES[2], "is graded and has no coordinates") for cell in sorted(graded - marked)),
        *((cell, _TABLES[0], "has coordinates and no grade") for cell in sorted(marked - graded)),
    ]:
        yield Problem(study, file, f"{column} {text}")


def _image_problems(data: Rsna2024) -> Iterator[Problem]:
    imaged = set(data.imaged_studies)
    for row in data.series:
        if row.study_id in imaged and not (data.folder / IMAGES / row.study_id / row.series_id).is_dir():
            yield Problem(row.study_id, f"{IMAGES}/{row.study_id}/{row.series_id}", "the series is listed and has no folder")
    for point in data.points:
        path = data.instance_path(point)
        if point.study_id in imaged and path.parent.is_dir() and not path.is_file():
            yield Problem(point.study_id, str(path.relative_to(data.folder)), f"{point.condition.value} at {point.level.value} is marked on a missing file")
