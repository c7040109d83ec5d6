"""Examinations of a person with known values."""

from dataclasses import replace

import numpy as np

from lumbar.domain.anatomy import Condition, Level, Muscle, Severity, Side, Vertebra
from lumbar.domain.findings import (
    DiscGrades,
    Findings,
    LevelFinding,
    MuscleFinding,
    MuscleLevel,
    Numbering,
    Probabilities,
    SeriesFacts,
    SeverityFinding,
    SpineFinding,
    VertebraFinding,
)
from lumbar.population.follow_up.examination import Examination
from lumbar.report.document import to_document

CENTERS = np.array([[0.0, 0.0, 0.0], [1.0, -4.0, -34.0], [1.0, -9.0, -70.5], [0.0, -8.0, -109.0], [0.0, 3.0, -143.0]])


def severity(score: float) -> SeverityFinding:
    grade = Severity.NORMAL_MILD if score < 0.33 else Severity.MODERATE if score < 0.66 else Severity.SEVERE
    p = Probabilities(1 - score, score / 2, score / 2)
    return SeverityFinding(Condition.SPINAL_CANAL_STENOSIS, Level.L4_L5, p, p, grade, score, None)


def findings(uid: str = "1.1", weighting: str = "T2", pixel_mm: float = 0.6, height_mm: float = 9.0, score: float = 0.1, method: str = "dixon") -> Findings:
    """The findings of one examination; every center moves with the patient's position."""
    turn = 0.1 if uid.endswith("2") else 0.0
    centers = CENTERS @ np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]]) + 20 * turn
    levels = tuple(
        LevelFinding(level, tuple(map(float, center)), disc_height_mm=height_mm, disc_signal_ratio=0.4, canal_ap_mm=12.0)
        for level, center in zip(Level, centers, strict=True)
    )
    series = (
        SeriesFacts(f"{uid}.1", "sagittal", weighting, "sagittal_t1" if weighting == "T1" else "sagittal_t2_stir", 15, (4.4, pixel_mm, pixel_mm)),
        SeriesFacts(f"{uid}.2", "axial", "T2", "axial_t2", 40, (4.0, 0.5, 0.5)),
    )
    bodies = (VertebraFinding(Vertebra.L4, (0.0, 0.0, 0.0), 27.0, 26.0, 27.0),)
    muscle = MuscleFinding(Muscle.MULTIFIDUS, Side.LEFT, 90.0, 800.0, 0.20, 0.21, None, method, (MuscleLevel(Level.L4_L5, 700.0, 0.2),))
    grades = (DiscGrades(Level.L4_L5, 3, {"1": 0.0, "2": 0.1, "3": 0.8, "4": 0.1, "5": 0.0}),)
    spine = SpineFinding(Numbering(True, "sure"), bodies, levels, measured_in=f"{uid}.1")
    return Findings(uid, series, spine=spine, severity=(severity(score),), disc_grades=grades, muscles=(muscle,))


def examination(found: Findings, name: str = "examination") -> Examination:
    return Examination(name, to_document(found))


def moved_names(found: Findings) -> Findings:
    """The same spine with every disc named one level too high."""
    assert found.spine is not None
    names = list(Level)
    levels = tuple(replace(own, level=names[k]) for k, own in enumerate(found.spine.levels[1:]))
    return replace(found, spine=replace(found.spine, levels=levels))
