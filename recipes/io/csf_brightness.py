"""Fits and checks the weights of `lumbar.io.csf_brightness`, which distinguishes T1 from T2 without header information.

    python recipes/io/csf_brightness.py ../shared/data/spider/midsagittal

Prints the figures of a ten-fold cross-validation by patient on SPIDER's mid-sagittal images (CC BY 4.0), then the coefficients in the module,
fitted on all. The images are stored without their size; a height of 290 mm, which most of them have, is assumed. Needs lumbar[stats].
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from lumbar.io.csf_brightness import CLIPPED, SURE_LOG_ODDS, features

_HEIGHT_MM = 290.0


def main(folder: Path) -> None:
    rows, bright, patients = [], [], []
    for path in sorted(folder.glob("*.webp")):
        image = np.asarray(Image.open(path).convert("L"), dtype=np.float32)
        pixel_mm = _HEIGHT_MM / image.shape[0]
        found = features(image, (pixel_mm, pixel_mm))
        if found is not None:
            patient, kind = path.stem.split("_")[:2]
            rows.append(found)
            bright.append(kind.startswith("t2"))
            patients.append(patient)
    table, is_bright = np.array(rows), np.array(bright)
    model = make_pipeline(StandardScaler(), FunctionTransformer(_clip), LogisticRegression(C=0.3, max_iter=1000))
    odds = cross_val_predict(model, table, is_bright, groups=patients, cv=GroupKFold(10), method="decision_function")
    sure = np.abs(odds) > SURE_LOG_ODDS
    right = (odds > 0) == is_bright
    print(f"{len(table)} images of {len(set(patients))} patients, {is_bright.sum()} T2; by patient, ten folds:")
    print(f"AUC {roc_auc_score(is_bright, odds):.3f}; right {right.mean():.3f}; sure in {sure.mean():.2f}, of those right {right[sure].mean():.3f}")
    pairs = {patient: {} for patient in patients}
    for patient, kind, value in zip(patients, bright, odds, strict=True):
        pairs[patient][kind] = value
    ordered = [pair[True] > pair[False] for pair in pairs.values() if len(pair) == 2]
    print(f"T2 of a patient is judged brighter than the T1 in {np.mean(ordered):.3f} of {len(ordered)} pairs")
    model.fit(table, is_bright)
    scaler, regression = model[0], model[2]
    for name, values in (("_MEANS", scaler.mean_), ("_SPREADS", scaler.scale_), ("_WEIGHTS", regression.coef_[0])):
        print(f"{name} = ({', '.join(f'{value:.4f}' for value in values)})")
    print(f"_OFFSET = {regression.intercept_[0]:.4f}")


def _clip(spreads: np.ndarray) -> np.ndarray:
    return np.clip(spreads, -CLIPPED, CLIPPED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
