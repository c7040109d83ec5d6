"""One finding of a cohort as a table for ageing curves."""

import numpy as np

from lumbar.datasets.age_table import AgeTable
from lumbar.errors import UsageError
from lumbar.population.cohort.people import People
from lumbar.population.cohort.table import CohortTable

_LEAST_PEOPLE = 50


def ageing_table(table: CohortTable, people: People, finding: str, site: str = "site", most_people: int = 5000, seed: int = 0) -> tuple[AgeTable, int]:
    """The rows of `finding` by level, mean over sides, of people of known age; also the number of sampled people (at most `most_people`).

    Raises:
        UsageError: there is no such finding, or fewer than 50 people of known age have it.
    """
    numbers = table.of(finding)
    if not numbers:
        known = sorted({column.finding for column in table.columns})
        raise UsageError(f"the results have no finding {finding!r}; they have {', '.join(known)}")
    has = np.isfinite(table.values[:, numbers]).any(axis=1) & np.isfinite(people.age_years) & (people.age_years > 0)
    chosen = np.flatnonzero(has)
    if len(chosen) < _LEAST_PEOPLE:
        raise UsageError(f"{finding}: {len(chosen)} people of known age have it; {_LEAST_PEOPLE} are the least for a curve (ages come from --people)")
    if len(chosen) > most_people:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, most_people, replace=False))
    levels = dict.fromkeys(table.columns[number].level for number in numbers)
    parts = []
    for level in levels:
        places = np.array([number for number in numbers if table.columns[number].level == level])
        own = table.values[np.ix_(chosen, places)].astype(np.float64)
        present = np.isfinite(own)
        rows = np.flatnonzero(present.any(axis=1))
        mean = np.where(present, own, 0).sum(axis=1)[rows] / present.sum(axis=1)[rows]
        parts.append((chosen[rows], np.full(len(rows), level or "spine"), mean))
    rows = np.concatenate([part[0] for part in parts])
    sites = people.facts[site] if site in people.facts else np.full(len(table.studies), "")
    return AgeTable(
        name=finding,
        lines=rows + 2,
        subject=table.studies[rows],
        site=np.where(sites[rows] == "", "unknown", sites[rows]),
        sex=np.where(people.sex[rows] == "", "U", people.sex[rows]),
        age_years=people.age_years[rows],
        level=np.concatenate([part[1] for part in parts]),
        index=np.concatenate([part[2] for part in parts]),
    ), len(chosen)
