"""One study in the layout of an nnU-Net raw data set: axial T1, T2, Dixon water and fat, each a single-channel case, with muscle labels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lumbar.domain.volume import Volume
from lumbar.io.nifti import write_nifti
from lumbar.phantom.acquire import grid_of, label_images
from lumbar.phantom.cohort_options import CohortOptions
from lumbar.phantom.labels import MUSCLE
from lumbar.phantom.study import MUSCLE_ROLES, StudyOptions, make_study, study_truth

LABELS = {"background": 0, "right_erector_spinae": 1, "right_multifidus": 2, "left_multifidus": 3, "left_erector_spinae": 4}
_CONTRASTS = {"axial_t1": "T1", "muscle_t2": "T2", "dixon_water": "water", "dixon_fat": "fat"}


def write_dixon_study(folder: Path, number: int, options: StudyOptions, cohort: CohortOptions) -> dict[str, Any]:
    """Write `imagesTr/<case>_0000.nii.gz` and `labelsTr/<case>.nii.gz` of four cases; returns the ground truth and the cases."""
    study = make_study(replace(options, roles=MUSCLE_ROLES))
    (folder / "imagesTr").mkdir()
    (folder / "labelsTr").mkdir()
    first = next(iter(study.series.values()))
    painted = label_images(study.anatomy, first)
    table = np.zeros(256, dtype=np.uint8)
    for (muscle, side), label in MUSCLE.items():
        table[label] = LABELS.get(f"{side}_{muscle}", 0)
    cases = []
    for role, series in study.series.items():
        case = f"phantom{options.seed:08d}_{_CONTRASTS[role]}"
        grid = grid_of(list(series.planes))
        write_nifti(folder / "imagesTr" / f"{case}_0000.nii.gz", Volume(series.images.astype(np.float32), grid))
        write_nifti(folder / "labelsTr" / f"{case}.nii.gz", Volume(table[painted], grid))
        cases.append(case)
    return {"number": number, "cases": cases, "truth": study_truth(study)}


def dataset_document(records: list[dict[str, Any]]) -> dict[str, Any]:
    """`dataset.json` of nnU-Net v2."""
    return {
        "name": "lumbar phantom muscles",
        "description": "Synthetic. Axial T1, T2, Dixon water and Dixon fat of the back, one channel per case; sides are the patient's.",
        "channel_names": {"0": "MRI"},
        "labels": LABELS,
        "numTraining": sum(len(record["cases"]) for record in records),
        "file_ending": ".nii.gz",
    }
