"""Second stages for canals and recesses: regularised multinomial and boosted trees over neighbouring levels, sides, conditions and measured CSF, out of fold.

    python recipes/severity/second_stages.py ../shared/data/rsna2024 runs/axial_views.npz runs/foramina    # files as of `two_series.py`

The first stage is the packaged one: axial grades, calibrated on the other folds and pooled with those on sagittal T1. Stages are fitted on the other folds.
CSF is measured on each slice of a crop: area, height and width of the bright region in the middle at two thresholds, and their relation to the study's mean.

Measured on 2,397 crops (canal, recesses), first stage 0.337, 0.613; change with 95 % interval by study, the better of two ridges:

    multinomial, own grade and level    +0.006 (+0.000 to +0.011)    +0.004 (+0.001 to +0.006)
    multinomial, context                +0.012 (+0.004 to +0.020)    +0.004 (+0.001 to +0.008)
    multinomial, own and CSF            +0.019 (+0.009 to +0.030)    -0.001 (-0.009 to +0.006)
    multinomial, context and CSF        +0.025 (+0.012 to +0.037)    +0.001 (-0.008 to +0.009)
    boosted trees, own                  +0.011 (-0.003 to +0.025)    +0.011 (+0.005 to +0.019)
    boosted trees, context              +0.031 (+0.016 to +0.046)    +0.017 (+0.009 to +0.024)
    boosted trees, own and CSF          +0.030 (+0.012 to +0.051)    +0.004 (-0.007 to +0.014)

The first stage already includes the heads of `context_head.py`. None of the second stages lowers both losses, so none is shipped.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from two_series import axial, sagittal

from lumbar.datasets.axial_crops import read_crop_table
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import row_log_losses, weighted_log_loss
from lumbar.severity.axial.data import stored_images
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.severity.two_series import pooled

WEIGHTS = np.array(GRADE_WEIGHTS)
GROUPS = {"canal": (0,), "recesses": (3, 4)}
SAGITTAL = {0: (1, 0), 3: (2, 0), 4: (2, 1)}  # place in `Condition` → part and side of the grades on T1
THRESHOLDS = (0.5, 0.65)  # of the 95th percentile of the slice
MIDDLE = slice(20, 95), slice(48, 112)  # rows and columns of a stored crop in which CSF is looked for
RIDGES = (0.01, 0.03)


class Stages:
    """The first stage, and what a second one may see."""

    def __init__(self, data: Path, kept: dict[str, np.ndarray], sagittal_grades: np.ndarray, csf: np.ndarray) -> None:
        self.y, self.folds, self.levels = kept["labels"], kept["folds"], kept["levels"]
        _, self.owner = np.unique(kept["studies"], return_inverse=True)
        self.first = kept["metric"].copy()
        for place, (part, side) in SAGITTAL.items():
            grades = sagittal_grades[:, side, part]
            there = ~np.isnan(grades[:, 0])
            self.first[there, place] = pooled(self.first[there, place], grades[there])
        self.odds = np.diff(np.log(np.clip(self.first, 1e-4, 1)), axis=-1)
        self.csf = np.concatenate([csf, csf - self.study_mean(csf)], axis=1)

    def study_mean(self, values: np.ndarray) -> np.ndarray:
        """(n, …) the mean over the crops of each crop's study."""
        total = np.zeros((self.owner.max() + 1, *values.shape[1:]))
        np.add.at(total, self.owner, values)
        count = np.bincount(self.owner).reshape(-1, *[1] * (values.ndim - 1))
        return (total / count)[self.owner]

    def at(self, step: int) -> np.ndarray:
        """(n, 5, 2) the odds `step` levels below; its own where there are none."""
        grid = np.full((self.owner.max() + 1, 7, 5, 2), np.nan)
        grid[self.owner, self.levels + 1] = self.odds
        found = grid[self.owner, self.levels + 1 + step]
        return np.where(np.isnan(found), self.odds, found)

    def features(self, place: int, wanted: str) -> np.ndarray:
        """(n, features) of one condition, own side first."""
        parts = [self.odds[:, place], np.eye(5)[self.levels]]
        if "context" in wanted:
            parts += [self.at(-1)[:, place], self.at(1)[:, place], self.study_mean(self.odds)[:, place]]
            if place:
                parts += [self.odds[:, other] for other in (7 - place, 0, place - 2, 5 - place)]
            else:
                parts += [one for pair in ((1, 2), (3, 4)) for one in np.sort(np.stack([self.odds[:, c] for c in pair]), axis=0)]
        if "CSF" in wanted:
            parts.append(self.csf)
        return np.concatenate(parts, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder")
    parser.add_argument("answers", type=Path, help="cache of the axial networks' predictions, made by `two_series.py`")
    parser.add_argument("runs", type=Path, help="folder of the foraminal folds")
    arguments = parser.parse_args()
    kept, found = axial(arguments.answers), sagittal(arguments.data, arguments.runs)
    missing = (np.full((3, 3), np.nan),)
    places = [[(str(study), int(level), side) for side in (0, 1)] for study, level in zip(kept["studies"], kept["levels"], strict=True)]
    grades = np.array([[found.get(one, found.get((one[0], one[1], 1 - one[2]), missing) if one[2] == 0 else missing)[0] for one in pair] for pair in places])
    images = arguments.data / "axial_crops"
    crops = [crop for crop in read_crop_table(arguments.data / "axial_crops.csv") if (images / crop.file).is_file()]
    stages = Stages(arguments.data, kept, grades, np.array([csf_of(image) for image in stored_images(crops, images)]))
    show("first stage", stages, lambda _, first: first)
    for wanted in ("own", "context", "own and CSF", "context and CSF"):
        for ridge in RIDGES:
            show(f"multinomial, {wanted}, ridge {ridge}", stages, lambda group, first, w=wanted, r=ridge: fitted(stages, group, w, first, r))
        show(f"boosted trees, {wanted}", stages, lambda group, first, w=wanted: fitted(stages, group, w, first, None))


def csf_of(image: np.ndarray) -> list[float]:
    """Area, height and width of the bright region in the middle of each slice (112, 160, 3), in thousands and tens of pixels."""
    result = []
    for grey in np.moveaxis(image.astype(np.float32), -1, 0):
        smooth = ndimage.gaussian_filter(grey, 1.0)
        top = np.percentile(smooth[smooth > 0], 95) if (smooth > 0).any() else 1.0
        for threshold in THRESHOLDS:
            labels, count = ndimage.label(smooth[MIDDLE] > threshold * top)
            sizes = ndimage.sum(np.ones_like(labels), labels, np.arange(1, count + 1)) if count else np.zeros(1)
            region = labels == 1 + int(np.argmax(sizes))
            result += [region.sum() / 1000, region.any(1).sum() / 10, region.any(0).sum() / 10]
    return result


def fitted(stages: Stages, group: tuple[int, ...], wanted: str, first: np.ndarray, ridge: float | None) -> np.ndarray:
    """Predictions (n, 3) of a second stage, fitted on the other folds: multinomial corrections of the first, or trees without a `ridge`."""
    x = np.concatenate([stages.features(place, wanted) for place in group])
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    y, fold = np.concatenate([stages.y[:, place] for place in group]), np.tile(stages.folds, len(group))
    result, log = np.zeros((len(x), 3)), np.log(np.clip(first, 1e-6, 1))
    for own in np.unique(fold):
        fit, held = (fold != own) & (y >= 0), fold == own
        if ridge is None:
            trees = HistGradientBoostingClassifier(max_depth=3, learning_rate=0.05, max_iter=60, l2_regularization=20, min_samples_leaf=40, random_state=0)
            result[held] = trees.fit(x[fit], y[fit], sample_weight=WEIGHTS[y[fit]]).predict_proba(x[held])
        else:
            result[held] = softmax(log[held] + x[held] @ corrections(x[fit], y[fit], log[fit], ridge), axis=1)
    return result


def corrections(x: np.ndarray, y: np.ndarray, log: np.ndarray, ridge: float) -> np.ndarray:
    """(features, 3) weights that are added to the logarithms of the first stage, shrunk to none."""
    weights, truth, shape = WEIGHTS[y] / WEIGHTS[y].sum(), np.eye(3)[y], (x.shape[1], 3)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        b = flat.reshape(shape)
        z = log + x @ b
        slope = x.T @ (weights[:, None] * (softmax(z, 1) - truth)) + 2 * ridge * b
        return float(-(weights[:, None] * truth * log_softmax(z, 1)).sum() + ridge * np.square(b).sum()), slope.ravel()

    return minimize(loss, np.zeros(shape[0] * 3), jac=True, method="L-BFGS-B", options={"maxiter": 150}).x.reshape(shape)


def show(title: str, stages: Stages, stage: Callable[[tuple[int, ...], np.ndarray], np.ndarray]) -> None:
    parts = []
    for name, group in GROUPS.items():
        y, owner = np.concatenate([stages.y[:, place] for place in group]), np.tile(stages.owner, len(group))
        first = np.concatenate([stages.first[:, place] for place in group])
        after, known = stage(group, first), y >= 0
        weights = WEIGHTS[y[known]]
        gain = np.bincount(owner[known], weights * (row_log_losses(after[known], y[known]) - row_log_losses(first[known], y[known])))
        total = np.bincount(owner[known], weights)
        interval = bootstrap_interval(lambda drawn, gain=gain, total=total: float(gain[drawn].sum() / total[drawn].sum()), np.arange(len(total)))
        loss = weighted_log_loss(after[known], y[known], WEIGHTS)
        parts.append(f"{name} {loss:.4f} {interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})")
    print(f"{title:<44}{'   '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
