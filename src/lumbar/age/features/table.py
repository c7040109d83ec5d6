"""A table of features: one row per series and feature with a column per level, as a CSV that is also the input of the ageing page."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.age.features.measure import NAMES, AgeFeatures, Contrast, level_names
from lumbar.errors import UnreadableInput
from lumbar.io.tables import read_table

_FIRST = ("subject", "site", "sex", "age", "series", "contrast", "feature")


@dataclass(frozen=True, eq=False)
class SeriesFeatures:
    """The features of one series of one person."""

    subject: str
    site: str
    sex: str  # "F", "M" or "U"
    age_years: float  # NaN where it is not known; such people give scales alone
    series: str
    contrast: Contrast
    features: AgeFeatures


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Series as arrays of equal length n."""

    rows: tuple[SeriesFeatures, ...]

    @property
    def subject(self) -> NDArray[np.str_]:
        """(n,) person of each series."""
        return np.array([row.subject for row in self.rows])

    @property
    def site(self) -> NDArray[np.str_]:
        """(n,) site of each series."""
        return np.array([row.site for row in self.rows])

    @property
    def age_years(self) -> NDArray[np.float64]:
        """(n,) NaN where unknown."""
        return np.array([row.age_years for row in self.rows])

    @property
    def contrast(self) -> NDArray[np.object_]:
        """(n,) kind of each series."""
        return np.array([row.contrast for row in self.rows], dtype=object)

    def means(self, names: Sequence[str]) -> NDArray[np.float64]:
        """(n, k) means of the named features over the levels."""
        columns = [NAMES.index(name) for name in names]
        return np.array([row.features.means[columns] for row in self.rows])

    def keep(self, rows: NDArray[np.bool_]) -> "FeatureTable":
        """The series for which `rows` (n,) holds."""
        return FeatureTable(tuple(row for row, wanted in zip(self.rows, rows, strict=True) if wanted))


def write_features(path: Path, rows: Iterable[SeriesFeatures]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*_FIRST, *level_names()])
        for row in rows:
            age = "" if np.isnan(row.age_years) else f"{row.age_years:g}"
            for name, values in zip(NAMES, row.features.values, strict=True):
                cells = ["" if np.isnan(value) else f"{value:.6g}" for value in values]
                table.writerow([row.subject, row.site, row.sex, age, row.series, row.contrast.value, name, *cells])


def read_features(path: Path) -> FeatureTable:
    """Read a table.

    Raises:
        UnreadableInput: a column is missing, a number is none, or a feature or contrast is unknown.
    """
    values: dict[tuple[str, str, str, float | None, str, str], NDArray[np.float64]] = {}
    for row in read_table(path, (*_FIRST, *level_names())).rows:
        feature, contrast = row.word("feature"), row.word("contrast")
        if feature not in NAMES or contrast not in {kind.value for kind in Contrast}:
            raise UnreadableInput(f"{path}: {feature!r} ({contrast}) is an unknown feature; write the table again with this version")
        age = row.optional_number("age", 0, 120, "an age in years")
        key = row.identifier("subject"), row.word("site"), row.word("sex"), age, row.word("series"), contrast
        own = values.setdefault(key, np.full((len(NAMES), len(level_names())), np.nan))
        own[NAMES.index(feature)] = [_nan(row.optional_number(level)) for level in level_names()]
    return FeatureTable(
        tuple(
            SeriesFeatures(subject, site, sex, _nan(age), series, Contrast(contrast), AgeFeatures(own))
            for (subject, site, sex, age, series, contrast), own in values.items()
        )
    )


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
