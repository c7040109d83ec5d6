"""Out-of-fold accuracy of the packaged axial networks without retraining: test-time views, calibration, and a second stage.

    python recipes/severity/axial_combinations.py ../shared/data/rsna2024 runs/axial_views.npz    # predictions are cached in the last file

Each study is graded by the network that was not trained on it; calibration and second stage are fitted on the other folds. The second stage is a logistic
regression on the log-odds of a grade, of its level, of the levels above and below, of the other conditions at its level and of the study's mean.

Measured on 2,397 crops of 455 studies (canal, recesses): one view 0.348, 0.623; five views 0.344, 0.619; with the slices reversed 0.344, 0.619; the second
stage 0.341, 0.628, and its mean with the first 0.338, 0.622. None of it comes near 0.29 and 0.56, so the packaged model was not changed.
"""

import argparse
from pathlib import Path

import numpy as np
from official_score import STRENGTH
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from lumbar.datasets.axial_crops import read_crop_table, read_image
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.metrics.classification import weighted_log_loss
from lumbar.models.registry import find_folder
from lumbar.models.runtime import Network
from lumbar.severity.axial.data import level_numbers, targets
from lumbar.severity.axial.grader import TASK, network_logits
from lumbar.severity.axial.network_input import VIEWS, network_input
from lumbar.severity.learn.axial.ensemble import FoldOptions, split
from lumbar.severity.learn.calibrate import crossfitted
from lumbar.severity.portions import portions
from lumbar.severity.score import GRADE_WEIGHTS

WEIGHTS = np.array(GRADE_WEIGHTS)
GROUPS = {"canal": (0,), "recesses": (3, 4)}
OTHERS = {0: (1, 2, 3, 4), 3: (0, 1, 4, 2), 4: (0, 2, 3, 1)}  # places in `Condition` of the other conditions, own side first
REVERSED = [2, 1, 0]  # the three slices of a crop from below upwards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("answers", type=Path, help="cache of the networks' predictions; made where it is missing")
    arguments = parser.parse_args()
    if not arguments.answers.is_file():
        np.savez(arguments.answers, **answers(arguments.data))
    kept = dict(np.load(arguments.answers))
    raw, y, folds = kept["raw"].astype(np.float64), kept["labels"], kept["folds"]
    five = raw[:VIEWS].mean(0)
    print(f"{len(y)} crops of {len(np.unique(kept['studies']))} studies; weighted log loss, each study by the network of its fold")
    show("one view", raw[0], y)
    show("one view, temperature", calibrated(raw[0], y, folds), y)
    show("slices reversed", raw[VIEWS], y)
    show("one view and slices reversed", raw[[0, VIEWS]].mean(0), y)
    show("five views", five, y)
    show("five views, geometric mean", np.exp(np.log(np.clip(raw[:VIEWS], 1e-6, 1)).mean(0)), y)
    show("five views and slices reversed", raw.mean(0), y)
    own = second_stage(five, kept, context=False)
    show("five views, logistic on own odds and level", own, y)
    second = second_stage(five, kept, context=True)
    show("five views, second stage", second, y)
    show("five views and second stage, mean", (second + calibrated(five, y, folds)) / 2, y)


def answers(data: Path) -> dict[str, np.ndarray]:
    """Probabilities (views and reversed slices, n, 5, 3) of all crops, with their labels, folds, studies and levels."""
    images, folder = data / "axial_crops", find_folder(TASK)
    crops = [crop for crop in read_crop_table(data / "axial_crops.csv") if (images / crop.file).is_file()]
    labels, levels, studies = targets(crops, read_grades(data / "train.csv")), level_numbers(crops), np.array([c.study_id for c in crops])
    fold_of = split(crops, labels, FoldOptions())
    folds, (_, owners) = np.array([fold_of[study] for study in studies]), np.unique(studies, return_inverse=True)
    raw = np.zeros((VIEWS + 1, len(crops), 5, 3), np.float32)
    for fold in np.unique(folds).tolist():
        network, own = Network((folder / f"fold{fold}.onnx").read_bytes(), str(folder), 1), np.flatnonzero(folds == fold)
        for rows in (own[part] for part in portions(owners[own])):
            crop_images = [read_image(images / crops[row].file) for row in rows]
            inputs = [np.stack([network_input(image, view) for image in crop_images]) for view in range(VIEWS)]
            for view, given in enumerate([*inputs, inputs[0][:, REVERSED]]):
                raw[view, rows] = softmax(network_logits(network, given, levels[rows], owners[rows]), axis=-1)
    return {"raw": raw, "labels": labels, "folds": folds, "studies": studies, "levels": levels}


def calibrated(raw: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Probabilities calibrated with the temperatures of the other folds."""
    return crossfitted(raw, y, folds)[0].metric


def second_stage(raw: np.ndarray, kept: dict[str, np.ndarray], context: bool) -> np.ndarray:
    """Predictions (n, 5, 3) of a logistic regression on `raw`, fitted on the other folds; foramina are unchanged."""
    y, folds, levels = kept["labels"], kept["folds"], kept["levels"]
    odds = np.diff(np.log(np.clip(raw, 1e-5, 1)), axis=-1)
    around = surroundings(odds, kept["studies"], levels)
    result = raw.copy()
    for places in GROUPS.values():
        x = np.concatenate([np.concatenate([odds[:, c], np.eye(5)[levels], *(around(c) if context else [])], axis=1) for c in places])
        x = (x - x.mean(0)) / (x.std(0) + 1e-9)
        target, fold = np.concatenate([y[:, c] for c in places]), np.tile(folds, len(places))
        answer = np.zeros((len(x), 3))
        for own in np.unique(folds):
            fit = (fold != own) & (target >= 0)
            model = LogisticRegression(C=STRENGTH, max_iter=500).fit(x[fit], target[fit], sample_weight=WEIGHTS[target[fit]])
            answer[fold == own] = model.predict_proba(x[fold == own])
        for number, place in enumerate(places):
            result[:, place] = answer[number * len(y) : (number + 1) * len(y)]
    return result


def surroundings(odds: np.ndarray, studies: np.ndarray, levels: np.ndarray):
    """A function from a condition to its surroundings: the levels above and below, the other conditions, and the study's mean (each (n, 2))."""
    _, owner = np.unique(studies, return_inverse=True)
    grid = np.full((owner.max() + 1, 7, *odds.shape[1:]), np.nan)
    for row in range(len(odds)):
        grid[owner[row], levels[row] + 1] = odds[row]
    mean = np.nanmean(grid, axis=1)

    def around(condition: int) -> list[np.ndarray]:
        own = odds[:, condition]
        near = [grid[owner, levels + 1 + by, condition] for by in (-1, 1)]
        others = [odds[:, other] for other in OTHERS[condition]]
        if condition == 0:  # nothing depends on left and right
            others = [part for a, b in ((0, 1), (2, 3)) for part in np.sort(np.stack([others[a], others[b]]), axis=0)]
        return [*(np.where(np.isnan(one), own, one) for one in near), *others, mean[owner, condition], mean[owner, 0]]

    return around


def show(title: str, p: np.ndarray, y: np.ndarray) -> None:
    losses = []
    for name, places in GROUPS.items():
        answer, target = np.concatenate([p[:, c] for c in places]), np.concatenate([y[:, c] for c in places])
        answer = answer[target >= 0] / answer[target >= 0].sum(-1, keepdims=True)
        losses.append(f"{name} {weighted_log_loss(answer, target[target >= 0], WEIGHTS):.4f}")
    print(f"{title:<45} {', '.join(losses)}")


if __name__ == "__main__":
    main()
