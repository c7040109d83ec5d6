"""Choosing among slices of a foramen: the slice that readers chose, its neighbour, and ways to combine them, out of fold.

    python recipes/severity/foramen_slices.py ../shared/data/rsna2024 runs/foramina

Some foramina are shown on a neighbouring slice by the image of another level (`foramina.py` has cut those crops). In `analyze` nobody has said which slice is
the right one: the weights of slices come from their distance to a position that is a few millimetres off. Here the slices of a pair get fixed weights, from
those of a well-known position to those of one nearer to the wrong slice. One network each, one scale, uncalibrated.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from foramina import CACHE, WEIGHTS, cached

from lumbar.datasets.foramina import read_foramen_table
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import row_log_losses, weighted_log_loss
from lumbar.severity.foramina.grader import ONE_SCALE
from lumbar.severity.foramina.slices import CERTAINTY, pooled_slices
from lumbar.severity.foramina.table import targets
from lumbar.severity.learn.foramina.out_of_fold import grade_held_out
from lumbar.training.fold_runs import FoldRuns

PAIRS = ((0.8, 0.2), (0.65, 0.35), (0.5, 0.5), (0.35, 0.65), (0.2, 0.8))  # weights of the chosen slice and of its neighbour
CERTAINTIES = (0.0, 1.0, 2.0, 3.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("runs", type=Path, help="folder of the foraminal folds")
    parser.add_argument("--studies", type=int, default=450, help="number of studies with such foramina")
    arguments = parser.parse_args()
    own, beside, y, studies = pairs(arguments.data, arguments.runs, arguments.studies)
    print(f"{len(y)} labelled foramina of {len(np.unique(studies))} studies, each shown on two slices")
    losses = [weighted_log_loss(p, y, WEIGHTS) for p in (own, beside)]
    print(f"weighted log loss on the slice that readers chose {losses[0]:.4f}, on its neighbour {losses[1]:.4f}")
    for chosen in PAIRS:
        show(chosen, own, beside, y, studies)


def pairs(data: Path, runs: Path, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Predictions (n, 3) on the chosen slices and on their neighbours, the grades (n,), and the studies (n,)."""
    points = sorted(read_foramen_table(data / "foramina.csv"), key=lambda p: (p.study_id, p.file))
    foramina, kept = cached(runs / CACHE), np.load(runs / CACHE)
    folds = FoldRuns(runs).folds_of(point.study_id for point in points)
    rows, first = np.unique(kept["beside_of"], return_index=True)
    taken = np.isin(foramina.studies, np.unique(foramina.studies[rows])[:count])
    rows, first = rows[taken[rows]], first[taken[rows]]
    moved = foramina.crops.copy()
    moved[rows] = kept["beside"][first]
    folds = np.where(taken, folds, -1)
    own, beside = (grade_held_out(replace(foramina, crops=crops), folds, runs, ONE_SCALE)[rows, 0] for crops in (foramina.crops, moved))
    y = targets(points)[rows]
    known = y >= 0
    return own[known], beside[known], y[known], foramina.studies[rows][known]


def show(chosen: tuple[float, float], own: np.ndarray, beside: np.ndarray, y: np.ndarray, studies: np.ndarray) -> None:
    arithmetic = chosen[0] * own + chosen[1] * beside
    print(f"weights {chosen[0]:g} and {chosen[1]:g}: arithmetic mean {weighted_log_loss(arithmetic, y, WEIGHTS):.4f}")
    weights, (_, owner) = WEIGHTS[y], np.unique(studies, return_inverse=True)
    total = np.bincount(owner, weights)
    for certainty in CERTAINTIES:
        pool = pooled_slices(np.stack([own, beside])[:, :, None], np.tile(chosen, (len(y), 1)), certainty)[:, 0]
        gain = np.bincount(owner, weights * (row_log_losses(pool, y) - row_log_losses(arithmetic, y)))
        interval = bootstrap_interval(lambda drawn, gain=gain: float(gain[drawn].sum() / total[drawn].sum()), np.arange(len(total)))
        packaged = " (packaged)" if certainty == CERTAINTY else ""
        print(
            f"  geometric mean, certainty {certainty:g}{packaged}: {weighted_log_loss(pool, y, WEIGHTS):.4f}, change {interval.estimate:+.4f}"
            f" ({interval.low:+.4f} to {interval.high:+.4f})"
        )


if __name__ == "__main__":
    main()
