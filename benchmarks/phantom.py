"""Time and memory of one phantom study of clinical matrices, from nothing to files.

    OMP_NUM_THREADS=1 python benchmarks/phantom.py [--site B] [--cohort 10]

Site B has 18 × 512², 18 × 448² and 40 × 320² pixels. With --cohort, also the peak memory of a cohort in one process after each of so many studies: studies
are made, written and forgotten one after another, so that it must not grow with their number.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from lumbar.phantom.acquire import label_images
from lumbar.phantom.cohort import make_cohort
from lumbar.phantom.cohort_options import CohortOptions
from lumbar.phantom.study import StudyOptions, make_study, study_truth, write_study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", default="B")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cohort", type=int, default=0)
    options = parser.parse_args()
    start, wall = time.process_time(), time.perf_counter()
    study = make_study(StudyOptions(options.seed, site=options.site))
    made = time.process_time()
    study_truth(study)
    described = time.process_time()
    for series in study.series.values():
        label_images(study.anatomy, series)
    labelled = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_study(study, Path(folder), masks=False)
    end = time.process_time()
    print(f"series {made - start:.1f} s, truth {described - made:.1f} s, labels {labelled - described:.1f} s, files and truth {end - labelled:.1f} s of CPU")
    print(f"whole {end - start - (described - made):.1f} s of processor, {time.perf_counter() - wall:.1f} s by the clock")
    print(f"memory {peak_mb():.0f} MB at most")
    if options.cohort:
        with tempfile.TemporaryDirectory() as folder:
            cohort = CohortOptions("rsna2024", options.cohort, sites=options.site)
            peaks = [peak_mb() for _ in make_cohort(cohort, Path(folder) / "cohort")]
        print("cohort: at most", " ".join(f"{peak:.0f}" for peak in peaks), "MB after each study")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
