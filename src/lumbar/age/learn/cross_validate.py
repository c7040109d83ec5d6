"""Cross-validation of the age network by person or by site, and the resulting calibration (needs lumbar[train])."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.age.calibration import Calibration, HeldOut, fit_calibration
from lumbar.age.learn.network import AgeNetwork
from lumbar.age.learn.train import AgeTraining, held_out, train
from lumbar.age.out_of_distribution import fit_feature_distribution
from lumbar.age.segments import SEGMENTS
from lumbar.age.store import CropStore
from lumbar.datasets.age_split import leave_site_out, subject_folds, uncovered_ages
from lumbar.datasets.age_table import AgeTable
from lumbar.training.fold_runs import FoldRuns

Mask = NDArray[np.bool_]
Split = tuple[str, Mask, Mask]  # name, rows to train on, rows to test on


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Out-of-fold predictions."""

    people: HeldOut  # in the order of the store; rows that no fold tested are left out
    rows: NDArray[np.int64]  # (m,) their row numbers
    limits: tuple[float, ...]  # of the out-of-distribution distance, one per fold
    warnings: tuple[str, ...]


def splits(table: AgeTable, folds: int, by_site: bool, seed: int) -> Iterator[Split]:
    """Per fold its name, the rows to train on and the rows to test on.

    Raises:
        UsageError: too few people or sites.
    """
    if by_site:
        yield from leave_site_out(table)
        return
    fold = subject_folds(table, folds, seed)
    for number in range(folds):
        yield f"{number + 1} of {folds}", fold != number, fold == number


def cross_validate(
    store: CropStore, table: AgeTable, runs: Path, config: AgeTraining, parts: Iterator[tuple[str, Mask, Mask]]
) -> Iterator[tuple[str, OutOfFold]]:
    """Train one network per fold in its own folder below `runs`, and yield its name and its out-of-fold predictions."""
    for number, (name, fitted, tested) in enumerate(parts):
        trained, test = store.rows(fitted), store.rows(tested)
        network = train(trained, FoldRuns(runs).path(number), config)
        found = held_out(network, test)
        distribution = fit_feature_distribution(held_out(network, trained).features, found.features)
        missing = uncovered_ages(table.rows(fitted), table.rows(tested))
        words = tuple(f"fold {name}: people of {low:.0f} to {high:.0f} years are tested, but hardly any were trained on" for low, high in missing)
        yield name, OutOfFold(found, np.flatnonzero(tested), (distribution.limit,), words)


def joined(parts: list[OutOfFold]) -> OutOfFold:
    """All folds in the order of the store's rows."""
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    people = HeldOut(
        np.concatenate([part.people.age_years for part in parts])[order],
        {name: np.concatenate([part.people.segment_years[name] for part in parts])[order] for name in SEGMENTS},
        np.concatenate([part.people.features for part in parts])[order],
        np.concatenate([part.people.healthy for part in parts])[order],
    )
    return OutOfFold(people, rows[order], tuple(limit for part in parts for limit in part.limits), tuple(word for part in parts for word in part.warnings))


def calibrate(network: AgeNetwork, store: CropStore, found: OutOfFold, ages_years: tuple[float, float], coverage: float) -> Calibration:
    """The calibration of a network trained on all of `store`, from out-of-fold predictions, one scan per person.

    Features of different networks cannot be mixed, so the out-of-distribution limit is the median over the folds.
    """
    first = np.zeros(len(found.rows), dtype=bool)
    first[np.unique(store.subject[found.rows], return_index=True)[1]] = True
    features = held_out(network, store).features
    distribution = replace(fit_feature_distribution(features, features), limit=float(np.median(found.limits)))
    return fit_calibration(found.people.rows(first), distribution, ages_years, coverage)
