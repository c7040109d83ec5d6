"""Grades of readers stand in place of those of models and say so."""

import pytest

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.findings import DiscGrades, Findings, Probabilities, SeverityFinding
from lumbar.domain.reader_grades import with_reader_grades
from lumbar.domain.reading import NO_READING, ReaderDiscGrade, ReaderGrade, ReaderMark, Reading
from lumbar.errors import InputError

MARK = ReaderMark("anna", "2026-01-01T00:00:00Z")
P = Probabilities(0.7, 0.2, 0.1)
FOUND = Findings(
    "s", (),
    severity=tuple(
        SeverityFinding(Condition.SPINAL_CANAL_STENOSIS, level, P, P, Severity.NORMAL_MILD, 0.2, None, True, "m", (Severity.NORMAL_MILD, Severity.MODERATE))
        for level in (Level.L3_L4, Level.L4_L5)
    ),
    disc_grades=(DiscGrades(Level.L4_L5, 3, {}),),
)  # fmt: skip


def test_only_what_was_given_changes_and_is_marked() -> None:
    reading = Reading(None, (ReaderGrade(Condition.SPINAL_CANAL_STENOSIS, Level.L4_L5, Severity.SEVERE, MARK),), (ReaderDiscGrade(Level.L4_L5, 5, MARK),))
    after = with_reader_grades(FOUND, reading)
    first, second = after.severity
    assert first == FOUND.severity[0]
    assert (second.severity, second.uncertain, second.conformal_set, second.reader) == (Severity.SEVERE, False, (), MARK)
    assert second.probabilities == P and second.severity_score == 0.2
    assert (after.disc_grades[0].pfirrmann_grade, after.disc_grades[0].reader) == (5, MARK)
    assert "set by a reader" in after.warnings[-1] and "L4/L5" in after.warnings[-1]


def test_nothing_given_is_nothing_changed() -> None:
    assert with_reader_grades(FOUND, NO_READING) is FOUND


def test_levels_without_a_grade_are_refused() -> None:
    with pytest.raises(InputError, match="L1/L2"):
        with_reader_grades(FOUND, Reading(None, (ReaderGrade(Condition.SPINAL_CANAL_STENOSIS, Level.L1_L2, Severity.SEVERE, MARK),)))
    with pytest.raises(InputError, match="L5/S1"):
        with_reader_grades(FOUND, Reading(None, (), (ReaderDiscGrade(Level.L5_S1, 2, MARK),)))
