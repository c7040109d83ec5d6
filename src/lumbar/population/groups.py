"""The curves that a table is split into: each level, for all people and for each sex, with the covariates to adjust for besides age."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.age_table import AgeTable
from lumbar.errors import UnreadableInput

Array = NDArray[np.float64]

WHOLE = "spine"  # the level of a table that has none
_LEAST_AT_SITE = 15  # rows; smaller sites share one covariate


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of one level and sex, ordered by age."""

    level: str
    sex: str  # "all", "F" or "M"
    age_years: Array  # (n,)
    values: Array  # (n,) degeneration index, or predicted age
    subjects: NDArray[np.str_]  # (n,)
    sexes: NDArray[np.str_]  # (n,)
    sites: NDArray[np.str_]  # (n,)
    covariates: Array  # (n, c) sex where the group holds both, and site
    direction: float  # +1 where the index rises with age, −1 where it falls: degeneration runs that way

    @property
    def name(self) -> str:
        """Level and sex."""
        return f"{self.level}, {self.sex}"


def values_of(table: AgeTable) -> Array:
    """(n,) the column `index`, or without it `predicted`.

    Raises:
        UnreadableInput: the table has neither.
    """
    if table.index is not None:
        return table.index
    if table.predicted_years is not None:
        return table.predicted_years
    raise UnreadableInput(f"{table.name} has neither a column index (with level) nor a column predicted; curves need one of them")


def groups_of(table: AgeTable, adjust_sites: bool = True) -> tuple[Group, ...]:
    """Per level the group of all people, then of women and of men where there are both.

    Raises:
        UnreadableInput: there are no values (see `values_of`), or those of a level are all the same.
    """
    values = values_of(table)
    level = table.level if table.level is not None else np.full(len(table), WHOLE)
    groups = []
    for name in dict.fromkeys(level.tolist()):
        rows = level == name
        if np.ptp(values[rows]) == 0:
            raise UnreadableInput(f"{table.name}: all {int(rows.sum())} values of {name} are {values[rows][0]:g}; there is no trend to analyse")
        sexes = [sex for sex in ("F", "M") if (table.sex[rows] == sex).any()]
        direction = _direction(table.age_years[rows], values[rows])
        groups.append(_group(table, values, rows, (name, "all"), direction, adjust_sites))
        if len(sexes) == 2:
            groups += [_group(table, values, rows & (table.sex == sex), (name, sex), direction, adjust_sites) for sex in sexes]
    return tuple(groups)


def _group(table: AgeTable, values: Array, rows: NDArray[np.bool_], name: tuple[str, str], direction: float, adjust_sites: bool) -> Group:
    index = np.flatnonzero(rows)
    index = index[np.argsort(table.age_years[index], kind="stable")]
    columns = [indicators(table.sex[index], least=1)] if name[1] == "all" else []
    if adjust_sites:
        columns.append(indicators(table.site[index], _LEAST_AT_SITE))
    covariates = np.hstack([np.zeros((len(index), 0)), *columns])
    words = (table.subject[index], table.sex[index], table.site[index])
    return Group(*name, table.age_years[index], values[index], *words, covariates, direction)


def indicators(words: NDArray[np.str_], least: int) -> Array:
    """(n, k) one column per word except the commonest; words with fewer rows than `least` share one column."""
    names, count = np.unique(words, return_counts=True)
    large = names[count >= least]
    code = np.where(np.isin(words, large), words, "\x00")  # a word that occurs in no table
    names, count = np.unique(code, return_counts=True)
    return np.asarray(code[:, None] == np.delete(names, int(count.argmax())), dtype=np.float64)


def _direction(age: Array, values: Array) -> float:
    return -1.0 if (age - age.mean()) @ values < 0 else 1.0
