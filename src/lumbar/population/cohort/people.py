"""People of the studies: age, sex, and further columns such as site or group."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import UnreadableInput, UsageError
from lumbar.io.tables import read_table

Words = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class People:
    """One entry per study, in the order of a `CohortTable`."""

    age_years: NDArray[np.float64]  # (n,) NaN where unknown
    sex: Words  # (n,) "F", "M" or "" where unknown
    facts: Mapping[str, Words]  # other columns by name, (n,) each; "" where unknown

    def fact(self, name: str) -> Words:
        """The column `name`.

        Raises:
            UsageError: there is none.
        """
        if name == "sex":
            return self.sex
        if name not in self.facts:
            raise UsageError(f"the table of people has no column {name!r}; it has {', '.join(['age_years', 'sex', *self.facts])}")
        return self.facts[name]

    def rows(self, chosen: NDArray[np.bool_]) -> "People":
        """Only the people that are `chosen` (n,)."""
        return People(self.age_years[chosen], self.sex[chosen], {name: words[chosen] for name, words in self.facts.items()})


def nobody(studies: Words) -> People:
    """People without known attributes."""
    blank = np.full(len(studies), "")
    return People(np.full(len(studies), np.nan), blank, {})


def read_people(path: Path, studies: Words) -> People:
    """People of `studies` from a table with the column study and any of age_years (or age), sex, site, …; people missing from it have unknown attributes.

    Raises:
        UnreadableInput: a study comes twice, none of the studies is in it, or a cell cannot be read.
    """
    table = read_table(path, ("study",), "A table of people has the column study; age_years, sex, site and others may follow")
    age_name = "age" if "age" in table.names else "age_years"
    more = [name for name in table.names if name and name not in ("study", "sex", "age", "age_years")]
    place = {name: row for row, name in enumerate(studies.tolist())}
    age, sex = np.full(len(studies), np.nan), np.full(len(studies), "", "<U1")
    facts: dict[str, list[str]] = {name: [""] * len(studies) for name in more}
    seen: set[str] = set()
    for row in table.rows:
        study = row.identifier("study")
        if study in seen:
            raise row.error("study", f"is {study!r}, which occurred before; give one row per study")
        seen.add(study)
        if (number := place.get(study)) is None:
            continue
        age[number] = value if (value := row.optional_number(age_name, 0, 130, "an age in years")) is not None else np.nan
        sex[number] = _sex(row.optional("sex"))
        for name in more:
            facts[name][number] = row.optional(name) or ""
    if not seen & set(place):
        raise UnreadableInput(f"{path} names none of the studies of the results (such as {studies[0]}); its column study has to hold their names")
    return People(age, sex, {name: np.array(words) for name, words in facts.items()})


def _sex(word: str | None) -> str:
    first = (word or "").upper()[:1]
    return first if first in ("F", "M") else "F" if first == "W" else ""
