"""What a reader corrected: outlines, and grades that replace those of models."""

from dataclasses import dataclass

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.volume import Volume


@dataclass(frozen=True)
class ReaderMark:
    """Who gave a value, and when (UTC, ISO 8601)."""

    user: str
    at: str


@dataclass(frozen=True)
class ReaderGrade:
    """The severity that a reader gave."""

    condition: Condition
    level: Level
    severity: Severity
    mark: ReaderMark


@dataclass(frozen=True)
class ReaderDiscGrade:
    """The Pfirrmann grade that a reader gave."""

    level: Level
    pfirrmann_grade: int  # 1 to 5
    mark: ReaderMark


@dataclass(frozen=True, eq=False)
class ReaderMasks:
    """Masks that replace those of the networks, on the grids of the stacks that they show, as the headers place them."""

    spine: Volume | None = None  # 1 vertebra, 2 disc, 3 canal
    muscles: tuple[Volume, ...] = ()  # values of `muscle/labels.py`, one mask per stack


@dataclass(frozen=True, eq=False)
class Reading:
    """Everything that readers corrected in one study."""

    masks: ReaderMasks | None = None
    grades: tuple[ReaderGrade, ...] = ()
    disc_grades: tuple[ReaderDiscGrade, ...] = ()


NO_READING = Reading()
