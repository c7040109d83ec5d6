"""Predictions for the people of an age table, and mean importance of their structures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.age.crops import cut_slices
from lumbar.age.extract_crops import Finder
from lumbar.age.predict import AgeResult, Predictor
from lumbar.datasets.age_images import sagittal_volume
from lumbar.datasets.age_table import AgeTable
from lumbar.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for a table."""

    table: AgeTable  # the rows that could be used, with predicted, low and high
    results: tuple[AgeResult, ...]  # one per row
    failures: tuple[str, ...]  # errors of the others


@dataclass(frozen=True, eq=False)
class PopulationMap:
    """Mean importance by structure and age."""

    structures: tuple[str, ...]  # discs and vertebrae from head to foot
    decades: tuple[int, ...]  # 20 for 20 to 29 years
    people: NDArray[np.int64]  # (decades,)
    mean_years: Array  # (structures, decades) mean change of age; NaN where no person shows the structure
    mean_size_years: Array  # (structures, decades) mean of its absolute value


def predict_table(
    predictor: Predictor, table: AgeTable, folder: Path, finder: Finder, rows: Iterable[int] | None = None, explained: bool = False
) -> Predictions:
    """Predict every row whose image, below `folder`, can be used; chronological ages are used for deltas, sex where it is known.

    Raises:
        InputError: none can.
    """
    results, used, failures = [], [], []
    for row in range(len(table)) if rows is None else rows:
        try:
            volume, weighting = sagittal_volume(table, row, folder)
            name = str(table.image[row]) if table.image is not None else ""
            slices = cut_slices(volume, finder(volume, weighting, name), predictor.options)
        except InputError as error:
            failures.append(f"{table.name}, line {table.lines[row]}: {error}")
            continue
        results.append(predictor.predict_slices(slices, float(table.age_years[row]), str(table.sex[row]), explained))
        used.append(row)
    if not results:
        raise InputError(f"none of the {len(table)} rows of {table.name} can be used; the first: {failures[0] if failures else 'there are no rows'}")
    keep = np.zeros(len(table), dtype=bool)
    keep[used] = True
    ends = np.array([result.finding.interval_years for result in results])
    ages = np.array([result.finding.predicted_age_years for result in results])
    return Predictions(replace(table.rows(keep), predicted_years=ages, low_years=ends[:, 0], high_years=ends[:, 1]), tuple(results), tuple(failures))


def population_map(predictions: Predictions) -> PopulationMap:
    """Importance of every structure by decade of true age, from predictions that were explained."""
    names = list(dict.fromkeys(structure.name for result in predictions.results for structure in result.structures))
    values = np.full((len(predictions.results), len(names)), np.nan)
    for row, result in enumerate(predictions.results):
        for structure in result.structures:
            values[row, names.index(structure.name)] = structure.delta_years
    decade = (predictions.table.age_years // 10).astype(int) * 10
    decades = np.unique(decade)
    mean, size = (np.stack([_mean(part[decade == d]) for d in decades], axis=1) for part in (values, np.abs(values)))
    return PopulationMap(tuple(names), tuple(map(int, decades)), np.array([(decade == d).sum() for d in decades]), mean, size)


def predictions_rows(predictions: Predictions) -> Iterator[list[str]]:
    """Header and rows of a CSV that `lumbar evaluate age --table` and `lumbar aging` read."""
    yield [
        "subject",
        "site",
        "sex",
        "age",
        "predicted",
        "low",
        "high",
        "delta_corrected",
        "delta_z",
        *(["repeat"] if predictions.table.repeat is not None else []),
    ]
    table = predictions.table
    for k, result in enumerate(predictions.results):
        finding = result.finding
        numbers = (
            table.age_years[k],
            finding.predicted_age_years,
            *(finding.interval_years or (None, None)),
            finding.age_delta_corrected_years,
            finding.age_delta_z,
        )
        row = [str(table.subject[k]), str(table.site[k]), str(table.sex[k]), *(f"{value:.2f}" for value in numbers if value is not None)]
        yield [*row, *([str(table.repeat[k])] if table.repeat is not None else [])]


def map_rows(found: PopulationMap) -> Iterator[list[str]]:
    """Header and rows of the population map as a CSV: one row per structure and decade."""
    yield ["structure", "ages", "people", "mean_delta_years", "mean_absolute_delta_years"]
    for s, name in enumerate(found.structures):
        for d, low in enumerate(found.decades):
            yield [name, f"{low}-{low + 9}", str(found.people[d]), f"{found.mean_years[s, d]:.3f}", f"{found.mean_size_years[s, d]:.3f}"]


def _mean(values: Array) -> Array:
    """Mean of each column over its known values."""
    there = np.isfinite(values)
    return np.asarray(np.where(there.any(axis=0), np.nansum(values, axis=0) / np.maximum(there.sum(axis=0), 1), np.nan))
