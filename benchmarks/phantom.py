"""Time and memory of one phantom study of clinical matrices, from nothing to files.

    OMP_NUM_THREADS=1 python benchmarks/phantom.py [--site B]

Site B has 18 × 512², 18 × 448² and 40 × 320² pixels.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from lumbar.phantom.acquire import label_pictures
from lumbar.phantom.study import StudyOptions, make_study, study_truth, write_study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", default="B")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    start, wall = time.process_time(), time.perf_counter()
    study = make_study(StudyOptions(options.seed, site=options.site))
    made = time.process_time()
    study_truth(study)
    told = time.process_time()
    for series in study.series.values():
        label_pictures(study.anatomy, series)
    labelled = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_study(study, Path(folder), masks=False)
    end = time.process_time()
    print(f"series {made - start:.1f} s, truth {told - made:.1f} s, labels {labelled - told:.1f} s, files and truth again {end - labelled:.1f} s of processor")
    print(f"whole {end - start - (told - made):.1f} s of processor, {time.perf_counter() - wall:.1f} s by the clock")
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


if __name__ == "__main__":
    main()
