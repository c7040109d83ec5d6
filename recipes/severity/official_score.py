"""The whole official score out of fold, on the studies that have both axial crops and foraminal points, with and without a second stage.

    python recipes/severity/official_score.py ../shared/data/rsna2024 runs/foramina

Canal and recesses are graded by the networks of the packed axial model, each study by the network of its fold, foramina by the folds in RUNS (see
`foramina.py`). The calibration is fitted on the other folds. The second stage is a logistic regression on the log-odds of a cell, of its neighbours above
and below, of the other side, and of the other conditions at its level, fitted on the other folds and averaged with the first stage.

Canals and recesses are also pooled with their grades on sagittal T1, as in `analyze` (with powers rounded from fits to all folds; `two_series.py` also fits
them on the other folds).

Measured on 447 studies (10,923 rows): each structure on one series 0.435 (0.404 to 0.470), spinal 0.336, foraminal 0.504, subarticular 0.619, any severe
0.280; canals and recesses pooled 0.430 (0.400 to 0.463), spinal 0.329, subarticular 0.614, any severe 0.274. The second stage has 0.441, its mean with the
first 0.434: it is not shipped.
"""

import argparse
from pathlib import Path

import numpy as np
from foramina import CACHE, cached, graded_parts, predictions
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from small_weights import held_out

from lumbar.datasets.axial_crops import read_crop_table
from lumbar.datasets.foramina import read_foramen_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.models.registry import find_folder
from lumbar.severity.axial.grader import TASK
from lumbar.severity.foramina.explain import CONDITIONS
from lumbar.severity.foramina.predict import RECESSES
from lumbar.severity.learn.axial.ensemble import FoldOptions, split
from lumbar.severity.learn.calibrate import crossfitted
from lumbar.severity.learn.foramina.calibrate import crossfitted_levels
from lumbar.severity.learn.foramina.out_of_fold import CANAL, FORAMEN, RECESS
from lumbar.severity.score import GRADE_WEIGHTS, Graded, official_score, score_intervals
from lumbar.severity.two_series import pooled
from lumbar.training.fold_runs import FoldRuns

