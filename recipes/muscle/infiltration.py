"""Prints the errors of fat fractions from grey values on phantoms (synthetic): axial T2, exact masks, every site.

    python recipes/muscle/infiltration.py [--people 2] [--first 2000]

Ground truth is the mean fat fraction of the whole muscle between L1/L2 and L5/S1.
"""

import argparse

import numpy as np

from lumbar.muscle.fat.infiltration import fat_shares, reference_fat
from lumbar.phantom.acquire import label_images
from lumbar.phantom.labels import MUSCLE
from lumbar.phantom.sites import SITES
from lumbar.phantom.study import StudyOptions, make_study
from lumbar.phantom.truth import muscle_truth

MEASURED = [(muscle, side) for muscle in ("erector_spinae", "multifidus") for side in ("right", "left")]
METHODS = ("gmm3", "gmm2", "kmeans3")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--first", type=int, default=2000)
    options = parser.parse_args()
    errors: dict[str, list[float]] = {method: [] for method in METHODS}
    for number, site in enumerate([site.name for site in SITES for _ in range(options.people)]):
        for method, values in study_errors(options.first + number, site).items():
            errors[method] += values
            print(f"site {site}, seed {options.first + number}, {method}: " + " ".join(f"{v:+.3f}" for v in values), flush=True)
    for method, values in errors.items():
        e = np.array(values)
        print(f"{method}: mean error {e.mean():+.3f}, standard deviation {e.std(ddof=1):.3f}, within 4 points {np.mean(np.abs(e) <= 0.04):.0%} of {e.size}")


def study_errors(seed: int, site: str) -> dict[str, list[float]]:
    """Estimated minus true fat fraction of the four muscles, by method."""
    study = make_study(StudyOptions(seed=seed, site=site, roles=("axial_t2",)))
    series = study.series["axial_t2"]
    labels = label_images(study.anatomy, series)
    pixel = series.planes[0].pixel_mm
    numbers = [MUSCLE[key] for key in MEASURED]
    inside = np.isin(labels, numbers)
    around = reference_fat(series.images.astype(np.float32), inside, (series.protocol.spacing_mm, pixel, pixel))
    truth = {(m["muscle"], m["side"]): m["fat_fraction_mean"] for m in muscle_truth(study.anatomy)}
    values, names = series.images[inside].astype(np.float64), labels[inside]
    found = {}
    for method in METHODS:
        shares = fat_shares(values, method, around)
        found[method] = [float(shares[names == number].mean()) - truth[key] for number, key in zip(numbers, MEASURED, strict=True)]
    return found


if __name__ == "__main__":
    main()
