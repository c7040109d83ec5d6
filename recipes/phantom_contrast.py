"""Contrast of tissues on real series and on phantoms, and a montage that shows both in turn.

    python recipes/phantom_contrast.py ../shared/data montage.png [--seeds 5]

Ratios are medians of tissues to the median of marrow. On the real study the tissues are boxes that a person placed on the data set's study 100206310
(row, column of the pixels, given below); on phantoms they are the truth's labels. The phantom's range is over the sites' series of that weighting.
"""

import argparse
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from lumbar.phantom.acquire import AcquiredSeries, label_pictures
from lumbar.phantom.labels import BODY, CANAL, DISC, MUSCLE
from lumbar.phantom.study import PhantomStudy, StudyOptions, make_study

STUDY = "rsna2024/train_images/100206310"
# series, instance, and boxes (row from, to, column from, to) of each tissue
BOXES = {
    "T2 axial": ("1012284084", 24, {"csf": (158, 172, 152, 170), "muscle": (210, 240, 75, 105), "fat": (278, 284, 60, 100), "marrow": (115, 140, 135, 165)}),
    "STIR sagittal": ("1792451510", 9, {"csf": (30, 80, 258, 270), "disc": (196, 203, 185, 215), "marrow": (160, 180, 190, 215)}),
    "T1 sagittal": ("2092806862", 9, {"csf": (200, 225, 258, 262), "disc": (248, 253, 215, 240), "marrow": (210, 230, 212, 240), "fat": (230, 270, 334, 340)}),
}


def boxed(folder: Path, series: str, instance: int, boxes: dict[str, tuple[int, int, int, int]]) -> dict[str, float]:
    picture = pydicom.dcmread(folder / STUDY / series / f"{instance}.dcm").pixel_array
    return {name: float(np.median(picture[a:b, c:d])) for name, (a, b, c, d) in boxes.items()}


def labelled(study: PhantomStudy, series: AcquiredSeries) -> dict[str, float]:
    labels = label_pictures(study.anatomy, series)
    middle = labels.shape[0] // 2
    near = slice(middle - 2, middle + 3) if series.role.startswith("sagittal") else slice(None)
    picture, labels = series.pictures[near], labels[near]
    codes = {
        "csf": [CANAL],
        "disc": [DISC[n] for n in ("L1/L2", "L2/L3", "L3/L4")],
        "marrow": [BODY[n] for n in ("L2", "L3", "L4")],
        "muscle": [MUSCLE["multifidus", s] for s in ("left", "right")] + [MUSCLE["erector_spinae", s] for s in ("left", "right")],
    }
    return {name: float(np.median(picture[np.isin(labels, code)])) for name, code in codes.items() if np.isin(labels, code).any()}


def grey(picture: np.ndarray, height: int = 420) -> np.ndarray:
    scaled = (np.clip(picture / np.percentile(picture, 99.5), 0, 1) * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(scaled).resize((int(height * picture.shape[1] / picture.shape[0]), height)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("montage", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for name, (series, instance, boxes) in BOXES.items():
        found = boxed(options.data, series, instance, boxes)
        print(f"real {name:14s}", "  ".join(f"{tissue} {value / found['marrow']:.2f}" for tissue, value in found.items()), " (marrow = 1)")
    rows = []
    for seed in range(options.seeds):
        study = make_study(StudyOptions(seed, site="ABCDEFGHI"[seed % 9]))
        for role, series in study.series.items():
            found = labelled(study, series)
            kind = series.protocol.sequence.kind
            print(
                f"phantom {seed} site {study.site.name} {role} {kind:5s}",
                "  ".join(f"{tissue} {value / found['marrow']:.2f}" for tissue, value in found.items()),
            )
        strip = [grey(s.pictures[len(s.pictures) // 2]) for s in study.series.values()]
        rows.append(np.concatenate(strip, axis=1))
    real = [("2092806862", 9), ("1792451510", 9), ("1012284084", 37)]
    rows.insert(1, np.concatenate([grey(pydicom.dcmread(options.data / STUDY / s / f"{n}.dcm").pixel_array) for s, n in real], axis=1))
    width = min(row.shape[1] for row in rows)
    Image.fromarray(np.concatenate([row[:, :width] for row in rows])).save(options.montage)


if __name__ == "__main__":
    main()