CELLS = [(condition, level) for condition in Condition for level in Level]
GRADES = tuple(Severity)
FORAMINAL = tuple(condition.value for condition in CONDITIONS.values())
_OPPOSITE = (0, 2, 1, 4, 3)
STRENGTH = 0.03  # inverse of the ridge penalty
PUBLISHED = (
    "4th place on its own hidden studies: spinal 0.256, foraminal 0.479, subarticular 0.519 and 0.572",
    "6th place, cross-validation: spinal 0.260, foraminal 0.475, subarticular 0.538, any severe 0.255, score 0.382; its private score 0.401",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("runs", type=Path, help="folder of the foraminal folds")
    parser.add_argument("--axial", type=Path, help="model folder of axial crops; the packaged one if not given")
    arguments = parser.parse_args()
    axial: dict[str, NDArray[np.float64]] = {}
    sagittal: dict[str, NDArray[np.float64]] = {}
    fold_of = axial_predictions(arguments.axial or find_folder(TASK), arguments.data, axial)
    both = sorted(sagittal_predictions(arguments.data, arguments.runs, sagittal) & set(fold_of))
    first = {**{name: values for name, values in sagittal.items() if name.split("_", 1)[1].startswith(FORAMINAL)}, **axial}
    pooled_rows = {name: pooled(values, sagittal[name]) if name in axial and name in sagittal else values for name, values in first.items()}
    grades = read_grades(arguments.data / "train.csv")
    p, pool = (np.array([[rows.get(row_id(study, *cell), np.full(3, np.nan)) for cell in CELLS] for study in both]) for rows in (first, pooled_rows))
    y = np.array([[grade_number(grades[study][row_id("", *cell)[1:]]) for cell in CELLS] for study in both])
    y[np.isnan(p[..., 0])] = -1
    folds = np.array([fold_of[study] for study in both])
    print(f"{len(both)} studies with both axial crops and foramina, {int((y >= 0).sum())} labelled rows with a prediction")
    second = second_stage(p, y, folds)
    stages = {"each on one series": p, "canal and recesses on both": pool, "second stage on the first": second, "average of first and third": (p + second) / 2}
    for title, probabilities in stages.items():
        show(title, probabilities, y, np.array(both))
    print("\n".join(PUBLISHED))


def axial_predictions(folder: Path, data: Path, rows: dict[str, NDArray[np.float64]]) -> dict[str, int]:
    """Add canal and recess rows, the mean where a level has several crops; returns study → fold."""
    crops = [crop for crop in read_crop_table(data / "axial_crops.csv") if (data / "axial_crops" / crop.file).is_file()]
    labels, raw = held_out(folder, data)
    fold_of = split(crops, labels, FoldOptions())
    metric = crossfitted(raw, labels, np.array([fold_of[crop.study_id] for crop in crops]))[0].metric
    found: dict[str, list[NDArray[np.float64]]] = {}
    for crop, values in zip(crops, metric, strict=True):
        for place, condition in enumerate(Condition):
            if condition not in CONDITIONS.values():
                found.setdefault(row_id(crop.study_id, condition, crop.level), []).append(values[place])
    rows |= {name: np.mean(values, axis=0) for name, values in found.items()}
    return fold_of


def sagittal_predictions(data: Path, runs: Path, sagittal: dict[str, NDArray[np.float64]]) -> set[str]:
    """Fill `sagittal` with the rows of trained folds, those of foramina and those beside them; returns their studies."""
    points = sorted(read_foramen_table(data / "foramina.csv"), key=lambda p: (p.study_id, p.file))
    foramina = cached(runs / CACHE)
    splits = FoldRuns(runs).splits()
    folds = np.array([splits[point.study_id] for point in points])
    raw = predictions(runs / "held_out.npy", foramina, folds, runs)
    there = np.flatnonzero(np.isfinite(raw[:, 0, 0]))
    studies = {points[place].study_id for place in there.tolist()}
    foramen, *beside = graded_parts(raw, points, foramina, data)
    for part in (foramen, *beside):
        metric = crossfitted_levels(part.raw[there], part.y[there], foramina.levels[there], folds[there]).metric
        for place, values in zip(there.tolist(), metric, strict=True):
            point = points[place]
            condition = {FORAMEN: CONDITIONS[point.side], CANAL: Condition.SPINAL_CANAL_STENOSIS, RECESS: RECESSES[point.side]}[part.name]
            sagittal[row_id(point.study_id, condition, point.level)] = values
    return studies


def grade_number(grade: Severity | None) -> int:
    return -1 if grade is None else GRADES.index(grade)


def second_stage(p: NDArray[np.float64], y: NDArray[np.int64], folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Predictions (studies, 25, 3) of the second stage, fitted on the other folds; the first stage where a cell has none."""
    log = np.log(np.clip(p, 1e-4, 1)).reshape(len(p), 5, 5, 3)
    odds = np.diff(log, axis=-1)
    odds = np.where(np.isnan(odds), np.nanmean(odds, axis=(0,), keepdims=True), odds)
    result = p.copy()
    for group in ((0,), (1, 2), (3, 4)):
        cells = [(condition, level) for condition in group for level in range(5)]
        x = np.concatenate([features(odds, *cell) for cell in cells])
        target, fold = np.concatenate([y[:, c * 5 + v] for c, v in cells]), np.tile(folds, len(cells))
        scaled = (x - x.mean(0)) / (x.std(0) + 1e-9)
        fitted = np.full((len(x), 3), np.nan)
        for own in np.unique(folds):
            fit, held = (fold != own) & (target >= 0), fold == own
            model = LogisticRegression(C=STRENGTH, max_iter=500).fit(scaled[fit], target[fit], sample_weight=np.array(GRADE_WEIGHTS)[target[fit]])
            fitted[held] = model.predict_proba(scaled[held])
        for number, (c, v) in enumerate(cells):
            mine = fitted[number * len(p) : (number + 1) * len(p)]
            known = ~np.isnan(p[:, c * 5 + v, 0])
            result[known, c * 5 + v] = mine[known]
    return result


def features(odds: NDArray[np.float64], condition: int, level: int) -> NDArray[np.float64]:
    """(studies, features) of one cell from the log-odds (studies, 5 conditions, 5 levels, 2); mirrored for right cells, so that both sides share them."""
    nothing = np.zeros_like(odds[:, 0, 0])
    near = [odds[:, condition, level + by] if 0 <= level + by < 5 else nothing for by in (-1, 0, 1)]
    if condition == 0:
        sides = [np.sort(np.stack([odds[:, a, level], odds[:, b, level]]), axis=0) for a, b in ((1, 2), (3, 4))]
        others = [one for pair in sides for one in pair]
    else:
        same_side = {1: 3, 2: 4, 3: 1, 4: 2}[condition]
        others = [odds[:, other, level] for other in (_OPPOSITE[condition], 0, same_side, _OPPOSITE[same_side])]
    return np.concatenate([*near, *others, odds[:, condition].mean(1), np.tile(np.eye(5)[level], (len(odds), 1))], axis=1)


def show(title: str, p: NDArray[np.float64], y: NDArray[np.int64], studies: NDArray[np.str_]) -> None:
    row, cell = np.nonzero(y >= 0)
    graded = Graded(studies[row], cell // 5, cell % 5, y[row, cell], p[row, cell])
    score, interval = official_score(graded), score_intervals(graded, 300)["official_score"]
    parts = ", ".join(f"{name} {value:.3f}" for name, value in vars(score).items())
    print(f"{title:<28} {parts}; score's 95 % interval {interval.low:.3f} to {interval.high:.3f}")


if __name__ == "__main__":
    main()
