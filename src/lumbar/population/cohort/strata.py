"""Groups of a cohort: everyone, by sex, by decade of age, by site."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lumbar.population.cohort.people import People

_DECADES = (0, 20, 30, 40, 50, 60, 70, 80, 200)
_MOST_GROUPS = 30  # of one column; a column with more is a number or a name, not a group


@dataclass(frozen=True, eq=False)
class Stratum:
    """One group of studies."""

    by: str  # "all", "sex", "age" or the name of a column
    group: str
    rows: NDArray[np.bool_]  # (n,)


def strata_of(people: People, site: str = "site", least: int = 5) -> list[Stratum]:
    """Everyone first; then the groups that hold at least `least` studies."""
    found = [Stratum("all", "all", np.ones(len(people.sex), np.bool_))]
    found += [Stratum("sex", sex, people.sex == sex) for sex in ("F", "M")]
    for low, high in pairwise(_DECADES):
        name = f"under {high}" if not low else f"{low} and over" if high > 130 else f"{low}-{high - 1}"
        found.append(Stratum("age", name, (people.age_years >= low) & (people.age_years < high)))
    if site in people.facts:
        names = [str(name) for name in np.unique(people.facts[site]) if name]
        found += [Stratum(site, name, people.facts[site] == name) for name in names[:_MOST_GROUPS]]
    return [stratum for stratum in found if stratum.by == "all" or stratum.rows.sum() >= least]
