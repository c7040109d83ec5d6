"""Prevalence of findings, with 95 % Wilson intervals (J Am Stat Assoc 1927;22:209)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.population.cohort.strata import Stratum
from lumbar.population.cohort.table import CohortTable

_GRADED = "_grade_0_2"
ANY = "any level"


@dataclass(frozen=True)
class Prevalence:
    """The share of people that have a finding, of those in whom it was graded."""

    finding: str
    what: str  # "severe", "moderate or severe", "Pfirrmann 4 or 5", …
    level: str  # ANY: at one level or more
    side: str
    by: str
    group: str
    cases: int
    n: int
    share: float
    low: float
    high: float

    @property
    def title(self) -> str:
        """`spinal canal stenosis: severe`."""
        return f"{self.finding.removesuffix(_GRADED).removesuffix('_grade').removesuffix('_p').replace('_', ' ')}: {self.what}"


def prevalences(table: CohortTable, strata: Sequence[Stratum]) -> Iterator[Prevalence]:
    """Every graded finding at each level and side, and at any of them."""
    for finding in dict.fromkeys(column.finding for column in table.columns):
        numbers = table.of(finding)
        for what, least in _thresholds(finding):
            present = [_present(table.values[:, number], least) for number in numbers]
            for number, (has, known) in zip(numbers, present, strict=True):
                column = table.columns[number]
                yield from _shares(strata, (finding, what, column.level, column.side), has, known)
            if len(numbers) > 1:
                has = np.any([one for one, _ in present], axis=0)
                known = np.any([one for _, one in present], axis=0)
                yield from _shares(strata, (finding, what, ANY, ""), has, known)


def _thresholds(finding: str) -> tuple[tuple[str, float], ...]:
    if finding.endswith(_GRADED):
        return ("moderate or severe", 1.0), ("severe", 2.0)
    if finding == "pfirrmann_grade":
        return (("Pfirrmann 4 or 5", 4.0),)
    if finding == "meyerding_grade":
        return (("slip of grade 1 or more", 1.0),)
    if finding.startswith("disc_") and finding.endswith("_p"):
        return (("probability of 0.5 or more", 0.5),)
    return ()


def _present(values: NDArray[np.float32], least: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    known = np.isfinite(values)
    return known & (np.nan_to_num(values) >= least), known


def _shares(strata: Sequence[Stratum], name: tuple[str, str, str, str], has: NDArray[np.bool_], known: NDArray[np.bool_]) -> Iterator[Prevalence]:
    for stratum in strata:
        n, cases = int(known[stratum.rows].sum()), int(has[stratum.rows].sum())
        if n:
            low, high = wilson(cases, n)
            yield Prevalence(*name, stratum.by, stratum.group, cases, n, cases / n, low, high)


def wilson(cases: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `cases` out of `n`; SciPy's binomtest gives the same but is a thousand times slower, as it also tests."""
    z, share = 1.959963984540054, cases / n
    middle, half = share + z**2 / (2 * n), z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    return (low if cases else 0.0), (high if cases < n else 1.0)
