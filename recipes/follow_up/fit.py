"""How well two examinations fit: disagreement of the distances between discs, of one person seen twice and of two people.

    python recipes/follow_up/fit.py WORK          # WORK as of phantom_people.py and spider_people.py

Prints percentiles for unchanged phantom people and for real people in T1, T2 and T2 SPACE (SPIDER), the same for pairs of different people, the same with
levels named one too high, and the share of each that `fit_of` doubts or rejects.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lumbar.population.follow_up.examination import Examination, read_examination
from lumbar.population.follow_up.fit import LEVELS, fit_of

Pair = tuple[Examination, Examination]


@dataclass(frozen=True)
class Renamed(Examination):
    """An examination whose levels bear the name of the level above."""

    @property
    def levels(self) -> dict[Any, Any]:
        own = super().levels
        return {upper: own[lower] for upper, lower in pairwise(LEVELS) if lower in own}


def people(folder: Path) -> list[list[Examination]]:
    """Examinations of each person in whom nothing has changed."""
    return [
        [read_examination(path) for path in sorted(person.iterdir()) if (path / "findings.json").is_file() and path.name != "changed"]
        for person in sorted(folder.iterdir())
    ]


def same(found: list[list[Examination]]) -> Iterator[Pair]:
    for own in found:
        yield from combinations(own, 2)


def different(found: list[list[Examination]]) -> Iterator[Pair]:
    for first, second in combinations([own for own in found if own], 2):
        yield first[0], second[-1]


def renamed(found: list[list[Examination]]) -> Iterator[Pair]:
    for first, second in same(found):
        yield first, Renamed(second.name, second.document)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    arguments = parser.parse_args()
    for name in ("calibrate", "test", "spider"):
        found = people(arguments.work / name)
        for words, pairs in (("same person", same), ("other person", different), ("named one too high", renamed)):
            fits = [fit_of(*pair) for pair in pairs(found)]
            values = np.array([fit.distance_disagreement for fit in fits if fit.distance_disagreement is not None])
            if not len(values):
                continue
            spread = " ".join(f"{v:.3f}" for v in np.percentile(values, (5, 50, 95, 100)))
            shares = ", ".join(f"{status} {np.mean([fit.status == status for fit in fits]):.0%}" for status in ("passed", "doubtful", "failed"))
            print(f"{name:10s}{words:20s}{len(fits):5d} pairs   5, 50, 95, 100 %: {spread}   {shares}")


if __name__ == "__main__":
    main()
