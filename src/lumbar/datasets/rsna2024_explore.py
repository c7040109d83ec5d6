"""Contents of the RSNA 2024 data set: shares of grades, correlations, series, and geometry of the images present."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from scipy.stats import rankdata

from lumbar.datasets.rsna2024 import IMAGES, SERIES_KINDS, Problem, Rsna2024
from lumbar.datasets.rsna2024_labels import COLUMNS
from lumbar.domain.anatomy import Condition, Level, Severity

_GRADES = tuple(Severity)
_BLANK = -1
GROUP_WORDS = {"spinal": "spinal", "foraminal": "foraminal", "subarticular": "subarticular"}


@dataclass(frozen=True)
class Shares:
    """Frequencies of the grades in some cells of the table."""

    labelled: int
    missing: int
    normal_mild: float  # shares of the labelled cells
    moderate: float
    severe: float


@dataclass(frozen=True)
class Association:
    """Association of two columns, over the studies in which both are labelled."""

    first: str
    second: str
    studies: int
    spearman: float
    cramers_v: float


@dataclass(frozen=True)
class SeriesCounts:
    """Number of series, and of studies with none or several of a kind."""

    total: int
    by_kind: dict[str, int]
    studies_without: dict[str, int]
    studies_with_several: dict[str, int]
    per_study: dict[int, int]  # number of series → studies


@dataclass(frozen=True)
class ImageFacts:
    """Geometry of one series whose files are present."""

    study_id: str
    series_id: str
    kind: str
    files: int
    rows: int
    columns: int
    pixel_mm: float
    slice_thickness_mm: float | None
    orientations: int  # different ImageOrientationPatient, to a degree


@dataclass(frozen=True)
class Exploration:
    """The results of `lumbar explore rsna2024`."""

    studies: int
    label_shares: dict[str, Shares]  # "all", groups, conditions, levels, columns
    associations: tuple[Association, ...]  # every pair of columns
    summary: dict[str, float]  # mean Spearman of families of pairs
    series_counts: SeriesCounts
    images: tuple[ImageFacts, ...]
    points: dict[str, int]  # condition → label coordinates
    problems: tuple[Problem, ...]


def explore(data: Rsna2024) -> Exploration:
    """Count and correlate; headers of images are read where images are present."""
    table = grade_table(data)
    associations = tuple(_associate(table, i, j) for i, j in combinations(range(len(COLUMNS)), 2))
    images, broken = _images(data)
    return Exploration(
        studies=len(data.grades),
        label_shares=_label_shares(table),
        associations=associations,
        summary=_summary(associations),
        series_counts=_series_counts(data),
        images=tuple(images),
        points=dict(Counter(point.condition.value for point in data.points)),
        problems=(*data.problems, *broken),
    )


def grade_table(data: Rsna2024) -> NDArray[np.int64]:
    """(studies, 25) grades 0 … 2 in the order of COLUMNS, −1 where blank."""
    rows = [[_BLANK if (grade := row.get(column)) is None else _GRADES.index(grade) for column in COLUMNS] for row in data.grades.values()]
    return np.array(rows, np.int64)


def spearman(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Spearman's rank correlation with mean ranks for ties; NaN if one of the two does not vary."""
    a, b = rankdata(first), rankdata(second)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def cramers_v(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Cramér's V (1946) from 0 to 1, without correction; NaN if one of the two does not vary."""
    table = np.bincount(first * 3 + second, minlength=9).reshape(3, 3).astype(float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return float("nan")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (table.sum() * (min(table.shape) - 1))))


def _label_shares(table: NDArray[np.int64]) -> dict[str, Shares]:
    families = {"all": COLUMNS}
    families |= {name: tuple(c for c in COLUMNS if word in c) for name, word in GROUP_WORDS.items()}
    families |= {condition.value: tuple(c for c in COLUMNS if c.startswith(condition.value)) for condition in Condition}
    families |= {level.slug: tuple(c for c in COLUMNS if c.endswith(level.slug)) for level in Level}
    families |= {column: (column,) for column in COLUMNS}
    return {name: _shares(table[:, [COLUMNS.index(column) for column in columns]]) for name, columns in families.items()}


