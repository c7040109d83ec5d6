"""One person in the layout of an age table: sagittal T2 as NIfTI, repeat scans, a follow-up visit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lumbar.domain.volume import Volume
from lumbar.io.nifti import write_nifti
from lumbar.phantom.acquire import grid_of
from lumbar.phantom.cohort_options import CohortOptions
from lumbar.phantom.study import StudyOptions, make_study, study_truth

AGE_COLUMNS = ("subject", "site", "sex", "age", "visit", "repeat", "image")
INDEX_COLUMNS = ("subject", "site", "sex", "age", "visit", "level", "index")


def write_age_study(folder: Path, number: int, options: StudyOptions, cohort: CohortOptions) -> dict[str, Any]:
    """Write `images/<subject>_<visit>_<repeat>.nii.gz`; returns the ground truth of each visit and the rows of the two tables."""
    subject = f"P{options.seed:08d}"
    (folder / "images").mkdir()
    ages: list[tuple[Any, ...]] = []
    indices: list[tuple[Any, ...]] = []
    truths = []
    age = options.age_years
    for visit in range(1, 3 if cohort.follow_up_years > 0 else 2):
        for repeat in range(1, cohort.repeats + 1):
            scan = (visit - 1) * cohort.repeats + repeat - 1
            study = make_study(replace(options, roles=("sagittal_t2",), age_years=age, scan=scan))
            series = study.series["sagittal_t2"]
            name = f"images/{subject}_{visit}_{repeat}.nii.gz"
            write_nifti(folder / name, Volume(series.images.astype(np.float32), grid_of(list(series.planes))))
            who = (subject, study.site.name, study.person.sex, study.person.age_years, visit)
            ages.append((*who, repeat, name))
        truth = study_truth(study)
        truths.append(truth)
        indices += [(*who, disc["level"], disc["degeneration"]) for disc in truth["discs"]]
        age = round(study.person.age_years + cohort.follow_up_years, 1)
    return {"number": number, "subject": subject, "truth": truths, "rows": {"ages.csv": ages, "indices.csv": indices}}
