"""Grades of sampled phantoms compared with the RSNA 2024 data set: shares per group and level, correlations, increase with age. No images are rendered.

    python recipes/phantom/shares.py [--people 2000] [--table ../shared/data/rsna2024/train.csv]

With the table, the real figures are computed from it; without it, the published shares are compared.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy import stats

from lumbar.phantom.build import person_degeneration
from lumbar.phantom.degeneration import CONDITIONS, LEVELS
from lumbar.phantom.population import sample_person

PUBLISHED = {"spinal": (87.8, 7.5, 4.8), "foraminal": (78.0, 18.1, 4.0), "subarticular": (71.4, 19.0, 9.6)}
ROWS = {"spinal": [0], "foraminal": [1, 2], "subarticular": [3, 4]}
_NUMBERS = {"Normal/Mild": 0.0, "Moderate": 1.0, "Severe": 2.0, "": np.nan}


def real_grades(path: Path) -> np.ndarray:
    with path.open() as file:
        rows = [[_NUMBERS[row[f"{c.value}_{level.slug}"]] for c in CONDITIONS for level in LEVELS] for row in csv.DictReader(file)]
    return np.array(rows).reshape(-1, 5, 5)


def shares(grades: np.ndarray) -> tuple[float, ...]:
    known = grades[~np.isnan(grades)]
    return tuple(100 * float((known == value).mean()) for value in range(3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    people = [sample_person(seed) for seed in range(options.people)]
    phantom = np.stack([person_degeneration(person).grades for person in people]).astype(float)
    real = real_grades(options.table) if options.table else None
    print(f"synthetic: {options.people} sampled anatomies; shares of normal/mild, moderate, severe in %")
    for group, rows in ROWS.items():
        reference = shares(real[:, rows]) if real is not None else PUBLISHED[group]
        found = shares(phantom[:, rows])
        worst = max(abs(a - b) for a, b in zip(found, reference, strict=True))
        columns = [" ".join(f"{value:5.1f}" for value in side) for side in (found, reference)]
        print(f"{group:13s} phantom {columns[0]}   data set {columns[1]}   off by {worst:.1f}")
    for name, table in (("phantom", phantom), ("data set", real)):
        if table is not None:
            pooled = stats.spearmanr(table[:, 3].ravel(), table[:, 4].ravel(), nan_policy="omit")[0]
            per_level = [stats.spearmanr(table[:, 3, k], table[:, 4, k], nan_policy="omit")[0] for k in range(5)]
            neighbours = np.mean([stats.spearmanr(table[:, 0, k], table[:, 0, k + 1], nan_policy="omit")[0] for k in range(4)])
            levels = " ".join(f"{v:.2f}" for v in per_level)
            print(f"{name}: left/right subarticular {pooled:.3f} (per level {levels}), canal of neighbouring levels {neighbours:.3f}")
    ages = np.array([person.age_years for person in people])
    for low, high in ((18, 40), (40, 50), (50, 60), (60, 70), (70, 93)):
        inside = (ages >= low) & (ages < high)
        moderate = [100 * float((phantom[inside][:, rows] > 0).mean()) for rows in ROWS.values()]
        row = " ".join(f"{group} {value:4.1f}" for group, value in zip(ROWS, moderate, strict=True))
        print(f"age {low}-{high}: {inside.sum():4d} people, moderate or severe: {row} %")


if __name__ == "__main__":
    main()
