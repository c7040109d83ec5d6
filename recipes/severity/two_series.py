"""Gain from grading each structure on two series, axial T2 and sagittal T1, out of fold on the studies that have both.

    python recipes/severity/two_series.py ../shared/data/rsna2024 runs/axial_views.npz runs/foramina

The second file caches the predictions of the packaged axial networks (see `axial_combinations.py`), the folder has the foraminal folds (see `foramina.py`),
which are the same folds of the same studies. Calibrations and thresholds are fitted on the other folds, and the powers of both series too.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from axial_combinations import answers
from foramina import CACHE, cached, predictions
from scipy.optimize import minimize

from lumbar.datasets.foramina import read_foramen_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.calibration import conformal_sets, expected_calibration_error, reliability
from lumbar.metrics.classification import row_log_losses, weighted_log_loss
from lumbar.severity.axial.network_input import VIEWS
from lumbar.severity.foramina.grader import mean_of_sides
from lumbar.severity.foramina.table import related_targets, targets
from lumbar.severity.learn.calibrate import fit_calibration
from lumbar.severity.learn.foramina.calibrate import fit_level_calibration
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.severity.two_series import POWERS, pooled
from lumbar.training.fold_runs import FoldRuns

WEIGHTS = np.array(GRADE_WEIGHTS)


@dataclass(frozen=True, eq=False)
class Both:
    """Calibrated predictions for the structures of one kind that both series show."""

    metric: tuple[np.ndarray, np.ndarray]  # (n, 3) of the main and of the other series
    clinical: tuple[np.ndarray, np.ndarray]
    threshold: np.ndarray  # (n,) of the conformal sets of the main series
    y: np.ndarray  # (n,)
    studies: np.ndarray
    folds: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("answers", type=Path, help="cache of the axial networks' predictions; made where it is missing")
    parser.add_argument("runs", type=Path, help="folder of the foraminal folds")
    arguments = parser.parse_args()
    if not arguments.answers.is_file():
        np.savez(arguments.answers, **answers(arguments.data))
    for name, both in matched(axial(arguments.answers), sagittal(arguments.data, arguments.runs)).items():
        show(name, both)


def axial(cache: Path) -> dict[str, np.ndarray]:
    """Calibrated predictions of the axial crops (n, 5, 3), thresholds (n, 5), and what the cache has."""
    kept = dict(np.load(cache))
    raw, y, folds = kept["raw"][:VIEWS].astype(np.float64).mean(0), kept["labels"], kept["folds"]
    kept["metric"], kept["clinical"], kept["threshold"] = np.empty_like(raw), np.empty_like(raw), np.empty(raw.shape[:2])
    for fold in np.unique(folds):
        own = folds == fold
        calibration = fit_calibration(raw[~own], y[~own])
        grades = calibration.apply(raw[own])
        kept["metric"][own], kept["clinical"][own], kept["threshold"][own] = grades.metric, grades.clinical, calibration.conformal_threshold
    return kept


def sagittal(data: Path, runs: Path) -> dict[tuple[str, int, int], tuple[np.ndarray, ...]]:
    """(study, level, side) → calibrated predictions (3, 3) of foramen, canal and recess for both outputs, and the thresholds (3,)."""
    points = sorted(read_foramen_table(data / "foramina.csv"), key=lambda p: (p.study_id, p.file))
    foramina = cached(runs / CACHE)
    fold_of = FoldRuns(runs).splits()
    folds = np.array([fold_of[point.study_id] for point in points])
    raw = predictions(runs / "held_out.npy", foramina, folds, runs).copy()
    raw[:, 1] = mean_of_sides(raw[:, 1], foramina.levels, foramina.studies)
    y = np.concatenate([targets(points)[:, None], related_targets(points, read_grades(data / "train.csv"))], axis=1)
    metric, clinical, threshold = np.empty_like(raw), np.empty_like(raw), np.empty(raw.shape[:2])
    for part in range(3):
        for fold in np.unique(folds):
            own = folds == fold
            calibration = fit_level_calibration(raw[~own, part], y[~own, part], foramina.levels[~own])
            grades = calibration.apply(raw[own, part], foramina.levels[own])
            metric[own, part], clinical[own, part] = grades.metric, grades.clinical
            threshold[own, part] = np.array(calibration.conformal_threshold)[foramina.levels[own]]
    places = zip([point.study_id for point in points], foramina.levels.tolist(), foramina.sides.tolist(), strict=True)
    return {place: (metric[row], clinical[row], threshold[row]) for row, place in enumerate(places)}


def matched(axial: dict[str, np.ndarray], sagittal: dict[tuple[str, int, int], tuple[np.ndarray, ...]]) -> dict[str, Both]:
    """Canals, recesses and foramina that both series show."""
    # Name → places in `Condition` with the side of each, the row of the sagittal predictions, and whether those are the main ones.
    kinds = {"canal": (((0, 0),), 1, False), "recess": (((3, 0), (4, 1)), 2, False), "foramen": (((1, 0), (2, 1)), 0, True)}
    result = {}
    for name, (places, part, sagittal_first) in kinds.items():
        rows = []
        for place, side in places:
            for row, (study, level, fold) in enumerate(zip(axial["studies"], axial["levels"], axial["folds"], strict=True)):
                found = sagittal.get((str(study), int(level), side)) or sagittal.get((str(study), int(level), 1 - side) if name == "canal" else ("", 0, 0))
                if found is None or axial["labels"][row, place] < 0:
                    continue
                metric, clinical = (axial["metric"][row, place], found[0][part]), (axial["clinical"][row, place], found[1][part])
                threshold = axial["threshold"][row, place]
                if sagittal_first:
                    metric, clinical, threshold = metric[::-1], clinical[::-1], found[2][part]
                rows.append((*metric, *clinical, threshold, axial["labels"][row, place], study, fold))
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        result[name] = Both((columns[0], columns[1]), (columns[2], columns[3]), *columns[4:])
    return result


def show(name: str, both: Both) -> None:
    print(f"{name}: {len(both.y)} structures of {len(np.unique(both.studies))} studies that both series show")
    line("main series alone", both, *both.metric[:1], *both.clinical[:1])
    fitted = [np.empty_like(both.metric[0]), np.empty_like(both.clinical[0])]
    for fold in np.unique(both.folds):
        others = both.folds != fold
        powers = fit_powers(both.metric[0][others], both.metric[1][others], both.y[others])
        for result, outputs in zip(fitted, (both.metric, both.clinical), strict=True):
            result[~others] = pooled(outputs[0][~others], outputs[1][~others], powers)
    line("powers of other folds", both, *fitted)
    if name != "foramen":
        line(f"packaged, {POWERS[0]:g} and {POWERS[1]:g}", both, pooled(*both.metric), pooled(*both.clinical))
    powers = fit_powers(*both.metric, both.y)
    print(f"  powers fitted to all folds: {powers[0]:.2f} of the main series, {powers[1]:.2f} of the other")


def fit_powers(main: np.ndarray, other: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The powers with the least weighted log loss."""
    found = minimize(lambda powers: weighted_log_loss(pooled(main, other, tuple(powers)), y, WEIGHTS), (1.0, 0.1), method="Nelder-Mead")
    return float(found.x[0]), float(found.x[1])


def line(title: str, both: Both, metric: np.ndarray, clinical: np.ndarray) -> None:
    weights, (_, owner) = WEIGHTS[both.y], np.unique(both.studies, return_inverse=True)
    gain = np.bincount(owner, weights * (row_log_losses(metric, both.y) - row_log_losses(both.metric[0], both.y)))
    total = np.bincount(owner, weights)
    interval = bootstrap_interval(lambda drawn: float(gain[drawn].sum() / total[drawn].sum()), np.arange(len(total)))
    sets = np.concatenate([conformal_sets(p[None], threshold) for p, threshold in zip(clinical, both.threshold, strict=True)])
    coverage = sets[np.arange(len(both.y)), both.y].mean()
    ece = expected_calibration_error(reliability(clinical, both.y))
    print(
        f"  {title:<24} weighted log loss {weighted_log_loss(metric, both.y, WEIGHTS):.4f}, change {interval.estimate:+.4f}"
        f" ({interval.low:+.4f} to {interval.high:+.4f}), calibration error {ece:.3f}, coverage {coverage:.3f}"
    )


if __name__ == "__main__":
    main()