def _shares(cells: NDArray[np.int64]) -> Shares:
    known = cells[cells != _BLANK]
    counts = np.bincount(known, minlength=3) / max(len(known), 1)
    return Shares(len(known), int((cells == _BLANK).sum()), *counts.tolist())


def _associate(table: NDArray[np.int64], i: int, j: int) -> Association:
    both = (table[:, i] != _BLANK) & (table[:, j] != _BLANK)
    a, b = table[both, i], table[both, j]
    return Association(COLUMNS[i], COLUMNS[j], int(both.sum()), spearman(a, b), cramers_v(a, b))


def _summary(associations: tuple[Association, ...]) -> dict[str, float]:
    """Mean Spearman correlations between levels, sides and conditions: what context beyond one crop may add."""
    families: dict[str, list[float]] = {}
    for pair in associations:
        if np.isnan(pair.spearman):
            continue
        (one, level), (other, second) = (_split(pair.first), _split(pair.second))
        gap = abs(list(Level).index(level) - list(Level).index(second))
        if one is other and gap == 1:
            families.setdefault(f"{_group(one)}, neighbouring levels", []).append(pair.spearman)
        elif one is not other and _group(one) == _group(other) and gap == 0:
            families.setdefault(f"{_group(one)}, left and right", []).append(pair.spearman)
        elif gap == 0:
            families.setdefault(f"{_group(one)} and {_group(other)}, same level", []).append(pair.spearman)
    return {name: float(np.mean(values)) for name, values in families.items()}


def _split(column: str) -> tuple[Condition, Level]:
    level = next(level for level in Level if column.endswith(level.slug))
    return Condition(column.removesuffix(f"_{level.slug}")), level


def _group(condition: Condition) -> str:
    return next(name for name, word in GROUP_WORDS.items() if word in condition.value)


def _series_counts(data: Rsna2024) -> SeriesCounts:
    held = Counter((row.study_id, row.kind) for row in data.series)
    per_study = Counter(row.study_id for row in data.series)
    return SeriesCounts(
        total=len(data.series),
        by_kind={kind: sum(count for (_, k), count in held.items() if k == kind) for kind in SERIES_KINDS},
        studies_without={kind: sum((study, kind) not in held for study in data.grades) for kind in SERIES_KINDS},
        studies_with_several={kind: sum(count > 1 for (_, k), count in held.items() if k == kind) for kind in SERIES_KINDS},
        per_study=dict(sorted(Counter(per_study[study] for study in data.grades).items())),
    )


def _images(data: Rsna2024) -> tuple[list[ImageFacts], list[Problem]]:
    facts, problems = [], []
    imaged = set(data.imaged_studies)
    for row in data.series:
        folder = data.folder / IMAGES / row.study_id / row.series_id
        if row.study_id not in imaged or not folder.is_dir():
            continue
        headers = []
        for path in sorted(folder.glob("*.dcm")):
            try:
                headers.append(pydicom.dcmread(path, stop_before_pixels=True))
            except (OSError, InvalidDicomError, ValueError) as error:
                problems.append(Problem(row.study_id, _relative(path, data), f"the file is not readable as DICOM: {error}"))
        sizes = {(int(h.Rows), int(h.Columns)) for h in headers if "Rows" in h and "Columns" in h}
        if len(sizes) != 1:
            problems.append(Problem(row.study_id, _relative(folder, data), f"slices have {len(sizes)} different sizes {sorted(sizes)}"))
            continue
        facts.append(_facts(row.study_id, row.series_id, row.kind, headers))
    return facts, problems


def _facts(study: str, series: str, kind: str, headers: Sequence[pydicom.Dataset]) -> ImageFacts:
    first = headers[0]
    turns = {tuple(np.round(np.array(h.ImageOrientationPatient, float), 2)) for h in headers if "ImageOrientationPatient" in h}
    thickness = first.get("SliceThickness")
    pixel = float(first.PixelSpacing[0]) if "PixelSpacing" in first else float("nan")
    return ImageFacts(study, series, kind, len(headers), int(first.Rows), int(first.Columns), pixel, float(thickness) if thickness else None, len(turns))


def _relative(path: Path, data: Rsna2024) -> str:
    return str(path.relative_to(data.folder))
