"""One study in the layout of the RSNA 2024 lumbar data set: DICOM with a reduced header, rows of its three tables."""

from pathlib import Path
from typing import Any

import numpy as np

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.io.dicom_write import write_stripped_slice
from lumbar.phantom.cohort_options import CohortOptions
from lumbar.phantom.degeneration import CONDITIONS, LEVELS
from lumbar.phantom.study import StudyOptions, make_study, series_header, slice_images, study_truth

GRADE_COLUMNS = ("study_id", *(f"{condition.value}_{level.slug}" for condition in CONDITIONS for level in LEVELS))
SERIES_COLUMNS = ("study_id", "series_id", "series_description")
POINT_COLUMNS = ("study_id", "series_id", "instance_number", "condition", "level", "x", "y")
_GRADES = {Severity.NORMAL_MILD: "Normal/Mild", Severity.MODERATE: "Moderate", Severity.SEVERE: "Severe"}
_ROLES = {"sagittal_t1": ("Sagittal T1", "T1"), "sagittal_t2": ("Sagittal T2/STIR", "T2"), "axial_t2": ("Axial T2", "T2")}

_RECESSES = {Condition.LEFT_SUBARTICULAR_STENOSIS, Condition.RIGHT_SUBARTICULAR_STENOSIS}
# Patterns of missing grades in the data set's train.csv: (studies of its 1,975, conditions, levels) of the patterns that account for 97 % of its 572 blanks.
_BLANKS: tuple[tuple[int, set[Condition], tuple[Level, ...]], ...] = (
    (81, _RECESSES, (Level.L1_L2,)),
    (82, _RECESSES, (Level.L1_L2, Level.L2_L3)),
    (8, _RECESSES, (Level.L5_S1,)),
    (8, {Condition.RIGHT_NEURAL_FORAMINAL_NARROWING}, LEVELS),
    (2, {Condition.LEFT_NEURAL_FORAMINAL_NARROWING}, LEVELS),
)


def blank_grades(seed: int, share: float) -> set[tuple[Condition, Level]]:
    """The missing grades of one study, in the data set's patterns; over many studies their share is `share`."""
    studies = np.array([count for count, _, _ in _BLANKS], dtype=float)
    sizes = np.array([len(conditions) * len(levels) for _, conditions, levels in _BLANKS])
    affected = share * len(CONDITIONS) * len(LEVELS) * studies.sum() / (studies * sizes).sum()
    random = np.random.default_rng([seed, 7])
    if random.random() >= affected:
        return set()
    _, conditions, levels = _BLANKS[int(random.choice(len(_BLANKS), p=studies / studies.sum()))]
    return {(condition, level) for condition in conditions for level in levels}


def rsna_study_id(seed: int) -> int:
    """A study number like those of the data set, unique for each seed below 10^9."""
    return 1_000_000_000 + seed % 1_000_000_000


def write_rsna_study(folder: Path, number: int, options: StudyOptions, cohort: CohortOptions) -> dict[str, Any]:
    """Write `train_images/<study>/<series>/<instance>.dcm`; returns the ground truth and the study's rows of each table."""
    study = make_study(options)
    truth = study_truth(study)
    study_id = rsna_study_id(options.seed)
    grades: list[Any] = [study_id]
    blank = blank_grades(options.seed, cohort.blank_share)
    places = [(condition, level) for condition in CONDITIONS for level in LEVELS]
    grades += ["" if place in blank else _GRADES[study.degeneration.severity(*place)] for place in places]
    ids = {role: (study_id * 10 + place) % 4_000_000_000 for place, role in enumerate(study.series, start=1)}
    for place, (role, series) in enumerate(study.series.items(), start=1):
        target = folder / "train_images" / str(study_id) / str(ids[role])
        target.mkdir(parents=True)
        header = series_header("", role, series.protocol, place, description=_ROLES[role][1])
        for image in slice_images(series):
            write_stripped_slice(target / f"{image.instance_number}.dcm", image, header, study_id, ids[role])
    points = [
        (study_id, ids[p["series"]], p["instance_number"], p["condition"].replace("_", " ").title(), p["level"], p["x"], p["y"])
        for p in truth["coordinates"]
        if (Condition(p["condition"]), Level(p["level"])) not in blank
    ]
    rows = {
        "train.csv": [grades],
        "train_series_descriptions.csv": [(study_id, ids[role], _ROLES[role][0]) for role in study.series],
        "train_label_coordinates.csv": points,
    }
    return {"number": number, "study_id": study_id, "truth": truth, "rows": rows}
