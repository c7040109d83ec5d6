"""Test-time augmentation of the foraminal networks: scales and shifts, out of fold.

    python recipes/severity/foramen_views.py ../shared/data/rsna2024 runs/foramina --folds 0 1    # RUNS as of `foramina.py`

Measured on folds 0 and 1 (uncalibrated weighted log loss of the foramen): the packaged two scales 0.4876 and 0.4736, one scale 0.4895 and 0.4760, four
scales 0.4881 and 0.4749, four shifts of 3 pixels 0.4882 and 0.4751, all eight views 0.4878 and 0.4746. More views than two gain nothing.
"""

import argparse
from pathlib import Path

import numpy as np
from foramina import CACHE, cached
from scipy.special import softmax

from lumbar.datasets.foramina import read_foramen_table
from lumbar.metrics.classification import weighted_log_loss
from lumbar.models.runtime import Network, open_network
from lumbar.severity.foramina.grader import Foramina, network_input, network_logits
from lumbar.severity.foramina.table import targets
from lumbar.severity.learn.foramina.out_of_fold import KIND
from lumbar.severity.portions import portions
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fold_runs import NETWORK, FoldRuns

SHIFT = 3.0  # pixels of the crop
# Scale, and shift in rows and columns.
VIEWS = (*((scale, (0.0, 0.0)) for scale in (1.0, 1.08, 1.16, 0.93)), *((1.04, shift) for shift in ((SHIFT, 0.0), (-SHIFT, 0.0), (0.0, SHIFT), (0.0, -SHIFT))))
TRIED = {
    "one scale": (0,),
    "two scales, packaged": (0, 1),
    "three scales": (0, 1, 2),
    "four scales": (0, 1, 2, 3),
    "four shifts": (4, 5, 6, 7),
    "two scales and four shifts": (0, 1, 4, 5, 6, 7),
    "all": tuple(range(len(VIEWS))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("runs", type=Path, help="folder of the foraminal folds")
    parser.add_argument("--folds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    points = sorted(read_foramen_table(arguments.data / "foramina.csv"), key=lambda p: (p.study_id, p.file))
    runs = FoldRuns(arguments.runs, KIND)
    y, folds = targets(points), runs.folds_of(point.study_id for point in points)
    foramina = cached(arguments.runs / CACHE)
    for fold in arguments.folds:
        rows = np.flatnonzero((folds == fold) & (y >= 0))
        path = runs.path(fold) / NETWORK
        grades = views(open_network(path, 1), foramina, rows)
        print(
            f"fold {fold}, {len(rows)} foramina: "
            + ", ".join(f"{name} {weighted_log_loss(grades[list(places)].mean(0), y[rows], np.array(GRADE_WEIGHTS)):.4f}" for name, places in TRIED.items())
        )


def views(network: Network, foramina: Foramina, rows: np.ndarray) -> np.ndarray:
    """(views, n, 3) probabilities of the foramina `rows`."""
    result = np.empty((len(VIEWS), len(rows), 3))
    for part in portions(foramina.studies[rows]):
        own = rows[part]
        placed = foramina.levels[own], foramina.sides[own], foramina.studies[own]
        for number, (scale, shift) in enumerate(VIEWS):
            result[number, part] = softmax(network_logits(network, network_input(foramina.crops[own], scale, shift), *placed), axis=-1)[:, 0]
    return result


if __name__ == "__main__":
    main()
