"""Splits of an age table by person and by site, and whether each part covers the ages that it is tested on."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.age_table import AgeTable
from lumbar.errors import UsageError

Mask = NDArray[np.bool_]


def subject_folds(table: AgeTable, folds: int, seed: int) -> NDArray[np.int64]:
    """(n,) fold of each row: all rows of a subject together, ages alike in every fold (dealt out in order of age).

    Raises:
        UsageError: fewer subjects than folds.
    """
    names, code = np.unique(table.subject, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise UsageError(f"{folds} folds of {len(names)} subjects are not possible; choose from 2 to the number of subjects")
    age = np.bincount(code, weights=table.age_years) / np.bincount(code)
    rng = np.random.default_rng(seed)
    fold = np.empty(len(names), dtype=np.int64)
    order = np.lexsort((rng.random(len(names)), age))
    for start in range(0, len(order), folds):
        hand = order[start : start + folds]
        fold[hand] = rng.permutation(folds)[: len(hand)]
    return np.asarray(fold[code])


def leave_site_out(table: AgeTable) -> Iterator[tuple[str, Mask, Mask]]:
    """Per site its name, the rows to train on and the rows to test on; a subject seen at the site is in no training row.

    Raises:
        UsageError: there is only one site.
    """
    sites = np.unique(table.site)
    if len(sites) < 2:
        raise UsageError(f"{table.name} has one site only ({sites[0]}); leaving a site out needs two")
    for site in sites:
        test = table.site == site
        yield str(site), ~np.isin(table.subject, table.subject[test]), test


def uncovered_ages(train: AgeTable, test: AgeTable, bin_years: float = 10.0, least: int = 5) -> list[tuple[float, float]]:
    """Age bins [low, high) that `test` has people in and `train` fewer than `least` subjects."""
    bins = []
    for low in np.arange(0, 120, bin_years):
        held = [np.unique(t.subject[(t.age_years >= low) & (t.age_years < low + bin_years)]).size for t in (train, test)]
        if held[1] and held[0] < least:
            bins.append((float(low), float(low + bin_years)))
    return bins
