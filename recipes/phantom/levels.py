"""Level naming on phantoms by the spine model, which was trained on real scans; an error may be the phantom's or the model's.

    python recipes/phantom/levels.py [--studies 100] [--first 0]

Makes the sagittal T2 or STIR of each phantom, finds the levels with the packaged model, and compares their positions with the ground truth: correct if all
five centres lie within 10 mm. Prints the share of correct studies, the failures, and the errors of canal depth and disc height.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from lumbar.io.read import read_study
from lumbar.phantom.study import StudyOptions, make_study, study_truth, write_study
from lumbar.pipeline import Request, analyze, load_models

TOLERANCE_MM = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    right, canal, height = [], [], []
    models = load_models(tasks=())
    for seed in range(options.first, options.first + options.studies):
        study = make_study(StudyOptions(seed, site="ABCDEFGHI"[seed % 9], roles=("sagittal_t2",)))
        truth = {disc["level"]: disc for disc in study_truth(study)["discs"]}
        with tempfile.TemporaryDirectory() as folder:
            write_study(study, Path(folder), masks=False)
            findings = analyze(read_study(Path(folder) / "dicom"), models, Request(tasks=("spine",))).findings
        levels = {finding.level.value: finding for finding in findings.spine.levels} if findings.spine else {}
        away = [np.linalg.norm(np.array(levels[n].center_mm) - d["center_mm"]) if n in levels else np.inf for n, d in truth.items()]
        right.append(max(away) <= TOLERANCE_MM)
        print(
            f"seed {seed} site {study.site.name} age {study.person.age_years}: {'right' if right[-1] else 'WRONG'}  off by",
            " ".join(f"{a:.0f}" for a in away),
            flush=True,
        )
        for name, disc in truth.items():
            if name in levels and right[-1]:
                canal.append((levels[name].canal_ap_mm or np.nan) - disc["canal_ap_mm"])
                height.append((levels[name].disc_height_middle_mm or np.nan) - disc["disc_height_middle_mm"])
    print(f"all five levels right: {100 * np.mean(right):.0f} % of {len(right)} phantoms")
    for name, values in (("canal depth", canal), ("disc height", height)):
        print(f"{name}: bias {np.nanmean(values):+.2f} mm, SD {np.nanstd(values):.2f} mm")


if __name__ == "__main__":
    main()
