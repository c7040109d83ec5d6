"""Checks of a study and of its findings."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lumbar.domain.anatomy import Level

Status = Literal["passed", "doubtful", "failed"]
STATUSES: tuple[Status, ...] = ("passed", "doubtful", "failed")  # from best to worst


@dataclass(frozen=True)
class Check:
    """One check and how it came out."""

    name: str  # in snake case: "spacing_even"
    status: Status
    note: str  # one sentence: the result of the check
    series_uid: str | None = None  # of the series that it concerns; None: the study
    level: Level | None = None  # level concerned; None: all


@dataclass(frozen=True)
class Quality:
    """All checks of one analysis."""

    status: Status  # the worst of the checks
    checks: tuple[Check, ...]


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of `statuses`; "passed" if there are none."""
    return max(statuses, key=STATUSES.index, default="passed")
