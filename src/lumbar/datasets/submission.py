"""Submissions: a row for each study, condition and level with the probabilities of the three grades."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.rsna2024_labels import SUBMISSION_COLUMNS
from lumbar.errors import UnreadableInput
from lumbar.io.tables import read_table

SUM_TOLERANCE = 1e-3  # rows are written with few digits

Submission = Mapping[str, NDArray[np.float64]]  # row_id → (3,) probabilities


def read_submission(path: Path) -> Submission:
    """The rows of the submission in `path`.

    Raises:
        UnreadableInput: the file cannot be read, lacks a column or a cell, names a row twice, or has numbers that are not probabilities of one row.
    """
    rows = list(read_table(path, SUBMISSION_COLUMNS, f"A submission has {', '.join(SUBMISSION_COLUMNS)}").rows)
    names = [row.identifier(SUBMISSION_COLUMNS[0]) for row in rows]
    values = np.array([[row.number(name) if row.has(name) else np.nan for name in SUBMISSION_COLUMNS[1:]] for row in rows], dtype=np.float64)
    _check(values, names, path)
    return dict(zip(names, values, strict=True))


def _check(values: NDArray[np.float64], names: list[str], path: Path) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UnreadableInput(f"{path} has the row {twice} twice; each row_id may come once")
    wrong = ~(np.isfinite(values).all(axis=1) & (values >= 0).all(axis=1) & (np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise UnreadableInput(
            f"{path}: the probabilities of {names[row]} are {values[row].tolist()}, which must be 0 or more and sum to 1 (± {SUM_TOLERANCE});"
            f" {int(wrong.sum())} rows are wrong in this way"
        )


def write_submission(path: Path, rows: Iterable[tuple[str, NDArray[np.float64]]]) -> None:
    """Write `rows` of a name and three probabilities in the given order."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SUBMISSION_COLUMNS)
        writer.writerows((name, *(f"{value:.7g}" for value in values)) for name, values in rows)
