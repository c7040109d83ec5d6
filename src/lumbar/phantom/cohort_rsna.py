"""One study in the layout of the RSNA 2024 lumbar data set: stripped DICOM, rows of its three tables."""

from pathlib import Path
from typing import Any

from lumbar.domain.anatomy import Severity
from lumbar.io.dicom_write import write_stripped_slice
from lumbar.phantom.degeneration import CONDITIONS, LEVELS
from lumbar.phantom.study import StudyOptions, make_study, series_header, slice_images, study_truth

GRADE_COLUMNS = ("study_id", *(f"{condition.value}_{level.slug}" for condition in CONDITIONS for level in LEVELS))
SERIES_COLUMNS = ("study_id", "series_id", "series_description")
POINT_COLUMNS = ("study_id", "series_id", "instance_number", "condition", "level", "x", "y")
_GRADES = {Severity.NORMAL_MILD: "Normal/Mild", Severity.MODERATE: "Moderate", Severity.SEVERE: "Severe"}
_ROLES = {"sagittal_t1": ("Sagittal T1", "T1"), "sagittal_t2": ("Sagittal T2/STIR", "T2"), "axial_t2": ("Axial T2", "T2")}


def rsna_study_id(seed: int) -> int:
    """A number such as the data set has, different for each seed below 10^9."""
    return 1_000_000_000 + seed % 1_000_000_000


def write_rsna_study(folder: Path, number: int, options: StudyOptions, repeats: int, follow_up_years: float) -> dict[str, Any]:
    """Write `train_images/<study>/<series>/<instance>.dcm`; returns the answers and the study's rows of each table."""
    study = make_study(options)
    truth = study_truth(study)
    study_id = rsna_study_id(options.seed)
    grades: list[Any] = [study_id]
    grades += [_GRADES[study.degeneration.severity(condition, level)] for condition in CONDITIONS for level in LEVELS]
    ids = {role: (study_id * 10 + place) % 4_000_000_000 for place, role in enumerate(study.series, start=1)}
    for place, (role, series) in enumerate(study.series.items(), start=1):
        target = folder / "train_images" / str(study_id) / str(ids[role])
        target.mkdir(parents=True)
        header = series_header("", role, series.protocol, place, description=_ROLES[role][1])
        for image in slice_images(series):
            write_stripped_slice(target / f"{image.instance_number}.dcm", image, header, study_id, ids[role])
    points = [
        (study_id, ids[p["series"]], p["instance_number"], p["condition"].replace("_", " ").title(), p["level"], p["x"], p["y"]) for p in truth["coordinates"]
    ]
    rows = {
        "train.csv": [grades],
        "train_series_descriptions.csv": [(study_id, ids[role], _ROLES[role][0]) for role in study.series],
        "train_label_coordinates.csv": points,
    }
    return {"number": number, "study_id": study_id, "truth": truth, "rows": rows}
